//! What a back-test amounts to, in plain words.
//!
//! With a threshold, alarms decide: an overload foreseen is worth something, one that is not is worth nothing, however
//! small the error. Only what was foreseen a quarter of the horizon before or sooner counts: whoever asks for fifteen
//! minutes has no use for one. The rules, with the scores of [`AlarmTally::score`](super::AlarmTally::score) (0 to 1):
//!
//! 1. Under three overloads nothing can be told, and neither where the load is above the threshold nearly always.
//! 2. Prediction **helps** where the alarm on the 0.9 path scores at least 0.5 and at least 0.05 more than the best
//!    plain alarm on the present, whose level was chosen in hindsight.
//! 3. It **helps only with** another quantile where that one's alarm does so instead; or only with part of the
//!    overloads, where the 0.9 alarm foresees a fifth or more, is right at least every other time, and still beats the
//!    plain one by 0.05.
//! 4. Else it **will not help**: because a plain alarm does as well, because overloads are so frequent that what foresees
//!    them is on too long, or that any alarm is right by chance (calm lasts two horizons or less on the mean), because
//!    no alarm is both early and right, or because overloads come without a sign.
//!
//! Alarms that are on in vain for more than a quarter of the calm time count in none of these: see
//! [`AlarmRow::is_candidate`].
//!
//! Without a threshold the error decides: the mean absolute error at the end of the horizon beside the best of
//! persistence, the seasonal naive forecast and a smoothed level. A tenth less helps; 3 % less helps a little; anything else does not.

use super::{Alarm, AlarmRow, EarlyWarning, Report, hint};

/// Whether prediction helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Helps,
    /// It does under a condition that the reasons name.
    HelpsOnly,
    /// It does not.
    WillNotHelp,
    /// The history does not tell.
    CannotTell,
}

/// Whether prediction helps on this history, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// In one word.
    pub answer: Answer,
    /// Sentences for people, the most important first.
    pub reasons: Vec<String>,
}

const SCORE_MIN: f64 = 0.5;
const SCORE_MARGIN: f64 = 0.05;
const PART_MIN: f64 = 0.2;
const RIGHT_MIN: f64 = 0.5;
const SKILL_MIN: f64 = 0.10;
const SKILL_SOME: f64 = 0.03;

impl Verdict {
    pub(super) fn unknown() -> Self {
        Self {
            answer: Answer::CannotTell,
            reasons: Vec::new(),
        }
    }

    pub(super) fn of(report: &Report) -> Self {
        match &report.early_warning {
            Some(warning) => on_alarms(warning),
            None => on_errors(report),
        }
    }
}

fn on_alarms(warning: &EarlyWarning) -> Verdict {
    if let Some(reason) = hint::wanting(warning) {
        return verdict(Answer::CannotTell, [reason]);
    }
    let Some(usual) = warning.predicted(0.9) else {
        return verdict(
            Answer::CannotTell,
            ["the forecaster gives no 0.9 quantile to raise alarms on"],
        );
    };
    if usual.tally.is_calm_short() {
        return verdict(
            Answer::WillNotHelp,
            [TOO_FREQUENT.to_owned(), ALWAYS_NEAR.to_owned(), how_long(usual)],
        );
    }
    let candidates = warning.best_predicted().zip(warning.best_present());
    let Some((best, plain)) = candidates else {
        return verdict(
            Answer::WillNotHelp,
            [TOO_FREQUENT.to_owned(), ON_TOO_LONG.to_owned(), how_long(usual)],
        );
    };
    let overloads = warning.overloads;
    let beats = |row: &AlarmRow| row.tally.score() >= plain.tally.score() + SCORE_MARGIN;
    let is_good = |row: &AlarmRow| row.is_candidate() && beats(row) && row.tally.score() >= SCORE_MIN;
    if is_good(usual) {
        return verdict(
            Answer::Helps,
            [account(usual, overloads), beside(plain, overloads)],
        );
    }
    if is_good(best) {
        let only = format!("only with alarms on the {} path", quantile(best));
        return verdict(
            Answer::HelpsOnly,
            [only, account(best, overloads), beside(plain, overloads)],
        );
    }
    let foreseen = usual.tally.foreseen_share().unwrap_or(0.0);
    let right = usual.tally.right_share().unwrap_or(0.0);
    if usual.is_candidate() && beats(usual) && foreseen >= PART_MIN && right >= RIGHT_MIN {
        let only = format!("only with part of the overloads: {}", account(usual, overloads));
        return verdict(Answer::HelpsOnly, [only, beside(plain, overloads)]);
    }
    let is_useful = |row: &AlarmRow| row.tally.score() >= SCORE_MIN;
    let is_any_left = is_useful(best) || is_useful(plain);
    if !is_any_left && warning.rows.iter().any(is_useful) {
        return verdict(
            Answer::WillNotHelp,
            [
                TOO_FREQUENT.to_owned(),
                ON_TOO_LONG.to_owned(),
                account(best, overloads),
            ],
        );
    }
    verdict(
        Answer::WillNotHelp,
        [
            why_not(best, plain, overloads),
            account(usual, overloads),
            beside(plain, overloads),
        ],
    )
}

const TOO_FREQUENT: &str = "overloads are so frequent for this horizon that an alarm tells nothing; give a higher threshold or a shorter horizon";
const ALWAYS_NEAR: &str = "calm lasts no longer than two horizons on the mean";
const ON_TOO_LONG: &str = "alarms that foresee them are on in vain for more than a quarter of the calm time";

fn how_long(row: &AlarmRow) -> String {
    let percent = row.tally.on_share() * 100.0;
    format!(
        "alarms on the {} path are on for {percent:.0} % of the calm time",
        quantile(row)
    )
}

fn why_not(best: &AlarmRow, plain: &AlarmRow, overloads: u64) -> String {
    let plain_score = plain.tally.score();
    if plain_score >= SCORE_MIN && plain_score + SCORE_MARGIN > best.tally.score() {
        return "a plain threshold on the present does as well; use that".into();
    }
    let foreseen = best.tally.foreseen_share().unwrap_or(0.0);
    if foreseen < SCORE_MIN {
        return format!(
            "overloads come without a sign: no alarm foresaw more than {} of {overloads} and was right more often than wrong",
            best.tally.foreseen
        );
    }
    format!(
        "no alarm is both early and right: at best {}",
        account(best, overloads)
    )
}

fn account(row: &AlarmRow, overloads: u64) -> String {
    let tally = &row.tally;
    format!(
        "alarms on the {} path foresaw {} of {overloads} overloads ({} in time), with {}",
        quantile(row),
        tally.foreseen,
        tally.in_time(),
        false_alarms(tally.false_alarms)
    )
}

fn beside(plain: &AlarmRow, overloads: u64) -> String {
    let share = match plain.alarm {
        Alarm::Present { share } | Alarm::Predicted { quantile: share } => share,
    };
    format!(
        "the best plain alarm in hindsight, at {:.0} % of the threshold, foresaw {} of {overloads} ({} in time), with {}",
        share * 100.0,
        plain.tally.foreseen,
        plain.tally.in_time(),
        false_alarms(plain.tally.false_alarms)
    )
}

fn quantile(row: &AlarmRow) -> f64 {
    match row.alarm {
        Alarm::Predicted { quantile } | Alarm::Present { share: quantile } => quantile,
    }
}

fn false_alarms(count: u64) -> String {
    match count {
        0 => "no false alarm".into(),
        1 => "1 false alarm".into(),
        count => format!("{count} false alarms"),
    }
}

fn on_errors(report: &Report) -> Verdict {
    let last = report.horizon - 1;
    let found = report.skill(last).zip(report.best_simple(last));
    let Some((skill, (simple, _))) = found else {
        let reason =
            "the load never changes, or a simple forecast makes no error; there is nothing to predict";
        return verdict(Answer::WillNotHelp, [reason]);
    };
    let percent = (skill.abs() * 100.0).round();
    let against = format!("than that of the best simple forecast at the end of the horizon, {simple}");
    let (answer, reason) = if skill >= SKILL_MIN {
        (Answer::Helps, format!("its error is {percent} % lower {against}"))
    } else if skill >= SKILL_SOME {
        let reason = format!("only a little: its error is {percent} % lower {against}");
        (Answer::HelpsOnly, reason)
    } else if skill > -SKILL_SOME {
        (Answer::WillNotHelp, format!("its error is no lower {against}"))
    } else {
        (
            Answer::WillNotHelp,
            format!("its error is {percent} % higher {against}"),
        )
    };
    let hint = "give a threshold to see which overloads would have been foreseen";
    verdict(answer, [reason, hint.into()])
}

fn verdict<T: Into<String>, const N: usize>(answer: Answer, reasons: [T; N]) -> Verdict {
    Verdict {
        answer,
        reasons: reasons.into_iter().map(Into::into).collect(),
    }
}
