//! A store of sessions' state in memory, and nodes that take what they require of it. All of them write into one log, so that a
//! test sees in which order things were done.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use foreshift_ingress::{Later, Portion, Serving, SessionState};
use foreshift_wire::{Epoch, NodeId, PartitionName, PartitionPattern, PoolName, SessionId, Version};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use super::{
    PATIENCE, node_id,
    raw::{Message, Raw, RawNode, frame},
};

/// What was done, in its order.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Vec<String>>, Notify)>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        self.0.0.lock().unwrap().push(line.into());
        self.0.1.notify_waiters();
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.0.lock().unwrap())
    }

    /// Waits for a line that begins so; returns it.
    pub async fn until(&self, begin: &str) -> String {
        self.until_that(|line| line.starts_with(begin)).await
    }

    /// Waits for a line of another node than this that ends so.
    pub async fn until_by_other(&self, node: usize, end: &str) -> String {
        let own = format!("n{node} ");
        self.until_that(|line| line.ends_with(end) && !line.starts_with(&own))
            .await
    }

    async fn until_that(&self, wanted: impl Fn(&str) -> bool) -> String {
        let seen = async {
            loop {
                let mut added = std::pin::pin!(self.0.1.notified());
                added.as_mut().enable();
                if let Some(line) = self.lines().into_iter().find(|line| wanted(line)) {
                    return line;
                }
                added.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, seen).await;
        waited.unwrap_or_else(|_| panic!("it does not come in {:?}", self.lines()))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Fails,
    Stalls,
}

#[derive(Default)]
struct Inner {
    owners: HashMap<SessionId, (NodeId, Epoch)>,
    epoch: u64,
    version: u64,
    partitions: BTreeMap<PartitionName, (Version, String)>,
    held: HashMap<(NodeId, PartitionName), Version>,
    revoked: HashSet<SessionId>,
    hand: Option<Trouble>,
    missing: Option<Trouble>,
    asked: u32,
    tickets: u32,
}

/// The store: the same partitions for every session.
#[derive(Clone, Default)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    pub log: Log,
    /// Nodes that are known to hold nothing.
    pub forgotten: Log,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap())
    }

    /// Writes as whoever may.
    pub fn write(&self, partition: &str, value: &str) {
        self.with(|s| {
            s.version += 1;
            let written = (Version(s.version), value.to_owned());
            s.partitions
                .insert(PartitionName::new(partition).unwrap(), written);
        });
    }

    /// Writes as a node; refused where another one owns the session, or in another reign.
    pub fn write_as(&self, session: SessionId, node: usize, epoch: Epoch, value: &str) -> Result<(), Epoch> {
        let owner = self.owner(session).expect("it is served");
        if owner != (node_id(node), epoch) {
            return Err(owner.1);
        }
        self.write("cart", value);
        Ok(())
    }

    pub fn owner(&self, session: SessionId) -> Option<(NodeId, Epoch)> {
        self.with(|s| s.owners.get(&session).cloned())
    }

    pub fn revoke(&self, session: SessionId) {
        self.with(|s| s.revoked.insert(session));
    }

    /// The next calls go wrong.
    pub fn hand_goes_wrong(&self, trouble: Option<Trouble>) {
        self.with(|s| s.hand = trouble);
    }

    pub fn missing_goes_wrong(&self, trouble: Option<Trouble>) {
        self.with(|s| s.missing = trouble);
    }

    /// How often `serving` was asked.
    pub fn asked(&self) -> u32 {
        self.with(|s| s.asked)
    }

    fn own(&self, session: SessionId, node: &NodeId) -> Epoch {
        self.with(|s| {
            s.epoch += 1;
            let epoch = Epoch(s.epoch);
            s.owners.insert(session, (node.clone(), epoch));
            epoch
        })
    }

    fn lacking(&self, to: &NodeId, required: &[PartitionPattern]) -> Vec<Portion> {
        self.with(|s| {
            let wanted = s
                .partitions
                .iter()
                .filter(|(name, _)| required.iter().any(|p| p.matches(name)));
            let portion = |(name, (version, value)): (&PartitionName, &(Version, String))| {
                let held = s.held.get(&(to.clone(), name.clone())).copied();
                (held != Some(*version)).then(|| Portion {
                    partition: name.clone(),
                    version: *version,
                    since: held.unwrap_or_default(),
                    body: Bytes::from(value.clone()),
                    encoding: None,
                    bytes_held: value.len() as u64,
                })
            };
            wanted.filter_map(portion).collect()
        })
    }
}

async fn go_wrong(trouble: Option<Trouble>) -> Result<(), String> {
    match trouble {
        None => Ok(()),
        Some(Trouble::Fails) => Err("the store is gone".into()),
        Some(Trouble::Stalls) => std::future::pending().await,
    }
}

impl SessionState for Store {
    fn serving(&self, _pool: &PoolName, session: SessionId, node: &NodeId) -> Serving {
        let known = self.with(|s| {
            s.asked += 1;
            if s.revoked.contains(&session) {
                return Some(Serving::Revoked);
            }
            let owner = s.owners.get(&session).filter(|(owner, _)| owner == node);
            owner.map(|(_, epoch)| Serving::Since(*epoch))
        });
        known.unwrap_or_else(|| Serving::Since(self.own(session, node)))
    }

    fn hand<'a>(&'a self, _pool: &'a PoolName, session: SessionId, to: &'a NodeId) -> Later<'a, Epoch> {
        Box::pin(async move {
            let trouble = self.with(|s| s.hand);
            self.log.add(format!("hand to {to}"));
            go_wrong(trouble).await?;
            Ok(self.own(session, to))
        })
    }

    fn reinstate(&self, _pool: &PoolName, session: SessionId, node: &NodeId) -> Serving {
        self.log.add(format!("reinstates {node}"));
        Serving::Since(self.own(session, node))
    }

    fn missing<'a>(
        &'a self,
        _pool: &'a PoolName,
        _session: SessionId,
        to: &'a NodeId,
        required: &'a [PartitionPattern],
    ) -> Later<'a, Vec<Portion>> {
        Box::pin(async move {
            go_wrong(self.with(|s| s.missing)).await?;
            Ok(self.lacking(to, required))
        })
    }

    fn holds(&self, _session: SessionId, node: &NodeId, partition: &PartitionName, version: Version) {
        self.with(|s| s.held.insert((node.clone(), partition.clone()), version));
    }

    fn forgets(&self, _session: SessionId, node: &NodeId) {
        self.forgotten.add(format!("{node}"));
        self.with(|s| s.held.retain(|(holder, _), _| holder != node));
    }

    fn ticket(
        &self,
        _pool: &PoolName,
        _session: SessionId,
        to: &NodeId,
        required: &[PartitionPattern],
        within: Duration,
    ) -> String {
        assert!(!within.is_zero() && !required.is_empty());
        let n = self.with(|s| {
            s.tickets += 1;
            s.tickets
        });
        format!("ticket-{n}-for-{to}")
    }
}

/// What a node does with what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Takes,
    Refuses,
    /// Answers and goes before it has read everything.
    HalfReads,
    /// Tells another digest than that of what it read.
    Lies,
    /// Tells none.
    IsSilent,
    Stalls,
    /// Answers 412 to whatever is not all there is.
    Lacks,
}

/// A node that logs what it hears and echoes what its clients say.
#[derive(Clone)]
pub struct StateNode {
    pub address: SocketAddr,
    pub index: usize,
    manner: Arc<Mutex<Manner>>,
    then: Arc<Mutex<Option<Manner>>>,
    heads: Arc<Mutex<Vec<Message>>>,
    store: Store,
    killed: Arc<tokio::sync::watch::Sender<bool>>,
    /// Written by the old node when this one is sent its first partition.
    meanwhile: Arc<Mutex<Option<(SessionId, String)>>>,
}

impl StateNode {
    pub async fn start(index: usize, store: &Store) -> Self {
        Self::start_at(index, store, ([127, 0, 0, 1], 0).into()).await
    }

    /// As [`Self::start`], where another one was.
    pub async fn start_at(index: usize, store: &Store, address: SocketAddr) -> Self {
        let node = RawNode::start_at(address).await;
        let this = Self {
            address: node.address,
            index,
            manner: Arc::new(Mutex::new(Manner::Takes)),
            then: Arc::default(),
            heads: Arc::default(),
            store: store.clone(),
            killed: Arc::new(tokio::sync::watch::Sender::new(false)),
            meanwhile: Arc::default(),
        };
        let shared = this.clone();
        let mut death = this.killed.subscribe();
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = node.accept_any() => accepted,
                    _ = death.changed() => return,
                };
                let (node, mut death) = (shared.clone(), shared.killed.subscribe());
                tokio::spawn(async move {
                    tokio::select! {
                        () = node.serve(Raw::new(stream)) => {}
                        _ = death.changed() => {}
                    }
                });
            }
        });
        this
    }

    pub fn behaves(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// It takes what it is sent first, and behaves so from then on.
    pub fn then_behaves(&self, manner: Manner) {
        *self.then.lock().unwrap() = Some(manner);
    }

    /// The session's owner writes this when the node is sent its first partition.
    pub fn meanwhile(&self, session: SessionId, value: &str) {
        *self.meanwhile.lock().unwrap() = Some((session, value.into()));
    }

    /// It stops, with all its connections, and listens no more.
    pub fn kill(&self) {
        self.killed.send_replace(true);
    }

    /// Heads of requests that were neither replays nor of its own clients' frames.
    pub fn heads(&self) -> Vec<Message> {
        self.heads.lock().unwrap().clone()
    }

    async fn serve(&self, mut raw: Raw) {
        while let Some(head) = raw.head().await {
            let verb = head.start.split(' ').next().unwrap_or_default().to_owned();
            match verb.as_str() {
                "PUT" => {
                    if !self.put(&mut raw, head).await {
                        return;
                    }
                }
                "DELETE" => {
                    let epoch = head.field("foreshift-epoch").unwrap_or_default();
                    let why = match head.field("foreshift-session-ended") {
                        Some(told) => format!(" as it ended ({told})"),
                        None => String::new(),
                    };
                    let refuses = *self.manner.lock().unwrap() == Manner::Refuses;
                    let does = if refuses { "keeps" } else { "forgets" };
                    self.store
                        .log
                        .add(format!("n{} {does}{why}, reign {epoch}", self.index));
                    match refuses {
                        true => {
                            raw.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                                .await;
                        }
                        false => raw.ok("").await,
                    }
                }
                _ => {
                    let (websocket, events) = (head.field("sec-websocket-key"), head.path() == "/events");
                    self.store
                        .log
                        .add(format!("n{} is asked {}", self.index, head.path()));
                    self.heads.lock().unwrap().push(head.clone());
                    if let Some(key) = websocket {
                        return self.chat(raw, &key).await;
                    }
                    let mut whole = head;
                    raw.rest(&mut whole).await;
                    if events {
                        return self.events(raw).await;
                    }
                    raw.ok(&format!("n{}", self.index)).await;
                }
            }
        }
    }

    async fn put(&self, raw: &mut Raw, mut head: Message) -> bool {
        let manner = *self.manner.lock().unwrap();
        if let Some(then) = self.then.lock().unwrap().take() {
            self.behaves(then);
        }
        let name = head.path().rsplit('/').next().unwrap_or_default().to_owned();
        let field = |name| head.field(name).unwrap_or_default();
        let (version, since) = (field("foreshift-version"), field("foreshift-since"));
        let (said, dead) = (field("content-digest"), field("foreshift-failover"));
        let dead = if dead.is_empty() {
            dead
        } else {
            format!(" of dead {dead}")
        };
        let manners = if manner == Manner::Takes || (manner == Manner::Lacks && since == "0") {
            ""
        } else {
            " badly"
        };
        let line = format!(
            "n{} is sent{manners} {name} {version} since {since}{dead}",
            self.index
        );
        match manner {
            Manner::Stalls => {
                self.store.log.add(&*line);
                std::future::pending::<()>().await;
            }
            Manner::HalfReads => {
                self.store.log.add(&*line);
                return false;
            }
            _ => {}
        }
        raw.rest(&mut head).await;
        let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(&head.body)));
        assert_eq!(digest, said, "the digest of what was sent");
        if let Some((session, value)) = self.meanwhile.lock().unwrap().take() {
            let (owner, epoch) = self.store.owner(session).expect("it is served");
            let owner = owner.as_str()[1..].parse().unwrap();
            self.store
                .write_as(session, owner, epoch, &value)
                .expect("the owner may");
        }
        let text = String::from_utf8_lossy(&head.body).into_owned();
        self.store.log.add(format!("{line}: {text}"));
        let told = match manner {
            Manner::Refuses => "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n".into(),
            Manner::Lacks if since != "0" => {
                "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n".into()
            }
            Manner::Lies => {
                let lie = BASE64_STANDARD.encode(Sha256::digest(b"something else"));
                format!("HTTP/1.1 204 No Content\r\nForeshift-Digest: sha-256=:{lie}:\r\n\r\n")
            }
            Manner::IsSilent => "HTTP/1.1 204 No Content\r\n\r\n".into(),
            _ => format!("HTTP/1.1 204 No Content\r\nForeshift-Digest: {digest}\r\n\r\n"),
        };
        raw.send(told).await;
        true
    }

    async fn chat(&self, mut raw: Raw, key: &str) {
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        raw.send(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ))
        .await;
        while let Some(heard) = raw.frame().await {
            match heard.opcode {
                1 => {
                    let text = String::from_utf8_lossy(&heard.payload).into_owned();
                    raw.send(frame(0x81, false, format!("n{} {text}", self.index).as_bytes()))
                        .await;
                }
                9 => raw.send(frame(0x8a, false, &heard.payload)).await,
                8 => {
                    raw.send(frame(0x88, false, &heard.payload)).await;
                    return;
                }
                _ => {}
            }
        }
    }

    async fn events(&self, mut raw: Raw) {
        raw.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        let event = format!("id: 1\ndata: n{}\n\n", self.index);
        raw.send(format!("{:x}\r\n{event}\r\n", event.len())).await;
        raw.until_closed().await;
    }
}
