//! Connections to servers: made when they are needed, dropped when they fail or stall, shared meanwhile.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, aio::MultiplexedConnection};
use tokio::time::{Instant, timeout};

use super::{fault::Fault, settings::Settings, slots::Address};

/// So long nobody tries again to reach a server that was not reached.
const PAUSE: Duration = Duration::from_millis(50);

/// One connection, which many use at the same time.
pub(super) struct Lane {
    address: Address,
    state: tokio::sync::Mutex<State>,
    users: AtomicUsize,
    /// The connection, by its number, over which scripts for values that follow were loaded.
    knows_scripts: AtomicU64,
}

#[derive(Default)]
struct State {
    /// How many connections there were.
    generation: u64,
    connection: Option<MultiplexedConnection>,
    failed: Option<(Instant, Fault)>,
}

/// A connection while it is used.
pub(super) struct Use {
    lane: Arc<Lane>,
    generation: u64,
    pub(super) connection: MultiplexedConnection,
}

impl Use {
    /// It failed or stalls: the next one that needs it makes another.
    pub(super) async fn is_broken(&self) {
        let mut state = self.lane.state.lock().await;
        if state.generation == self.generation {
            state.connection = None;
        }
    }
}

impl Use {
    /// The server was told the scripts over this connection, so that it knows them unless somebody flushed them.
    pub(super) fn knows_scripts(&self) -> bool {
        self.lane.knows_scripts.load(Ordering::Relaxed) == self.generation
    }

    pub(super) fn learnt_scripts(&self) {
        self.lane.knows_scripts.store(self.generation, Ordering::Relaxed);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.lane.users.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All servers.
#[derive(Default)]
pub(super) struct Nodes(Mutex<HashMap<Address, Vec<Arc<Lane>>>>);

impl Nodes {
    /// A connection to a server, the least used one.
    pub(super) async fn connection(
        &self,
        settings: &Settings,
        address: &Address,
        writes: bool,
    ) -> Result<Use, Fault> {
        let lane = self.lane(settings, address, writes);
        lane.connection(settings).await
    }

    fn lane(&self, settings: &Settings, address: &Address, writes: bool) -> Arc<Lane> {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || (0..settings.lanes_max()).map(|_| Lane::to(address)).collect();
        let lanes = nodes.entry(address.clone()).or_insert_with(new);
        let lanes = &lanes[settings.lanes(writes)];
        let least = lanes.iter().min_by_key(|lane| lane.users.load(Ordering::Relaxed));
        Arc::clone(least.expect("there are lanes"))
    }

    /// Forgets servers that left.
    pub(super) fn keep(&self, known: &BTreeSet<Address>, seeds: &[Address]) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|address, _| known.contains(address) || seeds.contains(address));
    }

    /// Ends all connections that nobody uses.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Lane {
    fn to(address: &Address) -> Arc<Self> {
        Arc::new(Self {
            address: address.clone(),
            state: tokio::sync::Mutex::default(),
            users: AtomicUsize::new(0),
            knows_scripts: AtomicU64::new(0),
        })
    }

    async fn connection(self: Arc<Self>, settings: &Settings) -> Result<Use, Fault> {
        let mut state = self.state.lock().await;
        if state.connection.is_none() {
            self.connect(&mut state, settings).await?;
        }
        let connection = state.connection.clone().expect("it was just made");
        let generation = state.generation;
        drop(state);
        self.users.fetch_add(1, Ordering::Relaxed);
        Ok(Use {
            lane: self,
            generation,
            connection,
        })
    }

    async fn connect(&self, state: &mut State, settings: &Settings) -> Result<(), Fault> {
        if let Some((at, fault)) = &state.failed
            && at.elapsed() < PAUSE
        {
            return Err(fault.clone());
        }
        let within = settings.attempt();
        // Times are watched where commands are sent, for all that belongs to an attempt.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let made = match Client::open(settings.info(&self.address)) {
            Ok(client) => {
                timeout(
                    within,
                    client.get_multiplexed_async_connection_with_config(&config),
                )
                .await
            }
            Err(error) => Ok(Err(error)),
        };
        let fault = match made {
            Ok(Ok(connection)) => {
                state.generation += 1;
                state.connection = Some(connection);
                state.failed = None;
                return Ok(());
            }
            Ok(Err(error)) => Fault::connecting(&self.address, &error),
            Err(_) => Fault::Unreachable(format!(
                "{} did not answer in time; see whether it runs and can be reached",
                self.address
            )),
        };
        state.failed = Some((Instant::now(), fault.clone()));
        Err(fault)
    }
}
