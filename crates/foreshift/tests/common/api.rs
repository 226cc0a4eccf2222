//! A client of the HTTP API, blocking.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use ureq::Agent;

use super::until;

/// The API of one Foreshift.
pub struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    pub fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        Self {
            agent: config
                .timeout_global(Some(Duration::from_secs(10)))
                .build()
                .into(),
            base: format!("http://{address}"),
        }
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET; what is no JSON becomes a string.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, Value) {
        let mut answer = self
            .agent
            .get(format!("{}{path}", self.base))
            .call()
            .expect("the API answers");
        let body = answer.body_mut().read_to_string().expect("the API answers text");
        (
            answer.status().as_u16(),
            serde_json::from_str(&body).unwrap_or(Value::String(body)),
        )
    }

    /// Whether a GET is answered 200; false where nothing listens yet.
    pub fn is_ok(&self, path: &str) -> bool {
        self.agent
            .get(format!("{}{path}", self.base))
            .call()
            .is_ok_and(|answer| answer.status() == 200)
    }

    /// POST with a JSON body.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .send_json(body)
            .expect("the API answers");
        (
            answer.status().as_u16(),
            answer.body_mut().read_json().unwrap_or_default(),
        )
    }

    /// PUT with a JSON body.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let mut answer = self
            .agent
            .put(format!("{}{path}", self.base))
            .send_json(body)
            .expect("the API answers");
        (
            answer.status().as_u16(),
            answer.body_mut().read_json().unwrap_or_default(),
        )
    }

    /// The one open WebSocket, once there is one.
    #[track_caller]
    pub fn the_websocket(&self) -> Value {
        until("an open WebSocket", || {
            let (_, connections) = self.get("/v1/connections");
            let mut websockets = connections
                .as_array()?
                .iter()
                .filter(|open| open["kind"] == "websocket");
            websockets.next().cloned()
        })
    }

    /// Moves an open connection to another node.
    #[track_caller]
    pub fn migrate(&self, connection: &Value, target: &str) {
        let path = format!("/v1/connections/{}/migrate", connection["id"]);
        let (status, body) = self.post(&path, &serde_json::json!({ "target": target }));
        assert!((200..300).contains(&status), "POST {path}: {status} {body}");
    }
}
