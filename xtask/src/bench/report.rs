//! Rounds to medians, medians to a table or JSON.

use anyhow::Result;
use serde::Serialize;

use super::{Contender, scenario::Scenario};

/// What one round measured.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(super) enum Sample {
    /// A saturated proxy.
    Load {
        requests_per_s: f64,
        p99_us: f64,
        /// CPU time of the proxy for each request.
        proxy_cpu_us: Option<f64>,
        /// Share of its core that the proxy used.
        proxy_busy: Option<f64>,
    },
    /// A proxy full of idle WebSockets.
    Idle { kib_per_pair: f64 },
}

impl Sample {
    /// The figure that is compared: what a request or pair costs the proxy.
    fn cost(&self) -> Option<f64> {
        match self {
            Self::Load { proxy_cpu_us, .. } => *proxy_cpu_us,
            Self::Idle { kib_per_pair } => Some(*kib_per_pair),
        }
    }
}

#[derive(Debug, Serialize)]
struct Row {
    scenario: Scenario,
    contender: Contender,
    rounds: Vec<Sample>,
    /// Medians over the rounds, each figure by itself.
    median: Option<Sample>,
    /// The proxy's cost by HAProxy's.
    ratio_to_haproxy: Option<f64>,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    connections: usize,
    idle_pairs: usize,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(connections: usize, idle_pairs: usize) -> Self {
        Self {
            connections,
            idle_pairs,
            rows: Vec::new(),
        }
    }

    /// Adds one round.
    pub(super) fn add(&mut self, scenario: Scenario, contender: Contender, sample: Sample) {
        let same = |row: &&mut Row| row.scenario == scenario && row.contender == contender;
        match self.rows.iter_mut().find(same) {
            Some(row) => row.rounds.push(sample),
            None => self.rows.push(Row {
                scenario,
                contender,
                rounds: vec![sample],
                median: None,
                ratio_to_haproxy: None,
            }),
        }
    }

    pub(super) fn print_json(mut self) -> Result<()> {
        self.complete();
        println!("{}", serde_json::to_string_pretty(&self)?);
        Ok(())
    }

    pub(super) fn print(mut self) -> Result<()> {
        self.complete();
        let mut scenario = None;
        for row in &self.rows {
            if scenario.replace(row.scenario) != Some(row.scenario) {
                println!("\n{}", self.heading(row.scenario));
            }
            println!("{}", line(row));
        }
        Ok(())
    }

    fn heading(&self, scenario: Scenario) -> String {
        let title = scenario.title();
        match scenario {
            scenario if scenario.is_idle() => format!(
                "{title}, {} pairs\n{:<18} {:>12} {:>12}",
                self.idle_pairs, "", "KiB/pair", "x HAProxy"
            ),
            _ => format!(
                "{title}, {} connections\n{:<18} {:>12} {:>12} {:>12} {:>12} {:>12}",
                if scenario == Scenario::TcpBulk {
                    1
                } else {
                    self.connections
                },
                "",
                "requests/s",
                "p99 us",
                "CPU us/req",
                "core busy",
                "x HAProxy"
            ),
        }
    }

    fn complete(&mut self) {
        for row in &mut self.rows {
            row.median = median_sample(&row.rounds);
        }
        let cost_of_haproxy = |rows: &[Row], scenario| {
            let haproxy = |row: &&Row| row.scenario == scenario && row.contender == Contender::Haproxy;
            rows.iter().find(haproxy)?.median?.cost()
        };
        for at in 0..self.rows.len() {
            let haproxy = cost_of_haproxy(&self.rows, self.rows[at].scenario);
            let own = self.rows[at].median.and_then(|median| median.cost());
            self.rows[at].ratio_to_haproxy = own.zip(haproxy).map(|(own, haproxy)| own / haproxy);
        }
    }
}

fn line(row: &Row) -> String {
    let name = serde_json::to_value(row.contender)
        .ok()
        .and_then(|name| Some(name.as_str()?.to_owned()));
    let name = name.unwrap_or_default();
    let or_dash =
        |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
    let ratio = or_dash(row.ratio_to_haproxy, 2);
    match row.median {
        None => name,
        Some(Sample::Idle { kib_per_pair }) => format!("{name:<18} {kib_per_pair:>12.1} {ratio:>12}"),
        Some(Sample::Load {
            requests_per_s,
            p99_us,
            proxy_cpu_us,
            proxy_busy,
        }) => format!(
            "{name:<18} {requests_per_s:>12.0} {p99_us:>12.0} {:>12} {:>12} {ratio:>12}",
            or_dash(proxy_cpu_us, 2),
            or_dash(proxy_busy, 2)
        ),
    }
}

fn median_sample(rounds: &[Sample]) -> Option<Sample> {
    let of = |figure: fn(&Sample) -> Option<f64>| median(rounds.iter().filter_map(figure).collect());
    match rounds.first()? {
        Sample::Idle { .. } => Some(Sample::Idle {
            kib_per_pair: of(Sample::cost)?,
        }),
        Sample::Load { .. } => Some(Sample::Load {
            requests_per_s: of(|sample| load(sample).map(|load| load.0))?,
            p99_us: of(|sample| load(sample).map(|load| load.1))?,
            proxy_cpu_us: of(Sample::cost),
            proxy_busy: of(|sample| load(sample)?.2),
        }),
    }
}

fn load(sample: &Sample) -> Option<(f64, f64, Option<f64>)> {
    match sample {
        Sample::Load {
            requests_per_s,
            p99_us,
            proxy_busy,
            ..
        } => Some((*requests_per_s, *p99_us, *proxy_busy)),
        Sample::Idle { .. } => None,
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_the_medians() {
        let mut report = Report::new(64, 10);
        for (contender, costs) in [
            (Contender::Haproxy, [10.0, 90.0, 12.0]),
            (Contender::Foreshift, [6.0, 5.0, 40.0]),
        ] {
            for kib_per_pair in costs {
                report.add(Scenario::IdleWebsocket, contender, Sample::Idle { kib_per_pair });
            }
        }
        report.complete();
        assert_eq!(report.rows[0].ratio_to_haproxy, Some(1.0));
        assert_eq!(report.rows[1].ratio_to_haproxy, Some(0.5));
    }

    #[test]
    fn without_haproxy_there_is_no_ratio() {
        let mut report = Report::new(64, 10);
        report.add(
            Scenario::IdleWebsocket,
            Contender::Nginx,
            Sample::Idle { kib_per_pair: 1.0 },
        );
        report.complete();
        assert_eq!(report.rows[0].ratio_to_haproxy, None);
    }
}
