//! Takes a new configuration over while everything runs.
//!
//! What can fail is done first: models are read. Then each pool's loop is given its settings; pools that are new are
//! started, those that are gone end. Their metadata stays, and is found again where they come back.

use foreshift_wire::{Config, PoolName, Reloaded};
use tokio::sync::oneshot;

use crate::{Error, pool::NewSettings, start::Handle};

/// Somebody asked over the API for the configuration to be read again.
#[derive(Debug)]
pub struct ReloadRequest {
    /// What changed; or why nothing did, with the keys and lines that are to blame.
    pub answer: oneshot::Sender<Result<Reloaded, String>>,
}

/// A configuration whose models can be had: nothing of it applies yet.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    pools: Vec<NewSettings>,
}

impl Handle {
    /// Does all of a reload that can fail but writing to metadata. An error names the key.
    pub fn prepare(&self, config: &Config) -> Result<Prepared, Error> {
        let running = &self.ground.config;
        let mut pools = Vec::new();
        for (index, settings) in config.pool.iter().enumerate() {
            let before = running.pool.iter().find(|pool| pool.name == settings.name);
            let before = before.map(|pool| (pool, &running.forecast));
            pools.push(NewSettings::read(index, settings, &config.forecast, before)?);
        }
        Ok(Prepared {
            config: config.clone(),
            pools,
        })
    }

    /// Takes a prepared configuration over. An error is one of the metadata: pools before the one that it names have
    /// their new settings, the others their old ones.
    pub async fn apply(&mut self, prepared: Prepared) -> Result<(), Error> {
        let Prepared { config, pools } = prepared;
        let stays = |name: &PoolName| config.pool.iter().any(|pool| pool.name == *name);
        let gone: Vec<PoolName> = self
            .ground
            .pools
            .all()
            .keys()
            .filter(|n| !stays(n))
            .cloned()
            .collect();
        for new in pools {
            match self.ground.pools.get(&new.settings.name) {
                Some(pool) => pool.configure(new).await?,
                None => self.start_pool(new).await?,
            }
        }
        for name in gone {
            if let Some(pool) = self.ground.pools.remove(&name) {
                pool.end().await;
            }
        }
        self.ground.config = config;
        Ok(())
    }
}
