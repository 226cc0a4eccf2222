/**
 * One timer that is set anew only where its time changes: most events of a socket leave it alone.
 */

/** The longest that a timer of JavaScript can wait, in milliseconds. */
const WAIT_MAX_MS = 2 ** 31 - 1;

export class Alarm {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private at: number | undefined;

  /** `ring` may come early (a timer's wait is bounded and rounded): whoever is rung looks at the clock. */
  constructor(private readonly ring: () => void) {}

  /** Sets it for a time of `performance.now()`, or for never. */
  set(at: number | undefined): void {
    if (at === this.at) return;
    clearTimeout(this.timer);
    this.at = at;
    if (at === undefined) return;
    const waitMs = Math.min(WAIT_MAX_MS, Math.max(0, Math.ceil(at - performance.now())));
    this.timer = setTimeout(() => {
      this.at = undefined;
      this.ring();
    }, waitMs);
  }
}
