//! Which server to ask: the only one, or of a cluster the one that its slot table names.

use std::{
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use rand::seq::SliceRandom;
use redis::{Pipeline, Value};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{
    fault::Fault,
    nodes::Nodes,
    settings::Settings,
    slots::{Address, Slots},
};

/// A slot table is not asked for again sooner.
const REFRESH: Duration = Duration::from_millis(50);
/// A server is asked for its slot table so long at most: there are others.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Routes {
    seeds: Vec<Address>,
    is_cluster: bool,
    slots: RwLock<Known>,
    asked: Mutex<Option<Instant>>,
}

struct Known {
    slots: Slots,
    is_stale: bool,
}

impl Routes {
    pub(super) fn new(settings: &Settings) -> Self {
        let slots = Slots::unknown();
        let is_stale = true;
        Self {
            seeds: settings.seeds.clone(),
            is_cluster: settings.is_cluster,
            slots: RwLock::new(Known { slots, is_stale }),
            asked: Mutex::default(),
        }
    }

    /// Who has a slot. Asks for the slot table where it is stale.
    pub(super) async fn primary(
        &self,
        slot: u16,
        settings: &Settings,
        nodes: &Nodes,
    ) -> Result<Address, Fault> {
        if !self.is_cluster {
            return Ok(self.seeds[0].clone());
        }
        let known = || self.read(|known| (!known.is_stale).then(|| known.slots.primary(slot).cloned()));
        if let Some(Some(address)) = known() {
            return Ok(address);
        }
        let refreshed = self.refresh(settings, nodes).await;
        let address = self.read(|known| known.slots.primary(slot).cloned());
        match (address, refreshed) {
            (Some(address), _) => Ok(address),
            (None, Err(fault)) => Err(fault),
            (None, Ok(())) => Err(Fault::Later(
                "no server of the cluster has the slot; see `redis-cli cluster info`".into(),
            )),
        }
    }

    /// The servers that have slots, in their order.
    pub(super) async fn primaries(
        &self,
        settings: &Settings,
        nodes: &Nodes,
    ) -> Result<BTreeSet<Address>, Fault> {
        if !self.is_cluster {
            return Ok(self.seeds.iter().cloned().collect());
        }
        self.is_stale();
        self.refresh(settings, nodes).await?;
        Ok(self.read(|known| known.slots.primaries().into_iter().cloned().collect()))
    }

    /// A server said who has a slot now.
    pub(super) fn moved(&self, slot: u16, to: Address) {
        let mut known = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        known.slots.moved(slot, to);
    }

    /// Something is not as the slot table says.
    pub(super) fn is_stale(&self) {
        let mut known = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        known.is_stale = true;
    }

    fn read<T>(&self, with: impl FnOnce(&Known) -> T) -> T {
        with(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks one server after the other for the slot table, once for all that wait for it.
    async fn refresh(&self, settings: &Settings, nodes: &Nodes) -> Result<(), Fault> {
        let mut asked = self.asked.lock().await;
        if !self.read(|known| known.is_stale) || asked.is_some_and(|at| at.elapsed() < REFRESH) {
            return Ok(());
        }
        let mut servers: Vec<_> = self.read(|known| known.slots.all().iter().cloned().collect());
        servers.shuffle(&mut rand::rng());
        servers.extend(self.seeds.iter().cloned());
        let mut fault = None;
        for server in servers {
            match self.ask(&server, settings, nodes).await {
                Ok(slots) => {
                    nodes.keep(slots.all(), &self.seeds);
                    let mut known = self.slots.write().unwrap_or_else(PoisonError::into_inner);
                    (known.slots, known.is_stale) = (slots, false);
                    *asked = Some(Instant::now());
                    return Ok(());
                }
                Err(found) => fault = Some(found),
            }
        }
        *asked = Some(Instant::now());
        Err(fault.unwrap_or_else(|| Fault::refused("session.urls is empty; name a Redis server".into())))
    }

    async fn ask(&self, server: &Address, settings: &Settings, nodes: &Nodes) -> Result<Slots, Fault> {
        let late = |_| Fault::Unreachable(format!("{server} did not answer in time"));
        let mut held = timeout(PATIENCE, nodes.connection(settings, server, false))
            .await
            .map_err(late)??;
        let mut pipe = Pipeline::with_capacity(1);
        pipe.cmd("CLUSTER").arg("SLOTS");
        let answer = timeout(PATIENCE, held.connection.send_packed_commands(&pipe, 0, 1)).await;
        let Ok(Ok(answers)) = answer else {
            held.is_broken().await;
            return Err(Fault::Unreachable(format!("{server} does not tell its slots")));
        };
        match answers.first() {
            Some(Value::ServerError(error)) => Err(Fault::answered(server, error)),
            Some(answer) => Slots::parse(answer, server)
                .ok_or_else(|| Fault::Later(format!("{server} knows no slots; is the cluster created?"))),
            None => Err(Fault::Later(format!("{server} does not tell its slots"))),
        }
    }
}
