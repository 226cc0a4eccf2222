//! What goes wrong beside the loop does not end it.

mod common;

use common::{TWO_NODES, config, start};
use foreshift_control::Error;

#[test]
fn a_data_plane_that_panics_does_not_end_the_loop() {
    let running = start(&config(TWO_NODES));
    running.plane.set(|seen| seen.panics = true);
    running.next_tick();
    running.next_tick();
    running.plane.set(|seen| {
        seen.panics = false;
        seen.pools = vec![common::pool_report(vec![common::node_report("a", 1, 4)])];
    });
    running.until("it is seen again", |running| {
        (running.get("/v1/pools/app/nodes").ok()[0]["signals"]["connections"] == 4.0).then_some(())
    });
}

#[test]
fn a_port_in_use_and_an_address_for_everyone_are_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let refused = |address: String| {
        let mut config = config(TWO_NODES);
        config.api.address = address.parse().unwrap();
        let (_ingress, events) = tokio::sync::mpsc::unbounded_channel();
        let meta = foreshift_meta::Meta::in_memory();
        runtime
            .block_on(foreshift_control::start(
                &config,
                meta,
                common::Plane::default(),
                events,
            ))
            .unwrap_err()
    };
    let error = refused(taken.local_addr().unwrap().to_string());
    assert!(matches!(error, Error::Listen { .. }), "{error}");
    assert!(error.to_string().contains("choose another port"), "{error}");
    let error = refused("0.0.0.0:0".into());
    assert!(matches!(error, Error::NotLoopback { .. }), "{error}");
}

#[test]
fn a_metadata_write_by_somebody_else_is_read_and_not_overwritten() {
    let running = start(&config(TWO_NODES));
    // Somebody else changes a node behind this control's back.
    let mut record = running.routes().nodes[0].clone();
    record.spec.weight = 3.0;
    let txn = foreshift_meta::Txn::new().put_node(&common::app(), &record);
    running.block_on(running.meta.commit(txn)).unwrap();

    running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
        .problem(409);
    let drained = running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
        .ok();
    assert_eq!(
        (&drained["observed_state"], &drained["weight"]),
        (&"draining".into(), &3.0.into())
    );
}
