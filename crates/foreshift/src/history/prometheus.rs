//! A series from Prometheus, by range queries.
//!
//! Prometheus refuses more than 11,000 points at once, so a range is asked for in parts. It gives one value a step
//! whatever the scrapes were like, and holds a value for five minutes after the last scrape; what it has none for is
//! missing here. Its HTTP API: prometheus.io/docs/prometheus/latest/querying/api/#range-queries.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use serde::Deserialize;
use ureq::Agent;

use super::{History, Samples, Source, clock, duration, on_steps};
use crate::{client::query as with_query, usage::usage};

/// Points of one answer; Prometheus gives 11,000.
const POINTS_MAX: i64 = 10_000;
const STEPS_MAX: i64 = foreshift_forecast::series::STEPS_MAX as i64;
const TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Series that are listed in an error at most.
const LISTED_MAX: usize = 10;

#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    #[serde(default)]
    result: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

/// A range, in Unix milliseconds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    from_ms: i64,
    to_ms: i64,
    step_ms: i64,
}

/// Asks for the one series that `query` gives.
pub(super) fn read(url: &str, query: &str, source: &Source) -> Result<History> {
    read_within(url, query, source, TIMEOUT)
}

fn read_within(url: &str, query: &str, source: &Source, timeout: Duration) -> Result<History> {
    if !url.starts_with("http://") {
        return Err(usage(format!(
            "--prometheus {url:?} cannot be used: give an http:// URL as in http://127.0.0.1:9090 (TLS is not built in; a proxy or `kubectl port-forward` helps)"
        )));
    }
    let range = Range::of(source)?;
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .user_agent(concat!("foreshift/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    let mut samples = Samples {
        name: query.to_owned(),
        at_ms: Some(Vec::new()),
        ..Samples::default()
    };
    let mut labels = None;
    let mut infinities = 0;
    for part in range.parts() {
        let found = ask(&agent, url, query, part)?;
        if let Some(found) = only(query, found, &mut labels)? {
            infinities += add(&mut samples, found)?;
        }
    }
    if labels.is_none() {
        bail!(
            "{query} gives no series from {} to {}: is the metric's name right, and was it scraped then?",
            shown(range.from_ms),
            shown(range.to_ms)
        );
    }
    if infinities > 0 {
        let note = format!("{infinities} infinite values are taken as missing");
        samples.notes.push(note);
    }
    let mut reading = source.reading.clone();
    reading.step = Some(Duration::from_millis(range.step_ms as u64));
    on_steps(samples, &reading).with_context(|| query.to_owned())
}

impl Range {
    fn of(source: &Source) -> Result<Self> {
        let now_ms = Timestamp::now().as_millisecond();
        let step = source.reading.step.unwrap_or(Duration::from_secs(60));
        let step_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        let zone = clock::zone(&source.reading.zone)?;
        let when = |text: &Option<String>, option: &str, absent: i64| match text {
            Some(text) => moment(text, now_ms, &zone).ok_or_else(|| {
                usage(format!(
                    "--{option} {text:?} is no time; give RFC 3339, Unix seconds, or a time ago as in 14d"
                ))
            }),
            None => Ok(absent),
        };
        let to_ms = when(&source.to, "to", now_ms)?;
        let from_ms = when(&source.from, "from", to_ms - 7 * 86_400_000)?;
        // On multiples of the step, the same query gives the same instants tomorrow.
        let range = Self {
            from_ms: from_ms.div_euclid(step_ms) * step_ms,
            to_ms,
            step_ms,
        };
        if from_ms >= to_ms {
            return Err(usage("--from must be before --to"));
        }
        if (to_ms - range.from_ms) / step_ms >= STEPS_MAX {
            return Err(usage("the range has over 10,000,000 steps; give a longer --step"));
        }
        Ok(range)
    }

    fn parts(self) -> impl Iterator<Item = Self> {
        let length = POINTS_MAX * self.step_ms;
        let starts = (0..).map(move |part| self.from_ms + part * length);
        starts
            .take_while(move |from_ms| *from_ms <= self.to_ms)
            .map(move |from_ms| Self {
                from_ms,
                to_ms: self.to_ms.min(from_ms + length - self.step_ms),
                ..self
            })
    }
}

fn moment(text: &str, now_ms: i64, zone: &jiff::tz::TimeZone) -> Option<i64> {
    if let Ok(ago) = duration::parse(text) {
        return Some(now_ms - ago.as_millis() as i64);
    }
    if text == "now" {
        return Some(now_ms);
    }
    clock::Clock::for_cells(std::iter::once(text), zone)?
        .read(text)
        .ok()
}

fn shown(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| "-".into(), |at| at.to_string())
}

fn ask(agent: &Agent, url: &str, query: &str, range: Range) -> Result<Vec<Found>> {
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
    let parameters = with_query(&[
        ("query", Some(query.to_owned())),
        ("start", Some(seconds(range.from_ms))),
        ("end", Some(seconds(range.to_ms))),
        ("step", Some(seconds(range.step_ms))),
    ]);
    let address = format!("{}/api/v1/query_range{parameters}", url.trim_end_matches('/'));
    let response = agent
        .get(address)
        .call()
        .map_err(|error| unreachable(url, &error))?;
    let status = response.status();
    let mut body = response
        .into_body()
        .into_with_config()
        .limit(ANSWER_BYTES_MAX)
        .reader();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut body, &mut text)
        .with_context(|| format!("read the answer of {url}"))?;
    let answer: Result<Answer, _> = serde_json::from_str(&text);
    match answer {
        Ok(Answer {
            error: Some(error), ..
        }) => bail!("Prometheus at {url} refused ({status}): {error}"),
        Ok(Answer {
            status: told,
            data: Some(data),
            ..
        }) if told == "success" && status.is_success() => {
            if data.result_type != "matrix" {
                bail!(
                    "Prometheus at {url} answered with a {}, not with series",
                    data.result_type
                );
            }
            Ok(data.result)
        }
        _ => bail!(
            "{url} answered {status} and no Prometheus result: {}",
            excerpt(&text)
        ),
    }
}

fn unreachable(url: &str, error: &ureq::Error) -> anyhow::Error {
    match error {
        ureq::Error::Timeout(_) => {
            anyhow!("Prometheus at {url} did not answer in time; ask for a shorter range or a longer --step")
        }
        error => anyhow!("cannot reach Prometheus at {url}: {error}"),
    }
}

fn excerpt(text: &str) -> String {
    const LENGTH_MAX: usize = 200;
    let line: String = text.chars().take(LENGTH_MAX).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The one series of an answer, which must be the one of the answers before.
fn only(
    query: &str,
    mut found: Vec<Found>,
    labels: &mut Option<BTreeMap<String, String>>,
) -> Result<Option<Found>> {
    let mut all: Vec<&BTreeMap<String, String>> = found.iter().map(|found| &found.metric).collect();
    all.extend(labels.as_ref().filter(|known| !all.contains(known)));
    if all.len() > 1 {
        let listed: Vec<String> = all
            .iter()
            .take(LISTED_MAX)
            .map(|labels| format!("  {}", selector(labels)))
            .collect();
        let more = match all.len().saturating_sub(LISTED_MAX) {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        return Err(usage(format!(
            "{query} gives {} series, one is needed; add labels that only one has, or join them as in sum({query}):\n{}{more}",
            all.len(),
            listed.join("\n")
        )));
    }
    let one = found.pop();
    if let Some(one) = &one {
        *labels = Some(one.metric.clone());
    }
    Ok(one)
}

/// As PromQL writes it: `name{label="value"}`.
fn selector(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let pairs = labels.iter().filter(|(label, _)| *label != "__name__");
    let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{name}{{{}}}", pairs.join(", "))
}

/// Adds values and answers how many were infinite; NaN is missing.
fn add(samples: &mut Samples, found: Found) -> Result<usize> {
    let mut infinities = 0;
    let at_ms = samples.at_ms.get_or_insert_default();
    for (at, text) in found.values {
        let value: f64 = text
            .parse()
            .with_context(|| format!("Prometheus gave {text:?} as a value"))?;
        infinities += usize::from(value.is_infinite());
        at_ms.push((at * 1_000.0).round() as i64);
        samples
            .values
            .push(if value.is_finite() { value } else { f64::NAN });
    }
    Ok(infinities)
}

#[cfg(test)]
mod tests;
