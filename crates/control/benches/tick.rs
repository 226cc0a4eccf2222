//! One round of the loop: a pool of 1,000 nodes whose every bucket has traffic, as a million keys make it.
//!
//! `cargo bench -p foreshift-control --bench tick`. Not divan: what is measured is the running loop with its task, its
//! metadata (in memory) and real reports, by the figures that it publishes itself at `/metrics`.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{sync::Arc, time::Duration};

use foreshift_control::DataPlane;
use foreshift_meta::Meta;
use foreshift_wire::{
    BucketReport, Config, ConnectionFilter, ConnectionInfo, Event, IngressReport, KeyReport, LatencyBuckets,
    NodeId, NodeReport, PoolName, PoolReport, SessionId,
};

const NODES: usize = 1_000;
const KEYS: usize = 1_024;
const TICKS: usize = 40;

#[derive(Clone)]
struct Busy(Arc<IngressReport>);

impl DataPlane for Busy {
    async fn report(&self) -> IngressReport {
        IngressReport::clone(&self.0)
    }

    async fn connections(&self, _: ConnectionFilter) -> Vec<ConnectionInfo> {
        Vec::new()
    }

    async fn close_streams(&self, _: ConnectionFilter) -> u64 {
        0
    }

    async fn serves(&self, _: PoolName) -> bool {
        true
    }
}

fn config(mode: &str) -> Config {
    let mut text = format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\nmode = \"{mode}\"\ncheck_interval = \"500ms\"\n"
    );
    for n in 0..NODES {
        let address = format!("10.0.{}.{}:9000", n / 250, n % 250 + 1);
        text.push_str(&format!(
            "[[pool.node]]\nid = \"n{n}\"\naddress = \"{address}\"\nzone = \"z{}\"\ncapacity = {{ requests_in_flight = 64 }}\n",
            n % 3
        ));
    }
    Config::parse(&text).expect("the configuration is valid")
}

/// All nodes at a load score of 47, `hot` of them at 109.
fn busy(hot: usize) -> Busy {
    let node = |n: usize| NodeReport {
        node: NodeId::new(&format!("n{n}")).expect("a name"),
        requests: 500,
        errors: 1,
        bytes: 500_000,
        busy_us: if n < hot { 35_000_000 } else { 15_000_000 },
        in_flight: 30,
        connections: 1_000,
        response: LatencyBuckets((100..160).map(|index| (index, 8)).collect()),
        in_band: None,
        resilience: Default::default(),
    };
    let bucket = |bucket| BucketReport {
        bucket,
        requests: 8,
        bytes: 8_000,
        busy_us: 230_000,
        open: 15,
    };
    let key = |n: usize| KeyReport {
        session: SessionId((n as u128 * 64) << 112 | n as u128),
        key: format!("user-{n}"),
        node: NodeId::new(&format!("n{}", n % NODES)).expect("a name"),
        requests: 40,
        bytes: 40_000,
        busy_us: 500_000,
        open: 2,
        error: 1,
    };
    let pool = PoolReport {
        pool: PoolName::new("app").expect("a name"),
        nodes: (0..NODES).map(node).collect(),
        buckets: (0..=u16::MAX).map(bucket).collect(),
        keys: (0..KEYS).map(key).collect(),
        refused: 0,
        over_retry_budget: 0,
    };
    Busy(Arc::new(IngressReport { pools: vec![pool] }))
}

async fn measure(name: &str, mode: &str, hot: usize, listen: bool) {
    let (_ingress, events) = tokio::sync::mpsc::unbounded_channel();
    let config = config(mode);
    let control = foreshift_control::start(&config, Meta::in_memory(), busy(hot), events)
        .await
        .expect("starts");
    let api = format!("http://{}", control.api_address());
    let mut listener = listen.then(|| control.events());
    let reader = tokio::spawn(async move {
        let mut moves = 0_u64;
        while let Some(events) = &mut listener
            && let Some(event) = events.next().await
        {
            moves += u64::from(matches!(event, Ok(Event::Move(_))));
        }
        moves
    });
    let before = cpu_ms();
    tokio::time::sleep(Duration::from_millis(500) * TICKS as u32).await;
    let cpu = (cpu_ms() - before) / TICKS as f64;
    let text = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let mut answer = agent.get(format!("{api}/metrics")).call().expect("answers");
        answer
            .body_mut()
            .with_config()
            .limit(100 << 20)
            .read_to_string()
            .expect("reads")
    })
    .await
    .expect("does not panic");
    let value = |series: &str| -> f64 {
        let line = text
            .lines()
            .find(|line| line.starts_with(series))
            .unwrap_or_default();
        line.rsplit(' ')
            .next()
            .and_then(|value| value.parse().ok())
            .unwrap_or(f64::NAN)
    };
    let (sum, count) = (
        value("foreshift_tick_duration_seconds_sum"),
        value("foreshift_tick_duration_seconds_count"),
    );
    let under_10_ms = value("foreshift_tick_duration_seconds_bucket{pool=\"app\",le=\"0.01\"}");
    println!(
        "{name:<46} mean {:>6.2} ms over {count} rounds, {:>3.0} % within 10 ms; {cpu:.1} ms CPU with making the report",
        sum / count * 1e3,
        under_10_ms / count * 100.0
    );
    control.shutdown().await;
    let _ = reader.await;
}

/// CPU time of the process, in milliseconds, to 10 ms: on a machine that does other things too, elapsed time says
/// little.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    ticks * 10.0
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        println!("one round of the loop, {NODES} nodes, 65,536 buckets and {KEYS} heavy keys in each report");
        measure("all under the threshold", "act", 0, false).await;
        measure("all under the threshold, events listened to", "act", 0, true).await;
        measure("50 nodes over it, plans made (advise)", "advise", 50, false).await;
        measure("50 nodes over it, moves committed (act)", "act", 50, false).await;
    });
}
