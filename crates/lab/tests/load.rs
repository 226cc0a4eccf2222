//! Open-loop load against one backend, with nothing in between.

use std::{sync::Arc, time::Duration};

use foreshift_lab::{
    Backend, BackendOptions,
    load::{PlayOptions, Record, Scenario, ScenarioOptions, Schedule, play},
};
use tokio::sync::watch;

fn schedule(seconds: u32) -> Schedule {
    let scenario = Scenario::draw(&ScenarioOptions {
        seed: 3,
        seconds,
        homes: vec![0; 20],
        nodes: 1,
        node_capacity: 400.0,
        base: 0.5,
        surge: 0.3,
        ramp_s: 0.2,
        hold_s: 0.2,
        room: 5,
        period_s: 1.0,
        trace: None,
    });
    Schedule::draw(&scenario, 0.2, 3)
}

async fn run(options: BackendOptions) -> (Schedule, Arc<Record>, Backend) {
    let backend = Backend::start(options).await.unwrap();
    let (schedule, record) = (schedule(2), Arc::new(Record::default()));
    let options = PlayOptions {
        address: backend.address(),
        patience: Duration::from_secs(10),
    };
    let (_stop, stopped) = watch::channel(false);
    play(
        &schedule,
        &options,
        record.clone(),
        watch::Sender::new(None),
        stopped,
    )
    .await
    .unwrap();
    (schedule, record, backend)
}

#[tokio::test]
async fn every_item_is_answered_once_and_counted() {
    let (schedule, record, backend) = run(BackendOptions::default()).await;
    let tally = record.tally();
    assert!(tally.is_clean(), "{tally:?}");
    assert_eq!(record.answers(), schedule.items().len());
    assert_eq!(backend.stats().handled, schedule.items().len() as u64);
    let by_socket = schedule.items().iter().filter(|item| !item.http).count();
    assert_eq!((tally.sent, tally.answered), (by_socket as u64, by_socket as u64));
    assert_eq!((record.errors(), record.reconnects()), (0, 0));
}

#[tokio::test]
async fn waiting_behind_a_slow_backend_counts_as_latency() {
    // 200 items a second and more come to a backend that does 100.
    let service_time = Duration::from_millis(20);
    let slow = BackendOptions {
        workers: 2,
        service_time,
        spread: 0.0,
        ..BackendOptions::default()
    };
    let (_, record, _) = run(slow).await;
    let latency = record.latency().unwrap();
    assert!(latency.max_ms > 1_000.0, "{latency:?}");
    assert!(record.tally().is_clean());
}
