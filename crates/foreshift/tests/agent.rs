//! `foreshift agent` as a real process: killed and started again, with control away meanwhile, with a wrong token.

mod common;

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use common::{foreshift::Foreshift, foreshift::free_address, process::Process, until};
use serde_json::Value;

const INTERVAL_MS: u64 = 100;
/// How long nobody listens.
const AWAY: Duration = Duration::from_secs(3);

/// Control with `[agent]`, and the token that it made or found in `folder`.
fn control(address: SocketAddr, folder: &Path) -> Foreshift {
    let token_file = folder.join("agent.token");
    // Nobody asks anything of the node.
    let node = "[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n";
    Foreshift::start(
        &[],
        &format!("{node}[agent]\naddress = \"{address}\"\ntoken_file = {token_file:?}\n"),
    )
}

fn agent(address: SocketAddr, token_file: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command.env("NO_COLOR", "1").env_remove("RUST_LOG").args([
        "agent",
        "--pool=app",
        "--node=a",
        &format!("--control=http://{address}"),
        &format!("--interval-ms={INTERVAL_MS}"),
        "--token-file",
    ]);
    Process::start("agent", command.arg(token_file))
}

/// What control shows of the agent.
fn source(control: &Foreshift) -> Option<Value> {
    let (_, nodes) = control.api.get("/v1/pools/app/nodes");
    nodes[0]["sources"]
        .as_array()?
        .iter()
        .find(|source| source["kind"] == "agent")
        .cloned()
}

fn reports(control: &Foreshift) -> u64 {
    source(control)
        .and_then(|source| source["reports"].as_u64())
        .unwrap_or(0)
}

#[test]
fn an_agent_that_is_killed_and_started_again_goes_on_reporting() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let control = control(address, folder.path());
    let token_file = folder.path().join("agent.token");
    let first = agent(address, &token_file);
    until("the agent's figures count", || {
        (reports(&control) >= 3).then_some(())
    });
    drop(first);
    let so_far = reports(&control);
    let second = agent(address, &token_file);
    // Its numbers begin at 1 again, and are new all the same.
    let shown = until("the next one's count", || {
        source(&control).filter(|source| source["reports"].as_u64() >= Some(so_far + 3))
    });
    assert_eq!(shown["stale"], false, "{}", second.printed());
    assert!(
        shown["load"]["memory"]
            .as_f64()
            .is_some_and(|share| share > 0.0 && share < 1.0),
        "{shown}"
    );
    assert!(shown["figures"]["load_1m"].is_f64(), "{shown}");
    assert_eq!(shown["failures"], 0);
}

#[test]
fn what_is_measured_while_control_is_away_arrives_once_it_is_back() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let first = control(address, folder.path());
    let started = Instant::now();
    let agent = agent(address, &folder.path().join("agent.token"));
    until("the agent's figures count", || {
        (reports(&first) >= 1).then_some(())
    });
    drop(first);
    until("the agent notices", || {
        agent.printed().contains("reports do not arrive").then_some(())
    });
    // Not to wait for anything: this is the time that is measured while nobody listens.
    thread::sleep(AWAY);
    let back = Instant::now();
    let second = control(address, folder.path());
    until("reports arrive again", || {
        agent.printed().contains("reports arrive again").then_some(())
    });
    let kept = (AWAY.as_millis() as u64 / INTERVAL_MS) / 2;
    until("what was kept is there", || {
        let since = back.elapsed().as_millis() as u64 / INTERVAL_MS + 1;
        (reports(&second) >= since + kept).then_some(())
    });
    let all = started.elapsed().as_millis() as u64 / INTERVAL_MS + 1;
    assert!(reports(&second) <= all, "nothing counts twice");
}

#[test]
fn a_wrong_token_is_said_and_nothing_is_taken() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let control = control(address, folder.path());
    let wrong = folder.path().join("wrong.token");
    fs::write(&wrong, "0123456789abcdef0123456789abcdef").unwrap();
    let agent = agent(address, &wrong);
    until("the agent says so", || {
        agent.printed().contains("401").then_some(())
    });
    assert_eq!(source(&control), None);
}
