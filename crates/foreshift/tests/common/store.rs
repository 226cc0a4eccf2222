//! Sessions' state in memory, served as the program serves `session.address`.

use std::{net::SocketAddr, sync::Arc};

use foreshift_client::sessions::Sessions as Client;
use foreshift_control::{SessionStore, serve_sessions};
use foreshift_store::{Served, Sessions, Tokens, engine::Memory};
use foreshift_wire::{Config, Epoch, NodeId, PoolName, SessionId};
use tokio::{net::TcpListener, sync::watch};

/// Served until it is dropped, on the test's runtime.
pub struct Store {
    /// The ingress' side of it.
    pub sessions: Sessions,
    /// Where it is served.
    pub address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Store {
    /// Serves; `session` is what the table `[session]` holds.
    pub async fn serve(session: &str) -> Self {
        let text = format!(
            "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
             [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n[session]\n{session}"
        );
        let config = Config::parse(&text).expect("a configuration");
        let config = config.session.expect("it has the table");
        let sessions = Sessions::over(Arc::new(Memory::default()), config.clone());
        let store = SessionStore {
            sessions: sessions.clone(),
            tokens: Tokens::open(&config).expect("tokens"),
            config: Arc::new(config),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve_sessions(listener, store, None, stopped));
        Self {
            sessions,
            address,
            _stop: stop,
        }
    }

    /// A client without a token.
    pub fn client(&self) -> Client {
        self.client_with(None)
    }

    /// A client.
    pub fn client_with(&self, token: Option<&str>) -> Client {
        Client::new(&format!("http://{}", self.address), token).expect("an address")
    }

    /// Has a node serve a session from now on; its reign.
    pub fn serves(&self, session: SessionId, node: &str) -> Epoch {
        let pool = PoolName::new("app").expect("a name");
        let node = NodeId::new(node).expect("a name");
        match self.sessions.serving(&pool, session, &node) {
            Served::Since(epoch) => epoch,
            Served::Revoked => panic!("the session was revoked"),
        }
    }
}
