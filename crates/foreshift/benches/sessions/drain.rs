//! Sessions of a node that is drained, with their state: how long until the last one is served by another node, which was sent what it
//! requires of each.
//!
//! The ingress and the store are in this process, as in `foreshift run`; the nodes and the clients, each of which keeps a WebSocket
//! open, are processes of their own. Descriptors bound the sockets.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use foreshift_ingress::{Handle, Start, start_with};
use foreshift_meta::{Meta, Txn};
use foreshift_placement::{Keyed, Secret};
use foreshift_store::Sessions;
use foreshift_wire::{Config, IngressEvent, NodeState, PoolName, SessionId};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::{
    Plan,
    common::{Role, open_files, record},
    data::Draws,
    figure::{Figures, Goal},
    own::{cpu_seconds, heard, shared},
    replay::{self, REQUIRED, SESSION_BYTES},
    state::State,
    store,
    times::Times,
};

/// Descriptors that this process needs besides two for each socket.
const SPARE: u64 = 400;
/// Sessions that are filled at once.
const FILLING: usize = 64;
/// Time without any news after which something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    let count = plan.sessions.min(((open_files() - SPARE) / 2) as usize);
    if count < plan.sessions {
        figures.say(format_args!(
            "{} open files are allowed: {count} sessions instead of {}",
            open_files(),
            plan.sessions
        ));
    }
    for session_bytes in [SESSION_BYTES / 8, SESSION_BYTES] {
        let folder = tempfile::tempdir_in(&plan.folder)?;
        let runtime = store::runtime()?;
        let drained = runtime.block_on(drain(folder.path(), count, session_bytes))?;
        drained.tell(count, session_bytes, figures);
    }
    Ok(())
}

/// What a drain was.
struct Drained {
    took: Duration,
    failed: usize,
    lost: String,
    pauses: Times,
    cpu_s: [f64; 2],
    /// Portions, bytes of their bodies, all bytes of their requests.
    came: [u64; 3],
}

impl Drained {
    fn tell(self, count: usize, session_bytes: usize, figures: &mut Figures) {
        let pauses = self.pauses.sorted();
        let [ours, node] = self.cpu_s;
        let [portions, bodies, bytes] = self.came;
        let all = (count * session_bytes) as f64;
        let note = format!(
            "{} failed, {} clients saw anything; {portions} partitions; pauses p50 {:.1} ms, p99 {:.1} ms; CPU {ours:.1} s here, {node:.1} s the node",
            self.failed,
            self.lost,
            pauses.us(0.5) / 1e3,
            pauses.us(0.99) / 1e3
        );
        let kib = session_bytes / 1024;
        let name = format!("{count} sessions of {kib} KiB replayed");
        figures.add(&name, self.took.as_secs_f64(), "s", Goal::AtMost(10.0), note);
        let note = format!("{:.1} % without the requests' heads", 100.0 * bodies as f64 / all);
        let name = format!("sent of them, {kib} KiB each");
        figures.add(&name, 100.0 * bytes as f64 / all, "%", Goal::None, note);
    }
}

async fn drain(folder: &std::path::Path, count: usize, session_bytes: usize) -> Result<Drained> {
    let (mut old, mut new) = (shared(Role::start("node"))?, shared(Role::start("node"))?);
    let clients = shared(Role::start("clients"))?;
    let (old_at, new_at): (SocketAddr, SocketAddr) = (heard(&mut old)?.parse()?, heard(&mut new)?.parse()?);
    let (meta, pool) = (Meta::in_memory(), PoolName::new("bench")?);
    let secret = Secret::from_bytes(foreshift_meta::routes::secret(&meta, [7; 16]).await?);
    let keyed = Keyed::new(&secret, &pool);
    let ids: Vec<_> = (0..count)
        .map(|index| keyed.session(format!("u{index}").as_bytes()))
        .collect();
    meta.commit(node(Txn::new(), &pool, "old", old_at, NodeState::Ready)?)
        .await?;
    let sessions = Sessions::open(&store::config(folder, store::usual_cache()), &[]).await?;
    let (ingress, mut events) = ingress(&meta, &sessions).await?;
    let mut clients = connect(clients, &ingress, count).await?;
    fill(&sessions, ids, session_bytes).await?;

    let cpu_before = [cpu_seconds(std::process::id())?, cpu_seconds(new.id())?];
    let both = node(Txn::new(), &pool, "new", new_at, NodeState::Ready)?;
    let both = node(both, &pool, "old", old_at, NodeState::Draining)?;
    let begun = Instant::now();
    meta.commit(both).await?;
    let (pauses, failed) = moved(&mut events, count).await?;
    let took = begun.elapsed();
    let cpu_s = [cpu_seconds(std::process::id())?, cpu_seconds(new.id())?];
    shared(new.say("what came"))?;
    let came: Vec<u64> = heard(&mut new)?
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let came: [u64; 3] = came.try_into().ok().context("three counts")?;
    ensure!(
        came[0] as usize >= (count - failed) * REQUIRED.len(),
        "sessions were moved without their state: {} partitions came",
        came[0]
    );
    shared(clients.say("end"))?;
    let lost = heard(&mut clients)?;
    sessions.close().await;
    Ok(Drained {
        took,
        failed,
        lost,
        pauses,
        cpu_s: [cpu_s[0] - cpu_before[0], cpu_s[1] - cpu_before[1]],
        came,
    })
}

async fn ingress(
    meta: &Meta,
    sessions: &Sessions,
) -> Result<(Handle, mpsc::UnboundedReceiver<IngressEvent>)> {
    let config = Config::parse(
        "[session]\n[ingress.limits]\nconnections_per_source = 100000\n[[listener]]\nname = \"bench\"\naddress = \"127.0.0.1:0\"\n\
         pool = \"bench\"\naffinity = [{ header = \"x-user\" }]\n[[pool]]\nname = \"bench\"\nreplay_path = \"/replay\"\n",
    )?;
    let start = Start {
        state: Some(Arc::new(State::new(sessions.clone()))),
        ..Start::default()
    };
    Ok(start_with(&config, meta.clone(), start).await?)
}

/// A node, which requires some partitions.
fn node(txn: Txn, pool: &PoolName, id: &str, address: SocketAddr, state: NodeState) -> Result<Txn> {
    let mut record = shared(record(id, address, state))?;
    let patterns = REQUIRED.iter().map(|name| name.parse());
    record.spec.required_partitions = patterns.collect::<Result<_, _>>()?;
    Ok(txn.put_node(pool, &record))
}

/// Has the clients open their sockets, on another thread as that takes its time.
async fn connect(mut clients: Role, ingress: &Handle, count: usize) -> Result<Role> {
    let address = ingress.addresses()[0].1;
    shared(clients.say(&format!("{address} {count}")))?;
    let opened = tokio::task::spawn_blocking(move || {
        let said = heard(&mut clients);
        (clients, said)
    });
    let (clients, said) = opened.await?;
    ensure!(said? == "open", "the clients could not connect");
    Ok(clients)
}

async fn fill(sessions: &Sessions, ids: Vec<SessionId>, bytes: usize) -> Result<()> {
    let (room, mut fillers) = (Arc::new(Semaphore::new(FILLING)), JoinSet::new());
    for (index, id) in ids.into_iter().enumerate() {
        let (sessions, place) = (sessions.clone(), room.clone().acquire_owned().await?);
        fillers.spawn(async move {
            let draws = &mut Draws::seeded(index as u64);
            let filled = replay::fill(&sessions, id, Draws::bytes, bytes, draws).await;
            drop(place);
            filled
        });
    }
    while let Some(filled) = fillers.join_next().await {
        filled??;
    }
    Ok(())
}

/// Waits until as many sessions have moved, or failed to.
async fn moved(events: &mut mpsc::UnboundedReceiver<IngressEvent>, count: usize) -> Result<(Times, usize)> {
    let (mut pauses, mut done, mut failed) = (Times::default(), 0, 0);
    while done < count {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        let event = event.with_context(|| format!("{done} of {count} sessions were moved"))?;
        if let IngressEvent::HandedOver {
            pauses_us, failure, ..
        } = event.context("the ingress ended")?
        {
            done += 1;
            if let Some(failure) = failure {
                failed += 1;
                if failed == 1 {
                    eprintln!("the first failure: {failure:?}");
                }
            }
            for (_, pause) in pauses_us {
                pauses.note(Duration::from_micros(pause));
            }
        }
    }
    Ok((pauses, failed))
}
