//! The engine over Redis answers as the model in memory does, whatever is asked.

mod common;

use common::{
    cluster::Cluster,
    laws::{self, Op},
    redis::{Server, ask, is_installed},
};
use foreshift_store::engine::Redis;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::{Builder, Runtime};

/// All of it in one partition of one session that stays, so that it meets what was done before.
fn in_one_partition(mut ops: Vec<Op>) -> Vec<Op> {
    ops.retain(|op| !matches!(op, Op::Clear { .. }));
    for op in &mut ops {
        match op {
            Op::Record {
                session,
                is_revoked,
                lives_ms,
                ..
            } => {
                (*session, *is_revoked, *lives_ms) = (0, false, u16::MAX);
            }
            Op::Write {
                session, partition, ..
            }
            | Op::Fill {
                session, partition, ..
            }
            | Op::Read {
                session, partition, ..
            } => (*session, *partition) = (0, 0),
            Op::Pass(_) | Op::Clear { .. } => {}
        }
    }
    ops
}

/// With values so large that they follow their writes.
fn with_large_values(mut ops: Vec<Op>) -> Vec<Op> {
    for op in &mut ops {
        if let Op::Write { puts, .. } = op {
            for value in puts.iter_mut().filter_map(|(.., value)| value.as_mut()) {
                value.resize(4_096, b'v');
            }
        }
    }
    ops
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn redis_answers_like_the_model() {
    if !is_installed() {
        return;
    }
    let runtime = runtime();
    let server = runtime.block_on(Server::start(&[]));
    let dense = laws::any_ops(60).prop_map(in_one_partition);
    let large = laws::any_ops(60).prop_map(with_large_values);
    let dense_large = laws::any_ops(60)
        .prop_map(in_one_partition)
        .prop_map(with_large_values);
    TestRunner::new(config(192))
        .run(
            &prop_oneof![laws::any_ops(60), dense, large, dense_large],
            |ops| {
                let engine = Redis::open(&server.session()).expect("a URL");
                runtime.block_on(async {
                    laws::answers_like_the_model(&engine, 1 << 100, &ops).await;
                    ask(&mut server.connect().await, &["FLUSHALL"]).await;
                });
                Ok(())
            },
        )
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_cluster_answers_like_the_model() {
    if !is_installed() {
        return;
    }
    let runtime = runtime();
    let cluster = runtime.block_on(Cluster::start(10_000));
    TestRunner::new(config(16))
        .run(
            &prop_oneof![laws::any_ops(60), laws::any_ops(60).prop_map(with_large_values)],
            |ops| {
                let engine = Redis::open(&cluster.session()).expect("URLs");
                runtime.block_on(async {
                    laws::answers_like_the_model(&engine, 1 << 100, &ops).await;
                    for mut primary in cluster.primaries().await {
                        ask(&mut primary, &["FLUSHALL"]).await;
                    }
                });
                Ok(())
            },
        )
        .unwrap_or_else(|error| panic!("{error}"));
}
