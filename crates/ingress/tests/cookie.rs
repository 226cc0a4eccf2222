//! A cookie is the key: the client's own, or one that is issued.

mod common;

use common::{
    PATIENCE,
    raw::{Raw, Recorder},
};
use foreshift_meta::Meta;
use foreshift_wire::Config;

/// `Cluster` has other selectors, so this starts its own.
async fn start(node: &Recorder) -> foreshift_ingress::Handle {
    let text = format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         affinity = [{{ cookie = {{ name = \"sid\", issue = true }} }}]\n\
         [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"{}\"\n",
        node.address
    );
    let config = Config::parse(&text).unwrap();
    let meta = Meta::in_memory();
    let pool = &config.pool[0];
    let record = common::record(0, node.address, foreshift_wire::NodeState::Ready);
    meta.commit(foreshift_meta::Txn::new().put_node(&pool.name, &record))
        .await
        .unwrap();
    let (handle, _) = foreshift_ingress::start(&config, meta).await.unwrap();
    handle
}

#[tokio::test]
async fn a_client_without_one_is_issued_one_and_known_by_it() {
    let node = Recorder::start().await;
    let handle = start(&node).await;
    let address = handle.addresses()[0].1;
    let fresh = async |more: &str| {
        let mut client = Raw::connect(address).await;
        client
            .send(format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n"))
            .await;
        client.answer(false).await.field("set-cookie")
    };
    tokio::time::timeout(PATIENCE, async {
        let first = fresh("").await.expect("one is issued");
        let second = fresh("Cookie: other=1\r\n").await.expect("one is issued");
        assert_ne!(first, second);
        let (pair, attributes) = first.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
        let value = pair.strip_prefix("sid=").unwrap();
        assert!(
            value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()),
            "{value}"
        );
        assert_eq!(fresh(&format!("Cookie: other=1; {pair}\r\n")).await, None);
    })
    .await
    .unwrap();
    let sessions: Vec<_> = node
        .heads()
        .iter()
        .map(|h| h.field("foreshift-session").unwrap())
        .collect();
    assert_eq!(
        sessions[0], sessions[2],
        "the issued cookie names the session it was issued with"
    );
    assert_ne!(sessions[0], sessions[1]);
}
