//! The TypeScript client in Node is told to move twenty times, and follows, or refuses and is moved by the ingress.

mod common;

use common::{
    foreshift::Foreshift,
    numbers::{MOVES, POOL, Told, client_js, move_to_and_fro, nodes},
    peers::node_client,
};

#[test]
fn a_socket_in_node_stays_through_twenty_instructed_migrations() {
    stays(None, Told::Follows);
}

/// The ingress goes by the name under which it was asked, and the client does not follow to a name that it does not know.
#[test]
fn a_client_that_refuses_to_move_is_moved_by_the_ingress() {
    stays(Some("elsewhere.example"), Told::Refuses);
}

#[track_caller]
fn stays(host: Option<&str>, told: Told) {
    let nodes = nodes();
    let foreshift = Foreshift::start(&[&nodes[0], &nodes[1]], POOL);
    let url = format!("ws://{}/ws?user=node", foreshift.web);
    let mut client = node_client(&client_js(), &url, MOVES, host);
    move_to_and_fro(&foreshift, nodes, told);
    assert_eq!(client.event("closed")["code"], 1000);
    assert!(client.ended().success());
}
