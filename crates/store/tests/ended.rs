//! A session that was ended is gone; its id begins anew, empty, where the ingress serves it again.

mod common;

use common::service::{engines, get, node, pool, refusal, set};
use foreshift_store::{Caller, Ending, Refusal, Served, Sessions};
use foreshift_wire::{Epoch, Session, SessionId};

const ID: SessionId = SessionId(7);

#[tokio::test]
async fn its_state_is_gone_and_so_is_the_right_to_write_it() {
    let folder = tempfile::tempdir().unwrap();
    for engine in engines(folder.path()) {
        let sessions = Sessions::over(engine, Session::default());
        let (own, mut endings) = (Caller::own(), sessions.endings());
        assert_eq!(refusal(sessions.end(&own, ID).await), Refusal::NoSession);
        let Served::Since(first) = sessions.serving(&pool(), ID, &node("a")) else {
            panic!("revoked");
        };
        set(&sessions, &own, ID, "cart", "x", Some("1")).await.unwrap();
        let last = sessions.hand(&pool(), ID, &node("b")).await.unwrap();
        sessions.end(&own, ID).await.unwrap();
        let told = endings.recv().await.unwrap();
        assert_eq!((told.session, told.why), (ID, Ending::Ended));
        assert_eq!(
            (told.pool, told.copies),
            (Some(pool()), vec![node("a"), node("b")])
        );
        assert!(told.epoch > last && last > first, "behind all its reigns");
        assert_eq!(
            refusal(get(&sessions, &own, ID, "cart").await),
            Refusal::NoSession
        );
        assert_eq!(
            refusal(set(&sessions, &own, ID, "cart", "x", Some("2")).await),
            Refusal::NoSession
        );
        assert_eq!(refusal(sessions.end(&own, ID).await), Refusal::NoSession);

        let Served::Since(second) = sessions.serving(&pool(), ID, &node("a")) else {
            panic!("revoked");
        };
        let in_reign = |epoch: Epoch| Caller {
            epoch: Some(epoch),
            ..Caller::own()
        };
        let late = set(&sessions, &in_reign(first), ID, "cart", "x", Some("3")).await;
        assert!(matches!(refusal(late), Refusal::Fenced { .. }));
        set(&sessions, &in_reign(second), ID, "cart", "y", Some("4"))
            .await
            .unwrap();
        assert_eq!(
            get(&sessions, &own, ID, "cart").await.unwrap(),
            [("y".into(), "4".into())]
        );
        sessions.close().await;
    }
}
