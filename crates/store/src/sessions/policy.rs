//! What holds for a partition by what is declared of it.

use foreshift_wire::{PartitionName, PoolName, Session, Undeclared};

use super::declared::declared;
use crate::{Refusal, engine::Expiry};

/// What holds for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) max_bytes: u64,
    /// It ends so long after its last write.
    pub(super) lifetime_ms: Option<u64>,
    /// Only who is allowed to by its name may read it.
    pub(super) is_secret: bool,
    /// Nobody declared it, and undeclared ones take no values.
    pub(super) is_refused: bool,
}

impl Rules {
    /// For a partition of sessions of a pool.
    pub(super) fn of(config: &Session, pool: Option<&PoolName>, name: &PartitionName) -> Self {
        let declared = declared(config, pool, name);
        Self {
            max_bytes: declared.and_then(|d| d.max_bytes).unwrap_or(config.max_bytes),
            lifetime_ms: declared
                .and_then(|d| d.lifetime)
                .map(|lifetime| lifetime.get().as_millis() as u64),
            is_secret: declared.is_some_and(|d| d.secret),
            is_refused: declared.is_none() && config.undeclared == Undeclared::Refuse,
        }
    }

    /// Refuses values in a partition that may have none. Removing what it has is no harm.
    pub(super) fn check(&self, name: &PartitionName, has_values: bool) -> Result<(), Refusal> {
        match self.is_refused && has_values {
            true => Err(Refusal::Undeclared(name.clone())),
            false => Ok(()),
        }
    }

    /// When the partition ends after a write that says so: not later than its lifetime.
    pub(super) fn expiry(&self, said: Expiry, now_ms: u64) -> Expiry {
        let Some(lifetime_ms) = self.lifetime_ms else {
            return said;
        };
        let latest = now_ms.saturating_add(lifetime_ms);
        match said {
            Expiry::At(at) => Expiry::At(at.min(latest)),
            Expiry::Keep | Expiry::Never => Expiry::At(latest),
        }
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{Duration, PartitionPattern, SessionPartition};

    use super::*;

    fn declared(name: &str, pool: Option<&str>, max_bytes: u64) -> SessionPartition {
        SessionPartition {
            name: PartitionPattern::new(name).unwrap(),
            pool: pool.map(|p| PoolName::new(p).unwrap()),
            max_bytes: Some(max_bytes),
            lifetime: None,
            required_by: Vec::new(),
            secret: name == "auth",
        }
    }

    #[test]
    fn what_is_declared_holds_and_else_what_is_configured_for_all() {
        let config = Session {
            max_bytes: 7,
            undeclared: Undeclared::Refuse,
            partition: vec![declared("auth", Some("app"), 10)],
            ..Session::default()
        };
        for (pool, name, max_bytes, is_secret, is_refused) in [
            (Some("app"), "auth", 10, true, false),
            (Some("other"), "auth", 7, false, true),
            (None, "cart", 7, false, true),
        ] {
            let pool = pool.map(|p| PoolName::new(p).unwrap());
            let name = PartitionName::new(name).unwrap();
            let rules = Rules::of(&config, pool.as_ref(), &name);
            let expected = Rules {
                max_bytes,
                lifetime_ms: None,
                is_secret,
                is_refused,
            };
            assert_eq!(rules, expected, "{pool:?} {name}");
            assert_eq!(rules.check(&name, true).is_err(), is_refused);
            assert!(rules.check(&name, false).is_ok());
        }
    }

    #[test]
    fn a_partition_ends_within_its_lifetime_after_each_write() {
        let mut cart = declared("cart", None, 1);
        cart.lifetime = Some(Duration::from_secs(1));
        let config = Session {
            partition: vec![cart],
            ..Session::default()
        };
        let rules = |name| Rules::of(&config, None, &PartitionName::new(name).unwrap());
        for (said, expected) in [
            (Expiry::Keep, Expiry::At(1_500)),
            (Expiry::Never, Expiry::At(1_500)),
            (Expiry::At(1_200), Expiry::At(1_200)),
            (Expiry::At(9_999), Expiry::At(1_500)),
        ] {
            assert_eq!(rules("cart").expiry(said, 500), expected);
            assert_eq!(rules("other").expiry(said, 500), said);
        }
    }
}
