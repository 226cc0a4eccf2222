//! A full table of file descriptors stops nobody who is connected, nor the accept loop for good.

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
};

use common::{
    Cluster,
    raw::{Raw, Recorder},
};

/// Names the node to a child process of this test, which runs the data plane with few descriptors.
const CHILD: &str = "FORESHIFT_TEST_NODE";

#[tokio::test]
async fn a_full_descriptor_table_does_not_stop_the_accept_loop() {
    if let Ok(node) = std::env::var(CHILD) {
        return serve(&node).await;
    }
    let node = Recorder::start().await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_full_descriptor_table_does_not_stop_the_accept_loop",
            "--nocapture",
        ])
        .env(CHILD, node.address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .find_map(|line| {
            line.unwrap()
                .split_once("address=")
                .map(|(_, a)| a.parse().unwrap())
        })
        .expect("the child listens");

    let get = async |raw: &mut Raw| {
        raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        raw.answer(false).await.status()
    };
    let mut first = Raw::connect(address).await;
    assert_eq!(get(&mut first).await, 200);
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(Raw::connect(address).await);
    }
    assert_eq!(get(&mut first).await, 200, "who is connected is served");
    let mut late = Raw::connect(address).await;
    late.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    drop(crowd);
    assert_eq!(
        late.answer(false).await.status(),
        200,
        "room is used when there is some"
    );
    assert_eq!(get(&mut first).await, 200);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

async fn serve(node: &str) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let few = Rlimit {
        current: Some(60),
        maximum: Some(60),
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let cluster = Cluster::over(&[node.parse().unwrap()], "", "").await;
    // Not `println`, which the test harness would keep.
    let mut out = std::io::stdout();
    writeln!(out, "\naddress={}", cluster.address()).unwrap();
    out.flush().unwrap();
    let parent_is_gone = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    parent_is_gone.await.unwrap().unwrap();
}
