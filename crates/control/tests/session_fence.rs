//! What a node writes to a session that it does not serve any more is refused, and it is told who serves it.

mod common;

use common::{app, node, start_with_sessions};
use foreshift_store::Served;
use foreshift_wire::SessionId;

#[test]
fn a_node_that_lost_the_session_is_fenced_and_told_who_has_it() {
    let (running, sessions) = start_with_sessions("");
    let id = SessionId(rand::random());
    let key = format!("/v1/sessions/{id}/partitions/cart/k");
    running.get(&key).problem(404);
    let Served::Since(first) = sessions.serving(&app(), id, &node("a")) else {
        panic!("revoked")
    };
    let put = |node: &str, epoch: u64| {
        let epoch = epoch.to_string();
        running.send(
            "PUT",
            &key,
            Some("v"),
            &[("foreshift-node", node), ("foreshift-epoch", &epoch)],
        )
    };
    assert_eq!(put("a", first.0).status, 201);
    let Served::Since(second) = sessions.serving(&app(), id, &node("b")) else {
        panic!("revoked")
    };
    for (node, epoch) in [("a", first.0), ("a", second.0), ("b", first.0)] {
        let refused = put(node, epoch);
        let detail = refused.problem(409);
        assert!(detail.contains("served by b"), "{detail}");
        assert_eq!(refused.json()["owner"], "b");
        assert_eq!(refused.json()["epoch"], second.0);
    }
    assert_eq!(put("b", second.0).status, 204);
    let shown = running.get(&format!("/v1/sessions/{id}")).ok();
    assert_eq!(
        (&shown["owner"], &shown["epoch"]),
        (&"b".into(), &second.0.into())
    );
}
