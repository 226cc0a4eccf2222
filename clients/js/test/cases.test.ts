/** This library passes every case of the file that all client libraries share. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Core, type Settings } from '../dist/core.js';
import { readControl } from '../dist/instruction.js';
import { readMigrateHeader } from '../dist/migrate_header.js';
import { settingsOf } from '../dist/options.js';
import { CASES, eventOf, type Options, type Scenario, written } from './cases.js';

/** Hosts that the scripts lead to: this library follows only to hosts that its user named. */
const HOSTS = ['edge.example', 'www.example'];

test('instructions are read and malformed ones are not', () => {
  for (const { message, is } of CASES.instructions) {
    const control = readControl(message);
    const read = control?.kind === 'migrate' ? control.instruction : null;
    const fields = read && {
      url: read.url,
      token: read.token,
      within_ms: read.withinMs,
      delay_ms: read.delayMs,
      reason: read.reason,
    };
    assert.deepEqual(fields, is, message);
  }
});

test('values of Foreshift-Migrate are read and malformed ones are not', () => {
  for (const { value, is } of CASES.headers) {
    const read = readMigrateHeader(value);
    const fields = read && {
      url: read.url,
      token: read.token,
      within_ms: read.withinMs,
      delay_ms: read.delayMs,
    };
    assert.deepEqual(fields ?? null, is, value);
  }
});

for (const scenario of CASES.scenarios) {
  test(scenario.name, () => play(scenario));
}

function play(scenario: Scenario): void {
  const connect = scenario.steps[0]?.connect as { url: string; protocols: string[] };
  const core = new Core(settings({ ...CASES.defaults, ...scenario.options }, connect.url));
  const drawn = [...(scenario.random ?? [])];
  const random = () => drawn.shift() ?? assert.fail('the script has no more random numbers');
  for (const step of scenario.steps) {
    const actions = core.on(eventOf(step), step.at, random);
    assert.deepEqual(written(actions, connect), step.then, `at ${step.at} ms`);
    if (step.wakes !== undefined) assert.equal(core.wakeAt ?? null, step.wakes, `wakes after ${step.at} ms`);
  }
}

function settings(options: Options, url: string): Settings {
  const reconnect = {
    minMs: options.backoff_min_ms,
    maxMs: options.backoff_max_ms,
    attempts: options.attempts_max,
    stableMs: options.stable_ms,
  };
  return settingsOf({ reconnect, drainMs: options.drain_ms, hosts: HOSTS }, url);
}
