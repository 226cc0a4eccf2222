//! Keys that nobody uses fall back to their buckets.

mod common;

use common::{TWO_NODES, app, config, connection, node, start, start_with_connections};
use foreshift_meta::{Meta, Txn};
use foreshift_wire::{Override, SessionId};

fn expired(session: SessionId) -> Override {
    Override {
        session,
        node: node("b"),
        moving_from: None,
        move_id: None,
        expires_ms: Some(1),
        pinned: false,
    }
}

#[test]
fn an_idle_key_goes_back_and_one_with_an_open_connection_stays() {
    let meta = Meta::in_memory();
    let (idle, open) = (SessionId(1), SessionId(2));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let txn = Txn::new()
        .put_override(&app(), &expired(open))
        .put_override(&app(), &expired(idle));
    runtime.block_on(meta.commit(txn)).unwrap();
    let running = start_with_connections(meta, vec![connection(7, "b", open, "k")]);
    let left = running.until("one of them is left", |running| {
        let left = running.routes().overrides;
        (left.len() == 1 && left[0].expires_ms > Some(1)).then_some(left)
    });
    assert_eq!(left[0].session, open);
}

#[test]
fn a_pin_with_a_time_to_live_ends_without_moving_the_key() {
    let running = start(&config(TWO_NODES));
    let home = running.get("/v1/pools/app/affinity/k").ok()["node"]
        .as_str()
        .unwrap()
        .to_owned();
    running
        .put(
            "/v1/pools/app/affinity/k",
            &format!("{{\"node\":\"{home}\",\"ttl_s\":1}}"),
        )
        .ok();
    let ended = running.until("the pin ends", |running| {
        let set = running.routes().overrides[0].clone();
        (!set.pinned).then_some(set)
    });
    assert_eq!(ended.node.as_str(), home);
    assert!(running.moves().is_empty());
}
