//! What the configuration declares of partitions.

use foreshift_wire::{PartitionName, PoolName, Session, SessionPartition};

/// What is declared of a partition of a pool's session: the first that matches.
pub(crate) fn declared<'a>(
    config: &'a Session,
    pool: Option<&PoolName>,
    partition: &PartitionName,
) -> Option<&'a SessionPartition> {
    let mut all = config.partition.iter();
    all.find(|one| (one.pool.is_none() || one.pool.as_ref() == pool) && one.name.matches(partition))
}

#[cfg(test)]
mod tests {
    use foreshift_wire::PartitionPattern;

    use super::*;

    #[test]
    fn the_first_that_matches_counts() {
        let one = |name: &str, pool: Option<&str>, max_bytes| SessionPartition {
            name: PartitionPattern::new(name).unwrap(),
            pool: pool.map(|pool| PoolName::new(pool).unwrap()),
            max_bytes: Some(max_bytes),
            lifetime: None,
            required_by: Vec::new(),
            secret: false,
        };
        let config = Session {
            partition: vec![
                one("game/map", Some("app"), 1),
                one("game/*", None, 2),
                one("*", Some("app"), 3),
            ],
            ..Session::default()
        };
        for (pool, partition, found) in [
            (Some("app"), "game/map", Some(1)),
            (Some("other"), "game/map", Some(2)),
            (None, "game/map", Some(2)),
            (Some("app"), "cart", Some(3)),
            (Some("other"), "cart", None),
            (None, "cart", None),
        ] {
            let pool = pool.map(|pool| PoolName::new(pool).unwrap());
            let partition = PartitionName::new(partition).unwrap();
            let declared = declared(&config, pool.as_ref(), &partition);
            assert_eq!(declared.and_then(|d| d.max_bytes), found, "{pool:?} {partition}");
        }
    }
}
