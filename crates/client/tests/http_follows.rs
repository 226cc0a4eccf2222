//! An HTTP client is told to move by a header of an answer, and follows it without losing a request.

#[path = "../../ingress/tests/common/mod.rs"]
mod common;

use bytes::Bytes;
use common::{Cluster, HOOKS, node_id};
use foreshift_client::{HttpClient, HttpOptions};
use foreshift_wire::{Answer, IngressEvent};
use http::{Request, Response};

fn request() -> Request<Bytes> {
    Request::get("/work?id=1")
        .header("x-user", "ann")
        .body(Bytes::new())
        .expect("a request")
}

async fn ask(client: &mut HttpClient) -> Response<Bytes> {
    let answer = client.send(request()).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer
}

fn handled(cluster: &Cluster) -> [u64; 2] {
    [0, 1].map(|node| cluster.backend(node).stats().handled)
}

#[tokio::test]
async fn a_client_comes_with_its_token_and_its_session_is_handed_over_then() {
    // So many a second that the delay rounds to nothing.
    let pace = "reconnects_per_second = 100000";
    let pool = format!("{HOOKS}migration_strategy = \"client\"\n{pace}\n");
    let mut cluster = Cluster::start(2, &pool).await;
    let origin = format!("http://{}", cluster.address());
    let mut client = HttpClient::new(&origin, HttpOptions::default()).expect("an address");
    ask(&mut client).await;
    let mut from = usize::from(handled(&cluster)[1] > 0);
    for round in 1..=3 {
        let before = handled(&cluster);
        let id = cluster.order("ann", from, 1 - from).await;
        let mut asked = 0;
        // The order takes effect a moment later; every answer until then is whole.
        let migrate = loop {
            let answer = ask(&mut client).await;
            asked += 1;
            if let Some(value) = answer.headers().get("foreshift-migrate") {
                let alt_svc = answer.headers()["alt-svc"].to_str().expect("text");
                let authority = origin.trim_start_matches("http://");
                assert_eq!(alt_svc, format!("http%2F1.1=\"{authority}\"; ma=30"));
                break value.to_str().expect("text").to_owned();
            }
        };
        assert!(
            migrate.starts_with(&format!("url=\"{origin}\", token=\"v1.")),
            "{migrate}"
        );
        assert!(migrate.ends_with(", within=30, delay=0"), "{migrate}");
        assert_eq!(client.migrations(), round - 1);
        let after = handled(&cluster);
        assert_eq!(
            after[from] - before[from],
            asked,
            "it stays until the client comes"
        );
        assert_eq!(after[1 - from], before[1 - from]);
        ask(&mut client).await;
        assert_eq!(client.migrations(), round);
        let (failure, told) = cluster
            .event(|event| match event {
                IngressEvent::HandedOver {
                    move_id: Some(other),
                    failure,
                    told,
                    ..
                } if other == id => Some((failure, told)),
                _ => None,
            })
            .await;
        assert_eq!(failure, None);
        assert_eq!(told.expect("it was told").answer, Answer::Instructed);
        let before = handled(&cluster)[1 - from];
        ask(&mut client).await;
        assert_eq!(handled(&cluster)[1 - from], before + 1);
        from = 1 - from;
        cluster.settle(cluster.session("ann"), &node_id(from)).await;
    }
    let handed_over = cluster.backend(0).stats().handed_over + cluster.backend(1).stats().handed_over;
    assert_eq!(handed_over, 3);
}

#[tokio::test]
async fn a_token_that_is_none_is_refused() {
    let cluster = Cluster::start(1, "").await;
    let origin = format!("http://{}", cluster.address());
    let mut client = HttpClient::new(&origin, HttpOptions::default()).expect("an address");
    let mut request = request();
    let token = "v1.k0.AAAA.BBBB".parse().expect("a value");
    request.headers_mut().insert("foreshift-token", token);
    let answer = client.send(request).await.expect("an answer");
    assert_eq!(answer.status(), 403);
    assert!(answer.body().starts_with(b"the token"), "{answer:?}");
}

#[test]
fn only_the_address_of_a_server_is_one() {
    for origin in ["", "a.example", "https://a.example", "ftp://a", "http://"] {
        assert!(
            HttpClient::new(origin, HttpOptions::default()).is_err(),
            "{origin}"
        );
    }
}
