//! A real Redis Cluster on loopback: three primaries, each with a replica.

use std::time::{Duration, Instant};

use foreshift_wire::Session;
use redis::{Value, aio::MultiplexedConnection};

use super::redis::{Server, ask, free_port, host, text, until};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;
/// Primaries; as many replicas follow them.
const PRIMARIES: usize = 3;

pub(crate) struct Cluster {
    /// The primaries at the beginning, then their replicas in the same order.
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    /// Starts one, and waits until all of it is well.
    pub(crate) async fn start(node_timeout_ms: u32) -> Self {
        let timeout = node_timeout_ms.to_string();
        let mut servers: Vec<_> = (0..2 * PRIMARIES)
            .map(|_| {
                let bus = free_port().to_string();
                Server::new(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    &timeout,
                    "--cluster-port",
                    &bus,
                    "--cluster-announce-ip",
                    &host().to_string(),
                    "--repl-diskless-sync-delay",
                    "0",
                ])
            })
            .collect();
        for server in &mut servers {
            server.run().await;
        }
        let cluster = Self { servers };
        cluster.join().await;
        cluster
    }

    async fn join(&self) {
        for (n, server) in self.servers.iter().enumerate() {
            let mut to = server.connect().await;
            ask(&mut to, &["cluster", "set-config-epoch", &(n + 1).to_string()]).await;
            let share = usize::from(SLOTS).div_ceil(PRIMARIES);
            if n < PRIMARIES {
                let (from, to_slot) = (n * share, ((n + 1) * share).min(SLOTS.into()) - 1);
                let (from, last) = (from.to_string(), to_slot.to_string());
                ask(&mut to, &["cluster", "addslotsrange", &from, &last]).await;
            }
        }
        self.meet().await;
        for n in 0..PRIMARIES {
            let primary = self.id(n).await;
            let mut replica = self.servers[PRIMARIES + n].connect().await;
            until("a replica knows its primary", async || {
                let mut command = redis::cmd("CLUSTER");
                command.arg("REPLICATE").arg(&primary);
                command.query_async::<Value>(&mut replica).await.is_ok()
            })
            .await;
        }
        self.is_well().await;
    }

    /// Introduces all to the first one: again, as on a busy machine an introduction may come too late to be followed.
    async fn meet(&self) {
        let mut first = self.servers[0].connect().await;
        let mut next = Instant::now();
        until("the servers know each other", async || {
            let nodes = text(&ask(&mut first, &["cluster", "nodes"]).await);
            let knows = |server: &Server| {
                let address = format!("{}:{}@", host(), server.port);
                let line = nodes.lines().find(|line| line.contains(&address));
                line.is_some_and(|line| !line.contains("handshake"))
            };
            let strangers: Vec<_> = self.servers[1..].iter().filter(|server| !knows(server)).collect();
            if !strangers.is_empty() && Instant::now() >= next {
                for server in &strangers {
                    let (port, bus) = (server.port.to_string(), server.option("--cluster-port"));
                    let mut meet = redis::cmd("CLUSTER");
                    meet.arg("MEET").arg(host().to_string()).arg(&port).arg(bus);
                    // Refused while an earlier one is under way.
                    drop(meet.query_async::<Value>(&mut first).await);
                }
                next = Instant::now() + Duration::from_secs(3);
            }
            strangers.is_empty()
        })
        .await;
    }

    /// Waits until every server that runs sees a whole cluster, and every replica follows.
    pub(crate) async fn is_well(&self) {
        for server in self.servers.iter().filter(|server| server.runs()) {
            let mut to = server.connect().await;
            until("the cluster is well", async || {
                let cluster = text(&ask(&mut to, &["cluster", "info"]).await);
                let copies = text(&ask(&mut to, &["info", "replication"]).await);
                let nodes = text(&ask(&mut to, &["cluster", "nodes"]).await);
                nodes.lines().count() == self.servers.len()
                    && cluster.contains("cluster_state:ok")
                    && (copies.contains("role:master") || copies.contains("master_link_status:up"))
            })
            .await;
        }
    }

    /// The id of a server in the cluster.
    pub(crate) async fn id(&self, n: usize) -> String {
        let mut to = self.servers[n].connect().await;
        text(&ask(&mut to, &["cluster", "myid"]).await)
    }

    /// Whether a server is a primary that has a replica which follows it.
    pub(crate) async fn leads(&self, n: usize) -> bool {
        let mut to = self.servers[n].connect().await;
        let info = text(&ask(&mut to, &["info", "replication"]).await);
        info.contains("role:master") && info.contains("state=online")
    }

    /// Its configuration for the engine.
    pub(crate) fn session(&self) -> Session {
        Session {
            urls: self.servers.iter().map(Server::url).collect(),
            cluster: true,
            ..Session::default()
        }
    }

    /// A connection to each of the primaries at the beginning.
    pub(crate) async fn primaries(&self) -> Vec<MultiplexedConnection> {
        let mut primaries = Vec::new();
        for server in &self.servers[..PRIMARIES] {
            primaries.push(server.connect().await);
        }
        primaries
    }
}
