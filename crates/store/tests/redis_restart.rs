//! What was acknowledged is there after the server was killed and started again, where it appends to its file always.

mod common;

use common::{
    redis::{Server, is_installed},
    sessions::{begin, only, set},
};
use foreshift_store::engine::{Engine, If, Outcome, Redis};
use foreshift_wire::{Session, SessionId};

#[tokio::test]
async fn acknowledged_writes_survive_a_killed_server() {
    if !is_installed() {
        return;
    }
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let session = Session {
        timeout: foreshift_wire::Duration::from_secs(30),
        ..server.session()
    };
    let engine = Redis::open(&session).unwrap();
    begin(&engine, (0..20).map(SessionId)).await;
    for n in 0..20 {
        engine
            .write(set(SessionId(n), 5, If::Absent, "k", &n.to_string()))
            .await
            .unwrap();
    }
    server.kill();
    // One that comes while it is away waits for it.
    let waits = engine.write(set(SessionId(0), 6, If::Present, "k", "later"));
    let ((), waited) = tokio::join!(server.run(), waits);
    assert_eq!(waited.unwrap(), Outcome::Done { removed: 0, added: 0 });
    assert_eq!(only(&engine, SessionId(0)).await, (6, "later".into()));
    for n in 1..20 {
        assert_eq!(only(&engine, SessionId(n)).await, (5, n.to_string()));
    }
}
