//! One run: start, load, watch, sum up, end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{DemoOptions, Summary, cluster::Cluster, live::Show, setting::Setting, watch::Watch};
use crate::load::{PlayOptions, Record, play};

/// How long the last answers may take. As long as the deepest queue that a run without moves leaves behind.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long, where a backend was killed: what it had in hand is never answered.
const PATIENCE_AFTER_DEATH: Duration = Duration::from_secs(10);

/// Which backend is killed, where one is.
const VICTIM: usize = 1;

/// What decides on moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approach {
    /// Nothing moves.
    Off,
    /// The load as it is.
    Reactive,
    /// The load as it will be.
    Predictive,
}

impl Approach {
    pub(super) const ALL: [Self; 3] = [Self::Off, Self::Reactive, Self::Predictive];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Reactive => "reactive",
            Self::Predictive => "predictive",
        }
    }
}

/// What a run looks like at one moment.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    /// Seconds since the load began.
    pub second: u32,
    /// When it began, in Unix milliseconds.
    pub began_ms: u64,
    pub watch: &'a Watch,
    pub record: &'a Record,
}

/// Plays the load once.
pub(super) async fn run(
    options: &DemoOptions,
    setting: &Setting,
    approach: Approach,
    show: &mut impl Show,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let mut cluster = Cluster::start(options, setting, approach).await?;
    let victim = options.kill.then_some(VICTIM);
    let summary = run_on(&mut cluster, setting, approach, victim, show, stop).await;
    // Also where it failed: nothing is left behind.
    cluster.end().await;
    summary
}

async fn run_on(
    cluster: &mut Cluster,
    setting: &Setting,
    approach: Approach,
    mut victim: Option<usize>,
    show: &mut impl Show,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let record = Arc::new(Record::default());
    let options = PlayOptions {
        address: cluster.listener(),
        patience: if victim.is_some() {
            PATIENCE_AFTER_DEATH
        } else {
            PATIENCE
        },
    };
    let begun = watch::Sender::new(None);
    let mut watch = Watch::new(cluster.api());
    let mut begins = begun.subscribe();
    let play = play(&setting.schedule, &options, record.clone(), begun, stop);
    tokio::pin!(play);
    let begin = tokio::select! {
        played = &mut play => return played.and(Err(anyhow::anyhow!("the load ended before it began"))),
        begin = begins.wait_for(Option::is_some) => begin?.unwrap_or_else(Instant::now),
    };
    let began_ms = unix_ms() + begin.saturating_duration_since(Instant::now()).as_millis() as u64;
    let mut seconds = interval_at(begin + Duration::from_secs(1), Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            played = &mut play => {
                played?;
                break;
            }
            _ = seconds.tick() => {}
        }
        cluster.check()?;
        tokio::select! {
            // The load's end is noticed in the next round.
            () = watch.look() => {}
            played = &mut play => {
                played?;
                break;
            }
        }
        let second = begin.elapsed().as_secs() as u32;
        if second >= setting.schedule.seconds() / 2
            && let Some(victim) = victim.take()
            && let Some(name) = cluster.kill(victim).await
        {
            show.say(second, &format!("{name}: killed; its users go on elsewhere"))?;
        }
        show.moment(&Moment {
            second,
            began_ms,
            watch: &watch,
            record: &record,
        })?;
    }
    show.end()?;
    let lasted = begin.elapsed().as_secs_f64().ceil() as u32;
    watch.finish().await?;
    let stats = cluster.stats().await?;
    let replayed = cluster.replayed().await?;
    Ok(Summary::new(
        approach,
        lasted.min(setting.schedule.seconds()),
        &record,
        &watch.moves,
        &stats,
        &replayed,
    ))
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}
