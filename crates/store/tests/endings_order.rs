//! Who hears that a session ended finds it ended: whoever was let in before asks anew then, and must hear of no reign that is over.

mod common;

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake},
};

use common::service::{at_a_clock, node, pool, set};
use foreshift_store::{Caller, Served, Sessions};
use foreshift_wire::SessionId;

const ID: SessionId = SessionId(7);

/// Asks who serves the session at the very moment in which its end is told.
struct Asks {
    sessions: Sessions,
    heard: Mutex<Vec<Served>>,
}

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        let served = self.sessions.serving(&pool(), ID, &node("a"));
        self.heard.lock().unwrap().push(served);
    }
}

#[tokio::test]
async fn who_hears_of_an_ending_hears_of_no_reign_before_it() {
    for revokes in [false, true] {
        let (sessions, _) = at_a_clock(Default::default());
        let own = Caller::own();
        let before = sessions.serving(&pool(), ID, &node("a"));
        set(&sessions, &own, ID, "cart", "x", Some("1")).await.unwrap();
        let mut endings = sessions.endings();
        let asks = Arc::new(Asks {
            sessions: sessions.clone(),
            heard: Mutex::default(),
        });
        let waker = asks.clone().into();
        let mut ending = pin!(endings.recv());
        let nothing = ending.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(nothing, Poll::Pending));
        match revokes {
            true => sessions.revoke(&own, ID).await.unwrap(),
            false => sessions.end(&own, ID).await.unwrap(),
        }
        let heard = asks.heard.lock().unwrap().clone();
        let ended = ending.await.unwrap();
        assert_eq!(ended.copies, [node("a")], "it is known who served it");
        match (&heard[..], before) {
            ([Served::Revoked], _) => assert!(revokes),
            ([Served::Since(now)], Served::Since(before)) => assert!(!revokes && *now > before),
            other => panic!("{other:?}"),
        }
    }
}
