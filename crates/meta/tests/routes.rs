//! The typed layer: a table that is loaded and then followed is the same as one loaded later.

use std::collections::BTreeMap;

use foreshift_meta::{
    Error, Meta, Revision, Txn,
    routes::{self, RouteTable, keys},
};
use foreshift_wire::{
    Capacity, MoveId, MovedBucket, NodeId, NodeRecord, NodeSpec, NodeState, Override, PoolName, SessionId,
};
use proptest::prelude::*;

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

fn id(name: &str) -> NodeId {
    NodeId::new(name).unwrap()
}

fn node(name: &str, weight: f64) -> NodeRecord {
    NodeRecord {
        spec: NodeSpec {
            id: id(name),
            address: "127.0.0.1:9001".into(),
            zone: "z1".into(),
            weight,
            maxconn: None,
            capacity: Capacity::default(),
            required_partitions: Vec::new(),
            state: NodeState::Ready,
            runtime: foreshift_wire::Runtime::default(),
        },
        observed: NodeState::Joining,
        reason: None,
        ejected: None,
        warming: None,
        agent: Default::default(),
    }
}

fn placed(session: u128, node: &str) -> Override {
    Override {
        session: SessionId(session),
        node: id(node),
        moving_from: Some(id("a")),
        move_id: Some(MoveId(1)),
        expires_ms: None,
        pinned: false,
    }
}

/// Keeps the table up to date with what the watch tells.
fn follow(table: &mut RouteTable, change: routes::RouteChange) {
    let mut nodes: BTreeMap<_, _> = table.nodes.drain(..).map(|n| (n.spec.id.clone(), n)).collect();
    nodes.extend(change.nodes_set.into_iter().map(|n| (n.spec.id.clone(), n)));
    nodes.retain(|id, _| !change.nodes_removed.contains(id));
    let mut overrides: BTreeMap<_, _> = table.overrides.drain(..).map(|o| (o.session, o)).collect();
    overrides.extend(change.overrides_set.into_iter().map(|o| (o.session, o)));
    overrides.retain(|session, _| !change.overrides_cleared.contains(session));
    let mut buckets: BTreeMap<_, _> = table.buckets.drain(..).map(|b| (b.bucket, b)).collect();
    buckets.extend(change.buckets_set.into_iter().map(|b| (b.bucket, b)));
    buckets.retain(|bucket, _| !change.buckets_cleared.contains(bucket));
    *table = RouteTable {
        revision: change.revision,
        nodes: nodes.into_values().collect(),
        overrides: overrides.into_values().collect(),
        buckets: buckets.into_values().collect(),
    };
}

#[derive(Debug, Clone)]
enum Step {
    Node(u8, bool),
    Override(u128, bool),
    Bucket(u16, bool),
    OtherPool,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8, any::<bool>()).prop_map(|(n, set)| Step::Node(n, set)),
        (0..6_u128, any::<bool>()).prop_map(|(n, set)| Step::Override(n, set)),
        (0..6_u16, any::<bool>()).prop_map(|(n, set)| Step::Bucket(n, set)),
        Just(Step::OtherPool),
    ]
}

fn txn(pool: &PoolName, step: &Step, weight: f64) -> Txn {
    let txn = Txn::new();
    match step {
        Step::Node(n, true) => txn.put_node(pool, &node(&format!("n{n}"), weight)),
        Step::Node(n, false) => txn.delete_node(pool, &id(&format!("n{n}"))),
        Step::Override(n, true) => txn.put_override(pool, &placed(*n, "b")),
        Step::Override(n, false) => txn.delete_override(pool, SessionId(*n)),
        Step::Bucket(bucket, true) => {
            let (bucket, node, move_id) = (*bucket, id("b"), MoveId(weight as u64));
            txn.put_bucket(
                pool,
                &MovedBucket {
                    bucket,
                    node,
                    move_id,
                },
            )
        }
        Step::Bucket(n, false) => txn.delete_bucket(pool, *n),
        Step::OtherPool => txn.put_node(&self::pool("other"), &node("x", 1.0)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_followed_table_is_the_table_loaded_later(
        before in proptest::collection::vec(any_step(), 0..10),
        after in proptest::collection::vec(any_step(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (meta, app) = (Meta::in_memory(), pool("app"));
            for (n, step) in before.iter().enumerate() {
                meta.commit(txn(&app, step, n as f64)).await.unwrap();
            }
            let mut table = RouteTable::load(&meta, &app).await.unwrap();
            let mut watch = table.watch(&meta, &app);
            for (n, step) in after.iter().enumerate() {
                meta.commit(txn(&app, step, n as f64)).await.unwrap();
            }
            // A last change that is certain, so that there is something to wait for.
            let last = meta.commit(txn(&app, &Step::Node(9, true), 1.0)).await.unwrap();
            while table.revision < last {
                follow(&mut table, watch.next().await.unwrap());
            }
            prop_assert_eq!(table, RouteTable::load(&meta, &app).await.unwrap());
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn moves_are_kept_in_order_and_do_not_wake_a_route_watch() {
    use foreshift_wire::{Move, MoveReason, MoveState, Unit};
    let (meta, app) = (Meta::in_memory(), pool("app"));
    let mut watch = RouteTable::load(&meta, &app).await.unwrap().watch(&meta, &app);
    for id_of in [2, 10, 1] {
        let record = Move {
            id: MoveId(id_of),
            pool: app.clone(),
            unit: Unit::Bucket { bucket: 7 },
            from: id("a"),
            to: id("b"),
            reason: MoveReason::Operator,
            benefit: 1.0,
            cost: 0.0,
            priority: 0,
            planned_ms: 0,
            state: MoveState::Moving,
            outcome: None,
        };
        meta.commit(Txn::new().put_move(&record)).await.unwrap();
    }
    let last = meta
        .commit(Txn::new().put_override(&app, &placed(3, "b")))
        .await
        .unwrap();
    let change = watch.next().await.unwrap();
    assert_eq!(
        (change.revision, change.overrides_set),
        (last, vec![placed(3, "b")])
    );
    let ids: Vec<_> = routes::moves(&meta, &app)
        .await
        .unwrap()
        .iter()
        .map(|m| m.id.0)
        .collect();
    assert_eq!(ids, [1, 2, 10]);
    meta.commit(Txn::new().delete_move(&app, MoveId(2)))
        .await
        .unwrap();
    assert_eq!(routes::moves(&meta, &app).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_node_is_written_back_only_over_what_was_read() {
    let (meta, app) = (Meta::in_memory(), pool("app"));
    meta.commit(Txn::new().put_node(&app, &node("n1", 1.0)))
        .await
        .unwrap();
    let (record, revision) = routes::node(&meta, &app, &id("n1")).await.unwrap().unwrap();
    let write = |weight| {
        let changed = node("n1", weight);
        Txn::new()
            .expect(keys::node(&app, &id("n1")), Some(revision))
            .put_node(&app, &changed)
    };
    assert_eq!(record.spec.weight, 1.0);
    meta.commit(write(2.0)).await.unwrap();
    assert!(matches!(
        meta.commit(write(3.0)).await,
        Err(Error::Conflict { .. })
    ));
    assert_eq!(routes::nodes(&meta, &app).await.unwrap()[0].0.spec.weight, 2.0);
    assert!(
        routes::override_of(&meta, &app, SessionId(1))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_and_does_not_stop_the_watch() {
    let (meta, app) = (Meta::in_memory(), pool("app"));
    let mut watch = routes::RouteWatch::new(&meta, &app, Revision(0));
    meta.commit(Txn::new().put(keys::node(&app, &id("n1")), "{}"))
        .await
        .unwrap();
    let named = |e: &Error| matches!(e, Error::Malformed { key, .. } if key == "pools/app/nodes/n1");
    assert!(named(&watch.next().await.unwrap_err()));
    assert!(named(&RouteTable::load(&meta, &app).await.unwrap_err()));
    meta.commit(Txn::new().put_node(&app, &node("n1", 1.0)))
        .await
        .unwrap();
    assert_eq!(watch.next().await.unwrap().nodes_set.len(), 1);
}
