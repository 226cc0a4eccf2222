//! Runs the proxies in turn and collects what they cost.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    Contender, IngressArgs, account,
    cores::{self, Cores},
    proxies::{self, Proxy},
    reactor::{Reactor, Then},
    report::{Report, Sample},
    scenario::Scenario,
    tls::Pki,
};
use crate::{setup, steps};

const WARM_UP: Duration = Duration::from_secs(1);
/// Time for a proxy to give back what only the handshakes needed.
const SETTLE: Duration = Duration::from_secs(2);
const HANDSHAKES_AT_ONCE: usize = 50;
/// Files that a proxy or this program opens besides the connections.
const OTHER_FILES: u64 = 200;

pub(super) fn run(args: &IngressArgs) -> Result<()> {
    if cfg!(debug_assertions) {
        return steps::run_this_in_release();
    }
    let bench = Bench::prepare(args)?;
    let mut report = Report::new(bench.connections, bench.pairs);
    let mut failed = 0;
    for scenario in bench.scenarios.clone() {
        for round in 1..=args.rounds {
            for contender in bench.contenders.clone() {
                let nothing_to_measure =
                    contender == Contender::Direct && (scenario.is_idle() || scenario.is_tls());
                if nothing_to_measure || (scenario.is_tcp() && !contender.relays_tcp()) {
                    continue;
                }
                eprintln!("{}: round {round}, {contender:?}", scenario.title());
                match bench.measure(contender, scenario) {
                    Ok(sample) => report.add(scenario, contender, sample),
                    // The other rounds are still worth having.
                    Err(error) => {
                        eprintln!("error: measure {contender:?}: {error:#}");
                        failed += 1;
                    }
                }
            }
        }
    }
    if args.json {
        report.print_json()?;
    } else {
        report.print()?;
    }
    ensure!(failed == 0, "{failed} measurements failed");
    Ok(())
}

struct Bench {
    contenders: Vec<Contender>,
    scenarios: Vec<Scenario>,
    cores: Option<Cores>,
    foreshift: PathBuf,
    connections: usize,
    pairs: usize,
    window: Duration,
    pki: Pki,
}

impl Bench {
    fn prepare(args: &IngressArgs) -> Result<Self> {
        let contenders = contenders(&args.only);
        let needs = |contender| contenders.contains(&contender);
        if needs(Contender::Haproxy) || needs(Contender::HaproxySameWork) {
            setup::programs(&[setup::HAPROXY])?;
        }
        if needs(Contender::Nginx) {
            setup::programs(&[setup::NGINX])?;
        }
        let foreshift = match &args.foreshift {
            Some(path) => path
                .canonicalize()
                .with_context(|| format!("find {}", path.display()))?,
            None if needs(Contender::Foreshift) => steps::build_foreshift("release")?,
            None => PathBuf::new(),
        };
        if args.first {
            cores::go_first().context("--first: only root may")?;
        }
        let cores = Cores::choose()?;
        if cores.is_none() {
            eprintln!("warning: only one core is allowed here: proxy and load share it");
        }
        let scenarios = if args.scenario.is_empty() {
            Scenario::ALL.to_vec()
        } else {
            args.scenario.clone()
        };
        Ok(Self {
            contenders,
            scenarios,
            cores,
            foreshift,
            connections: args.connections as usize,
            pairs: pairs_allowed(args.pairs as usize)?,
            window: Duration::from_secs(args.seconds),
            pki: Pki::make()?,
        })
    }

    fn measure(&self, contender: Contender, scenario: Scenario) -> Result<Sample> {
        let mut reactor = Reactor::new()?;
        let backend = reactor.backend_address()?;
        let tls = scenario.is_tls().then_some(&self.pki);
        reactor.tls = tls.map(|pki| pki.client.clone());
        let proxy = match contender {
            Contender::Direct => None,
            proxied => Some(Proxy::start(
                proxied,
                &self.foreshift,
                backend,
                scenario,
                self.cores,
                tls,
            )?),
        };
        let target = proxy.as_ref().map_or(backend, |proxy| proxy.address);
        let pid = proxy.as_ref().map(Proxy::pid);
        let sample = match (scenario, pid) {
            (scenario, Some(pid)) if scenario.is_idle() => {
                idle_memory(&mut reactor, target, scenario, pid, self.pairs)
            }
            _ => {
                let connections = match scenario {
                    Scenario::TcpBulk => 1,
                    _ => self.connections,
                };
                reactor.connect(target, scenario, connections, Then::Again)?;
                saturate(&mut reactor, pid, self.window)
            }
        };
        reactor.disconnect();
        sample.with_context(|| proxy.map(|proxy| proxy.log()).unwrap_or_default())
    }
}

fn saturate(reactor: &mut Reactor, pid: Option<u32>, window: Duration) -> Result<Sample> {
    let cpu_time = || pid.map_or(Ok(Duration::ZERO), account::cpu_time);
    reactor.run_for(WARM_UP)?;
    reactor.latencies = Some(Vec::with_capacity(1 << 20));
    let (answered, cpu, started) = (reactor.answered, cpu_time()?, Instant::now());
    reactor.run_for(window)?;
    let (elapsed, cpu) = (started.elapsed(), cpu_time()? - cpu);
    let requests = (reactor.answered - answered) as f64;
    let mut latencies = reactor.latencies.take().unwrap_or_default();
    ensure!(!latencies.is_empty(), "nothing was answered in {window:?}");
    Ok(Sample::Load {
        requests_per_s: requests / elapsed.as_secs_f64(),
        p99_us: percentile(&mut latencies, 0.99) / 1e3,
        proxy_cpu_us: pid.map(|_| cpu.as_secs_f64() * 1e6 / requests),
        proxy_busy: pid.map(|_| cpu.as_secs_f64() / elapsed.as_secs_f64()),
    })
}

/// Opens the pairs, sends one message through each, and sees what the proxy holds when all rest.
fn idle_memory(
    reactor: &mut Reactor,
    target: std::net::SocketAddr,
    scenario: Scenario,
    pid: u32,
    pairs: usize,
) -> Result<Sample> {
    // Some first, so that what a proxy allocates once does not count.
    let first = HANDSHAKES_AT_ONCE.min(pairs);
    reactor.connect(target, scenario, first, Then::Rest)?;
    reactor.run_until_answered(first as u64)?;
    let before = account::anonymous_kib(pid)?;
    let mut open = first;
    while open < first + pairs {
        let some = HANDSHAKES_AT_ONCE.min(first + pairs - open);
        reactor.connect(target, scenario, some, Then::Rest)?;
        open += some;
        reactor.run_until_answered(open as u64)?;
    }
    reactor.run_for(SETTLE)?;
    let after = account::anonymous_kib(pid)?;
    Ok(Sample::Idle {
        kib_per_pair: after.saturating_sub(before) as f64 / pairs as f64,
    })
}

fn percentile(values: &mut [u32], share: f64) -> f64 {
    let at = ((values.len() - 1) as f64 * share).round() as usize;
    f64::from(*values.select_nth_unstable(at).1)
}

fn contenders(only: &[Contender]) -> Vec<Contender> {
    if !only.is_empty() {
        return only.to_vec();
    }
    let mut all = vec![
        Contender::Direct,
        Contender::Foreshift,
        Contender::Haproxy,
        Contender::Nginx,
    ];
    if proxies::envoy().is_some() {
        all.push(Contender::Envoy);
    }
    all
}

/// Raises the limit of open files as far as this user may, for this process and the proxies it starts.
///
/// The pairs that then fit: each takes two files here and two in the proxy.
fn pairs_allowed(wanted: usize) -> Result<usize> {
    let files = 2 * (wanted + HANDSHAKES_AT_ONCE) as u64 + OTHER_FILES;
    let set = |files| {
        let files = Some(files);
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: files,
                maximum: files,
            },
        )
    };
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if set(allowed.max(files)).is_ok() {
        return Ok(wanted);
    }
    set(allowed).context("raise the limit of open files")?;
    let pairs = (allowed.saturating_sub(OTHER_FILES) / 2) as usize - HANDSHAKES_AT_ONCE;
    eprintln!("warning: {allowed} open files are allowed, enough for {pairs} pairs instead of {wanted}");
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values: Vec<u32> = (1..=101).rev().collect();
        assert_eq!(percentile(&mut values, 0.99), 100.0);
        assert_eq!(percentile(&mut values, 0.5), 51.0);
        assert_eq!(percentile(&mut [7], 0.99), 7.0);
    }

    #[test]
    fn the_load_reaches_the_backend_and_back() {
        for scenario in Scenario::ALL.into_iter().filter(|s| !s.is_tls()) {
            let mut reactor = Reactor::new().unwrap();
            let backend = reactor.backend_address().unwrap();
            reactor.connect(backend, scenario, 3, Then::Again).unwrap();
            reactor.run_until_answered(100).unwrap();
            reactor.disconnect();
        }
    }
}
