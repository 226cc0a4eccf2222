//! After a session was handed on, nothing of the node before is stored any more.

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use common::{
    redis::{Server, is_installed},
    sessions::{begin, node, only, record, set},
};
use foreshift_store::{
    Refusal,
    engine::{Engine, Fence, If, Outcome, Redis},
};
use foreshift_wire::{Epoch, SessionId};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_a_session_writes_nothing_more() {
    if !is_installed() {
        return;
    }
    let server = Server::start(&[]).await;
    let engine = Arc::new(Redis::open(&server.session()).unwrap());
    for round in 0..20 {
        let id = SessionId(round);
        begin(&*engine, [id]).await;
        let (is_fenced, wrote) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let writer = {
            let (engine, is_fenced, wrote) = (engine.clone(), is_fenced.clone(), wrote.clone());
            tokio::spawn(async move {
                for version in 1.. {
                    let was_fenced = is_fenced.load(Ordering::SeqCst);
                    let mut write = set(id, version, If::Any, "k", "old");
                    write.fence = Fence {
                        node: Some(node("a")),
                        epoch: Some(Epoch(1)),
                    };
                    match engine.write(write).await.unwrap() {
                        Outcome::Done { .. } => assert!(!was_fenced, "taken after the fence"),
                        Outcome::Refused(Refusal::Fenced { owner, epoch }) => {
                            assert_eq!((owner, epoch), (Some(node("b")), Epoch(2)));
                            return;
                        }
                        other => panic!("{other:?}"),
                    }
                    wrote.store(true, Ordering::SeqCst);
                }
            })
        };
        while !wrote.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        let stored = engine.put_record(id, Some(record("a", 1)), record("b", 2)).await;
        assert_eq!(stored.unwrap(), Ok(()));
        is_fenced.store(true, Ordering::SeqCst);
        let (version, _) = only(&*engine, id).await;
        writer.await.unwrap();
        assert_eq!(
            only(&*engine, id).await.0,
            version,
            "what was read after the fence stays"
        );
    }
}
