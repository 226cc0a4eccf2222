//! The master keys of the sessions: where they come from at the start, and how one takes another's place while all goes on.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use foreshift_wire::{Session, SessionAccess};
use tokio::{
    sync::{Mutex as AsyncMutex, RwLock, RwLockReadGuard},
    task::{AbortHandle, spawn_blocking},
    time,
};
use tracing::{info, warn};

use super::{Caller, Inner, KEYS_SHARE, Sessions};
use crate::{
    Clock, Engine, Error, KeyId, KeyRole, MasterKey, Refusal,
    seal::{Pass, Seal, pass},
};

/// How often the key file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// And how soon again where something is wrong: a look may mean to go through all sessions.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// A master key, and how many sessions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Which.
    pub key: MasterKey,
    /// Sessions whose own key is wrapped with it.
    pub sessions: u64,
}

/// What rotation keeps in mind.
#[derive(Default)]
pub(super) struct Keeper {
    /// Of passes through all sessions there is one at a time. Whether one is due.
    due: AsyncMutex<bool>,
    /// Sessions begin with it locked for reading, from the choice of the master key until their record is stored.
    begins: RwLock<()>,
    /// What was complained about.
    told: Mutex<Option<String>>,
    watch: Mutex<Option<AbortHandle>>,
}

impl Keeper {
    pub(super) async fn begins(&self) -> RwLockReadGuard<'_, ()> {
        self.begins.read().await
    }

    pub(super) fn stop(&self) {
        if let Some(watch) = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take() {
            watch.abort();
        }
    }

    /// Whether it is another complaint than the last one.
    fn is_new(&self, complaint: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.replace(complaint.to_owned()).as_deref() != Some(complaint)
    }
}

impl Sessions {
    /// Sessions over an engine, sealed with the master keys of `key_file`, which is made where there is none and no session
    /// needs one. The file is looked at about once a second: a new current key is taken up, all sessions' keys are wrapped with it,
    /// and keys that are to retire are taken out.
    pub async fn open_over(engine: Arc<dyn Engine>, config: Session) -> Result<Self, Error> {
        let bytes = config.cache_bytes / KEYS_SHARE;
        let seal = Seal::open(&config.key_file, &*engine, bytes).await?;
        let may_have_old_keys = seal.keys().len() > 1;
        let sessions = Self::sealed(engine, config, seal, Clock::default());
        sessions.take_up().await?;
        // A rotation may have been cut short.
        *sessions.0.keeper.due.lock().await = may_have_old_keys;
        let watch = tokio::spawn(watch(Arc::downgrade(&sessions.0)));
        *sessions
            .0
            .keeper
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(watch.abort_handle());
        Ok(sessions)
    }

    /// The master keys, oldest first, and how many sessions need each: asks all sessions.
    pub async fn keys(&self, caller: &Caller) -> Result<Vec<KeyUse>, Error> {
        caller.may(SessionAccess::Admin, "see", "master keys")?;
        let uses = pass(&*self.0.engine, &self.0.seal, false).await?.uses;
        let used = |key: MasterKey| KeyUse {
            sessions: uses.get(&key.id).copied().unwrap_or_default(),
            key,
        };
        Ok(self.0.seal.keys().into_iter().map(used).collect())
    }

    /// Looks at the key file now, and wraps all sessions' keys with its current key before it returns. Gives how many were wrapped
    /// anew.
    pub async fn reread_keys(&self, caller: &Caller) -> Result<u64, Error> {
        caller.may(SessionAccess::Admin, "rotate", "master keys")?;
        self.reread().await?;
        Ok(self.pass().await?.wrapped)
    }

    /// Removes a master key from the key file, once no session needs it.
    pub async fn retire_key(&self, caller: &Caller, id: KeyId) -> Result<(), Error> {
        caller.may(SessionAccess::Admin, "retire", "master keys")?;
        self.reread().await?;
        let refused = |why: String| Err(Refusal::Invalid(why).into());
        match self.0.seal.keys().iter().find(|key| key.id == id) {
            None => {
                return refused(format!(
                    "there is no master key {id}; `foreshift keys list` shows them"
                ));
            }
            Some(key) if key.is_current() => {
                return refused(format!("master key {id} is the current one; rotate first"));
            }
            Some(_) => {}
        }
        // Who began with it before it was taken over has stored its record now.
        drop(self.0.keeper.begins.write().await);
        let pass = self.pass().await?;
        if let Some(needed) = pass.uses.get(&id) {
            let why = pass.failed.unwrap_or_else(|| "try again".into());
            return refused(format!("{needed} sessions still need master key {id}: {why}"));
        }
        let Some(file) = self.0.seal.file() else {
            return refused("the master keys are in memory only".into());
        };
        blocking(move || file.remove(id)).await?;
        self.reread().await?;
        info!(key = %id, "a master key of sessions was retired");
        Ok(())
    }

    async fn reread(&self) -> Result<(), Error> {
        let inner = self.0.clone();
        if blocking(move || inner.seal.reread()).await? {
            *self.0.keeper.due.lock().await = true;
        }
        Ok(())
    }

    async fn pass(&self) -> Result<Pass, Error> {
        let mut due = self.0.keeper.due.lock().await;
        let leaving = self.0.seal.leaving();
        let pass = pass(&*self.0.engine, &self.0.seal, true).await?;
        let needed = |id: &KeyId| pass.found.contains_key(id) || pass.uses.contains_key(id);
        let gone: Vec<_> = leaving.into_iter().filter(|id| !needed(id)).collect();
        self.0.seal.let_go(&gone);
        // A key that left the file is kept until a pass finds no session that has it.
        *due = pass.failed.is_some() || !self.0.seal.leaving().is_empty() || !self.retiring().is_empty();
        if pass.wrapped > 0 {
            info!(
                sessions = pass.wrapped,
                "wrapped sessions' keys with the current master key"
            );
        }
        Ok(pass)
    }

    /// Whether all is well. What is not is told once.
    async fn look(&self) -> bool {
        let complaint = self
            .try_look()
            .await
            .unwrap_or_else(|error| Some(error.to_string()));
        if let Some(complaint) = &complaint
            && self.0.keeper.is_new(complaint)
        {
            warn!("the master keys of sessions: {complaint}");
        }
        complaint.is_none()
    }

    async fn try_look(&self) -> Result<Option<String>, Error> {
        self.reread().await?;
        if !*self.0.keeper.due.lock().await {
            return Ok(None);
        }
        let failed = self.pass().await?.failed;
        for key in self.retiring() {
            self.retire_key(&Caller::own(), key).await?;
        }
        Ok(failed)
    }

    fn retiring(&self) -> Vec<KeyId> {
        let keys = self.0.seal.keys().into_iter();
        let retiring = keys.filter(|key| key.role == KeyRole::Retiring);
        retiring.map(|key| key.id).collect()
    }
}

/// Ends when nobody has the sessions any more.
async fn watch(sessions: Weak<Inner>) {
    let mut pause = LOOK;
    loop {
        time::sleep(pause).await;
        let Some(inner) = sessions.upgrade() else {
            return;
        };
        pause = match Sessions(inner).look().await {
            true => LOOK,
            false => AFTER_FAILURE,
        };
    }
}

/// Files are read and written where waiting for the disk is no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(Error::Unavailable {
            detail: format!("a task of the key file ended early: {error}"),
            unknown: false,
        })
    })
}
