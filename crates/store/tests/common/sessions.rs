//! Small sessions for tests of engines.

use bytes::Bytes;
use foreshift_store::engine::{Engine, Expiry, Fence, If, Outcome, Put, Record, Rows, Select, Write};
use foreshift_wire::{Epoch, NodeId, PartitionName, SessionId, Version};

/// All times of these tests.
pub(crate) const NOW_MS: u64 = 4_000_000_000_000;

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::new(name).expect("a plain name")
}

pub(crate) fn cart() -> PartitionName {
    PartitionName::new("cart").expect("a plain name")
}

/// A record of a session that one node serves.
pub(crate) fn record(owner: &str, epoch: u64) -> Record {
    Record {
        pool: None,
        created_ms: NOW_MS,
        used_ms: NOW_MS,
        ends_ms: NOW_MS + 3_600_000,
        owner: Some(node(owner)),
        epoch: Epoch(epoch),
        revoked_ms: None,
        key: Bytes::from_static(b"wrapped"),
    }
}

/// Begins sessions.
pub(crate) async fn begin(engine: &dyn Engine, ids: impl IntoIterator<Item = SessionId>) {
    for id in ids {
        let stored = engine.put_record(id, None, record("a", 1)).await.expect("begin");
        assert_eq!(stored, Ok(()));
    }
}

/// Sets one key of the cart.
pub(crate) fn set(session: SessionId, version: u64, condition: If, key: &str, value: &str) -> Write {
    Write {
        session,
        partition: cart(),
        fence: Fence::default(),
        version: Version(version),
        condition,
        replace: false,
        puts: vec![Put {
            key: Bytes::copy_from_slice(key.as_bytes()),
            condition: If::Any,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
        }],
        expiry: Expiry::Keep,
        max_bytes: 1 << 20,
        max_session_bytes: 1 << 20,
        now_ms: NOW_MS,
    }
}

/// All of the cart.
pub(crate) async fn all(engine: &dyn Engine, session: SessionId) -> Rows {
    let rows = engine.read(session, cart(), Select::All, NOW_MS).await;
    rows.expect("read").expect("the cart is there")
}

/// The cart's only value, and its version.
pub(crate) async fn only(engine: &dyn Engine, session: SessionId) -> (u64, String) {
    let rows = all(engine, session).await;
    assert_eq!(rows.rows.len(), 1);
    let value = rows.rows[0].value.clone().expect("a value");
    (
        rows.head.version.0,
        String::from_utf8(value.to_vec()).expect("text"),
    )
}

/// One key came, or changed.
pub(crate) fn done(added: u32) -> Outcome {
    Outcome::Done { removed: 0, added }
}
