//! Sessions are made, listed, ended and revoked over HTTP, and what ended is gone.

mod common;

use common::{app, node, start_with_sessions};
use foreshift_store::{Ending, Served};
use foreshift_wire::SessionId;

#[test]
fn a_session_that_ended_begins_anew_and_a_revoked_one_does_not() {
    let (running, sessions) = start_with_sessions("");
    let mut endings = sessions.endings();
    let id = SessionId(rand::random());
    let (session, key) = (
        format!("/v1/sessions/{id}"),
        format!("/v1/sessions/{id}/partitions/cart/k"),
    );
    assert!(matches!(
        sessions.serving(&app(), id, &node("a")),
        Served::Since(_)
    ));
    running.put(&key, "v").ok();
    assert_eq!(running.delete(&session).status, 204);
    let ended = endings.try_recv().expect("it is told");
    assert_eq!((ended.session, ended.why), (id, Ending::Ended));
    running.get(&key).problem(404);
    assert!(matches!(
        sessions.serving(&app(), id, &node("a")),
        Served::Since(_)
    ));
    running.get(&key).problem(404);
    running.put(&key, "anew").ok();

    let revoke = || {
        running
            .send("POST", &format!("{session}/revoke"), None, &[])
            .status
    };
    assert_eq!((revoke(), revoke()), (204, 204));
    let ended = endings.try_recv().expect("it is told");
    assert_eq!((ended.session, ended.why), (id, Ending::Revoked));
    assert!(matches!(
        sessions.serving(&app(), id, &node("b")),
        Served::Revoked
    ));
    for method in ["GET", "PUT", "DELETE"] {
        running.send(method, &key, None, &[]).problem(410);
    }
    running.get(&session).problem(410);
    let listed = running.get("/v1/sessions").ok();
    assert_eq!(listed["sessions"][0]["id"], id.to_string());
    assert!(listed["sessions"][0]["revoked_ms"].as_u64().is_some());
}

#[test]
fn every_session_that_is_there_is_listed_by_pages() {
    let (running, _) = start_with_sessions("");
    let made: std::collections::BTreeSet<String> = (0..700)
        .map(|_| {
            running.send("POST", "/v1/sessions", None, &[]).json()["id"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    let (mut listed, mut path) = (std::collections::BTreeSet::new(), "/v1/sessions".to_owned());
    loop {
        let page = running.get(&path).ok();
        for session in page["sessions"].as_array().unwrap() {
            listed.insert(session["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/sessions?after={next}");
    }
    assert_eq!(listed, made);
}
