//! Keys that the ingress issues: they suit the node that they go to, and stay with it.

mod common;

use common::{
    HOOKS, PATIENCE,
    raw::{Raw, RawNode, Recorder},
    record,
};
use foreshift_ingress::Handle;
use foreshift_meta::{Meta, Txn};
use foreshift_wire::{Config, Ejection, NodeRecord, NodeState};
use tokio::time::timeout;

/// An ingress in zone `near` that issues cookies, with these nodes from the start on.
async fn start(pool: &str, records: &[NodeRecord]) -> Handle {
    let text = format!(
        "[ingress]\nzone = \"near\"\nworkers = 1\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         affinity = [{{ cookie = {{ name = \"sid\", issue = true }} }}]\n\
         [[pool]]\nname = \"app\"\n{pool}\n"
    );
    let config = Config::parse(&text).unwrap();
    let meta = Meta::in_memory();
    let name = &config.pool[0].name;
    let put = |txn: Txn, record| txn.put_node(name, record);
    meta.commit(records.iter().fold(Txn::new(), put)).await.unwrap();
    foreshift_ingress::start(&config, meta).await.unwrap().0
}

async fn recorders(count: usize) -> Vec<Recorder> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(Recorder::start().await);
    }
    nodes
}

/// The first half of the nodes is in the ingress' zone.
fn in_zones(nodes: &[Recorder]) -> Vec<NodeRecord> {
    let zoned = |(index, node): (usize, &Recorder)| {
        let mut record = record(index, node.address, NodeState::Ready);
        record.spec.zone = if index < nodes.len() / 2 { "near" } else { "far" }.into();
        record
    };
    nodes.iter().enumerate().map(zoned).collect()
}

/// Asks once, with a cookie where there is one; returns the one that is issued.
async fn ask(client: &mut Raw, cookie: Option<&str>) -> Option<String> {
    let cookie = cookie.map_or(String::new(), |c| format!("Cookie: {c}\r\n"));
    client
        .send(format!("GET / HTTP/1.1\r\nHost: a\r\n{cookie}\r\n"))
        .await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status(), 200);
    let issued = answer.field("set-cookie")?;
    Some(issued.split(';').next().unwrap().to_owned())
}

/// That many clients come without a cookie.
async fn newcomers(handle: &Handle, count: usize) -> Vec<String> {
    let mut client = Raw::connect(handle.addresses()[0].1).await;
    let mut cookies = Vec::new();
    for _ in 0..count {
        cookies.push(ask(&mut client, None).await.expect("one is issued"));
    }
    cookies
}

fn requests(nodes: &[Recorder]) -> Vec<usize> {
    nodes.iter().map(|node| node.heads().len()).collect()
}

#[tokio::test]
async fn new_keys_are_of_the_own_zone_and_stay_on_their_node() {
    let nodes = recorders(4).await;
    let handle = start("zone_preference = 4", &in_zones(&nodes)).await;
    let cookies = newcomers(&handle, 60).await;
    let first = requests(&nodes);
    assert_eq!(first[2..], [0, 0], "the other zone has none of {first:?}");
    assert!(first[0] > 0 && first[1] > 0, "{first:?}");
    let mut client = Raw::connect(handle.addresses()[0].1).await;
    for cookie in &cookies {
        assert_eq!(ask(&mut client, Some(cookie)).await, None);
    }
    let twice: Vec<_> = first.iter().map(|n| 2 * n).collect();
    assert_eq!(requests(&nodes), twice, "each came back to its node");
}

#[tokio::test]
async fn beyond_the_bound_new_keys_go_to_the_other_zone() {
    let nodes = recorders(4).await;
    let handle = start("zone_preference = 1.5", &in_zones(&nodes)).await;
    newcomers(&handle, 200).await;
    let seen = requests(&nodes);
    // 1.5 quarters of 200 each. The open connection counts too, and older keys a little less.
    for own in &seen[..2] {
        assert!((65..=80).contains(own), "{seen:?}");
    }
    assert!(seen[2] > 0 && seen[3] > 0, "{seen:?}");
}

#[tokio::test]
async fn without_a_preference_zones_do_not_matter() {
    let nodes = recorders(4).await;
    let handle = start("", &in_zones(&nodes)).await;
    newcomers(&handle, 120).await;
    let seen = requests(&nodes);
    assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
}

#[tokio::test]
async fn keys_that_clients_bring_go_where_the_map_says() {
    let nodes = recorders(4).await;
    let handle = start("zone_preference = 4", &in_zones(&nodes)).await;
    let mut client = Raw::connect(handle.addresses()[0].1).await;
    for n in 0..120 {
        assert_eq!(ask(&mut client, Some(&format!("sid=brought-{n}"))).await, None);
    }
    let seen = requests(&nodes);
    assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
}

#[tokio::test]
async fn no_new_key_goes_to_a_node_that_is_left_out() {
    let nodes = recorders(2).await;
    let mut records = in_zones(&nodes);
    records[0].ejected = Some(Ejection {
        since_ms: 0,
        until_ms: u64::MAX,
        times: 1,
        reason: "the test says so".into(),
    });
    let handle = start(&format!("{HOOKS}outlier = {{}}"), &records).await;
    newcomers(&handle, 60).await;
    assert_eq!(requests(&nodes), [0, 60]);
    let mut client = Raw::connect(handle.addresses()[0].1).await;
    for n in 0..60 {
        ask(&mut client, Some(&format!("sid=brought-{n}"))).await;
    }
    assert!(
        requests(&nodes)[0] > 0,
        "sessions of a pool with state stay with it"
    );
}

#[tokio::test]
async fn no_new_key_waits_for_a_node_that_is_full_while_another_has_room() {
    let (full, free) = (RawNode::start().await, Recorder::start().await);
    let mut records = [
        record(0, full.address, NodeState::Ready),
        record(1, free.address, NodeState::Ready),
    ];
    records[0].spec.maxconn = Some(1);
    let handle = start("", &records).await;
    // Clients come until one is at the node that does not answer, and stays there.
    let address = handle.addresses()[0].1;
    let mut clients = Vec::new();
    let at_node = async {
        let mut at_node = full.accept().await;
        at_node.request().await.expect("the request");
        at_node
    };
    let coming = async {
        loop {
            let mut client = Raw::connect(address).await;
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
            clients.push(client);
            tokio::task::yield_now().await;
        }
    };
    let _at_node = timeout(PATIENCE, async {
        tokio::select! { node = at_node => node, () = coming => unreachable!("it does not end") }
    })
    .await
    .expect("one goes there");
    // All others are answered, however soon they came behind that one.
    let before = free.heads().len();
    let cookies = timeout(PATIENCE, newcomers(&handle, 60)).await.unwrap();
    assert_eq!(cookies.len(), 60);
    assert!(free.heads().len() >= before + 60);
}

#[tokio::test]
async fn over_http2_new_keys_are_of_the_own_zone_too() {
    let nodes = recorders(4).await;
    let handle = start("zone_preference = 4", &in_zones(&nodes)).await;
    let stream = tokio::net::TcpStream::connect(handle.addresses()[0].1)
        .await
        .unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..40 {
        let request = http::Request::get("http://a/")
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("set-cookie"));
    }
    let seen = requests(&nodes);
    assert_eq!((seen[0] + seen[1], &seen[2..]), (40, &[0, 0][..]), "{seen:?}");
}
