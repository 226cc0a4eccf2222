//! Control with a made-up data plane behind it and a real HTTP client before it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    io::{BufRead, BufReader},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use foreshift_control::{DataPlane, Handle, Options, SessionStore};
use foreshift_meta::{Meta, routes::RouteTable};
use foreshift_store::{Sessions, Tokens, engine::Memory};
use foreshift_wire::{
    Config, ConnectionFilter, ConnectionId, ConnectionInfo, ConnectionKind, IngressEvent, IngressReport,
    MoveFailure, NodeId, NodeReport, Override, PoolName, PoolReport, SessionId,
};
use serde_json::Value;
use tokio::{runtime::Runtime, sync::mpsc};

/// Longest wait for something that must happen; far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the made-up data plane reports and lists.
#[derive(Clone, Default)]
pub(crate) struct Plane(Arc<Mutex<Seen>>);

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) pools: Vec<PoolReport>,
    pub(crate) connections: Vec<ConnectionInfo>,
    pub(crate) panics: bool,
}

impl Plane {
    pub(crate) fn set(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    }
}

impl DataPlane for Plane {
    async fn report(&self) -> IngressReport {
        let seen = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        assert!(!seen.panics, "the test asked for a panic");
        IngressReport {
            pools: seen.pools.clone(),
        }
    }

    async fn connections(&self, filter: ConnectionFilter) -> Vec<ConnectionInfo> {
        let wanted = |c: &&ConnectionInfo| {
            filter.id.is_none_or(|id| id == c.id)
                && filter.pool.as_ref().is_none_or(|pool| *pool == c.pool)
                && filter.node.as_ref().is_none_or(|node| *node == c.node)
                && filter.key.as_ref().is_none_or(|key| *key == c.key)
                && filter.session.is_none_or(|session| session == c.session)
        };
        let seen = self.0.lock().unwrap();
        seen.connections
            .iter()
            .filter(wanted)
            .take(filter.limit.unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    async fn close_streams(&self, filter: ConnectionFilter) -> u64 {
        let matching = self.connections(filter).await;
        let mut seen = self.0.lock().unwrap();
        seen.connections.retain(|c| !matching.contains(c));
        matching.len() as u64
    }

    async fn serves(&self, _: PoolName) -> bool {
        true
    }
}

/// A running control.
pub(crate) struct Running {
    pub(crate) plane: Plane,
    pub(crate) meta: Meta,
    pub(crate) ingress: mpsc::UnboundedSender<IngressEvent>,
    handle: Option<Handle>,
    runtime: Runtime,
    api: String,
}

/// An answer: its status, its type and its body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) allow: String,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// A header; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an answer that must be a success.
    pub(crate) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// The detail of an answer that must be a problem with this status.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        assert!(
            problem["title"].as_str().is_some_and(|title| !title.is_empty()),
            "{self:?}"
        );
        problem["detail"].as_str().unwrap_or_default().to_owned()
    }
}

/// A configuration with the pool `app`; `pool` is what else its table holds, nodes included.
pub(crate) fn config(pool: &str) -> Config {
    let text = format!(
        "[api]\naddress = \"127.0.0.1:0\"\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\ncheck_interval = \"100ms\"\n{pool}"
    );
    Config::parse(&text).unwrap_or_else(|e| panic!("{e} in\n{text}"))
}

/// Two nodes that nobody checks.
pub(crate) const TWO_NODES: &str = "[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9001\"\n\
                             capacity = { requests_in_flight = 100 }\n\
                             [[pool.node]]\nid = \"b\"\naddress = \"127.0.0.1:9002\"\n\
                             capacity = { requests_in_flight = 100 }\n";

pub(crate) fn app() -> PoolName {
    PoolName::new("app").unwrap()
}

pub(crate) fn node(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

pub(crate) fn start(config: &Config) -> Running {
    start_with(config, Meta::in_memory())
}

pub(crate) fn start_with(config: &Config, meta: Meta) -> Running {
    start_all(config, meta, Plane::default())
}

/// With connections that are open from the first moment on.
pub(crate) fn start_with_connections(meta: Meta, connections: Vec<ConnectionInfo>) -> Running {
    let plane = Plane::default();
    plane.set(|seen| seen.connections = connections);
    start_all(&config(TWO_NODES), meta, plane)
}

/// With sessions' state in memory, and `session` as its table.
pub(crate) fn start_with_sessions(session: &str) -> (Running, Sessions) {
    let config = config(&format!("{TWO_NODES}[session]\n{session}"));
    let session = config.session.clone().unwrap();
    let sessions = Sessions::over(Arc::new(Memory::default()), session.clone());
    let options = Options {
        sessions: Some(SessionStore {
            sessions: sessions.clone(),
            tokens: Tokens::open(&session).unwrap(),
            config: Arc::new(session),
        }),
        ..Options::default()
    };
    let running = start_by(&config, Meta::in_memory(), Plane::default(), options);
    (running, sessions)
}

fn start_all(config: &Config, meta: Meta, plane: Plane) -> Running {
    start_by(config, meta, plane, Options::default())
}

fn start_by(config: &Config, meta: Meta, plane: Plane, options: Options) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (ingress, events) = mpsc::unbounded_channel();
    let starting = foreshift_control::start_with(config, meta.clone(), plane.clone(), events, options);
    let handle = runtime.block_on(starting).unwrap();
    let api = format!("http://{}", handle.api_address());
    Running {
        plane,
        meta,
        ingress,
        handle: Some(handle),
        runtime,
        api,
    }
}

impl Running {
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[])
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[])
    }

    pub(crate) fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, Some(body), &[("content-type", "application/json")])
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, Some(body), &[("content-type", "application/json")])
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.api));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build()
            .into();
        let mut response = match body {
            Some(body) => agent.run(request.body(body.to_owned()).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        }
        .unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let header = |name| {
            response
                .headers()
                .get(name)
                .map_or("", |v: &ureq::http::HeaderValue| v.to_str().unwrap())
                .to_owned()
        };
        Answer {
            status: response.status().as_u16(),
            content_type: header("content-type"),
            allow: header("allow"),
            headers: response.headers().clone(),
            text: response.body_mut().read_to_string().unwrap(),
        }
    }

    /// The lines of an open stream of events.
    pub(crate) fn stream(&self, path: &str) -> impl Iterator<Item = String> + use<> {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let response = agent.get(format!("{}{path}", self.api)).call().unwrap();
        BufReader::new(response.into_body().into_reader())
            .lines()
            .map_while(Result::ok)
    }

    /// Looks until `found` finds something. What is waited for is far away or close: the pause between
    /// looks is for the processor's sake and decides nothing.
    pub(crate) fn until<T>(&self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(since.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the loop went round once more.
    pub(crate) fn next_tick(&self) {
        let mut events = self.handle.as_ref().unwrap().events();
        self.runtime.block_on(async {
            let tick = async {
                while !matches!(
                    events.next().await,
                    Some(Ok(foreshift_wire::Event::Tick { .. })) | None
                ) {}
            };
            tokio::time::timeout(PATIENCE, tick)
                .await
                .expect("the loop goes round");
        });
    }

    pub(crate) fn routes(&self) -> RouteTable {
        self.runtime
            .block_on(RouteTable::load(&self.meta, &app()))
            .unwrap()
    }

    pub(crate) fn moves(&self) -> Vec<Value> {
        self.get("/v1/moves").ok().as_array().unwrap().clone()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Answers as the ingress does when a key was handed over.
    pub(crate) fn handed_over(&self, set: &Override, from: &str, failure: Option<MoveFailure>) {
        let pauses_us = match failure {
            None => vec![(ConnectionId(1), 1_500)],
            Some(_) => Vec::new(),
        };
        let event = IngressEvent::HandedOver {
            pool: app(),
            session: set.session,
            move_id: set.move_id,
            from: node(from),
            to: set.node.clone(),
            pauses_us,
            failure,
            told: None,
        };
        self.ingress.send(event).unwrap();
    }

    /// Ends this one in order.
    pub(crate) fn stop(mut self) -> Meta {
        let handle = self.handle.take().unwrap();
        self.runtime.block_on(handle.shutdown());
        self.meta
    }
}

/// An open connection.
pub(crate) fn connection(id: u64, on: &str, session: SessionId, key: &str) -> ConnectionInfo {
    ConnectionInfo {
        id: ConnectionId(id),
        pool: app(),
        node: node(on),
        session,
        key: key.into(),
        kind: ConnectionKind::Websocket,
        client: "127.0.0.1:50000".into(),
        since_ms: 1,
        requests: 1,
        bytes: 1,
        switches: 0,
        moving: false,
    }
}

/// A node's report over one interval.
pub(crate) fn node_report(id: &str, requests: u64, connections: u32) -> NodeReport {
    NodeReport {
        node: node(id),
        requests,
        errors: 0,
        bytes: requests * 100,
        busy_us: requests * 1_000,
        in_flight: 0,
        connections,
        response: foreshift_wire::LatencyBuckets(vec![(100, requests)]),
        in_band: None,
        resilience: Default::default(),
    }
}

pub(crate) fn pool_report(nodes: Vec<NodeReport>) -> PoolReport {
    PoolReport {
        pool: app(),
        nodes,
        buckets: Vec::new(),
        keys: Vec::new(),
        refused: 0,
        over_retry_budget: 0,
    }
}
