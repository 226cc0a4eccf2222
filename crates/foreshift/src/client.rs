//! Talks to the API of a running Foreshift.

use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use foreshift_wire::{Event, PoolName, PoolView, Problem};
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    Agent, Body,
    http::{Method, Request, Response},
};

/// Longest answer that is read: 10,000 connections are about 4 MiB.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A client of one API.
pub(crate) struct Client {
    agent: Agent,
    api: String,
    token: Option<String>,
}

impl Client {
    /// A client of the API at `api`, as in `http://127.0.0.1:8090`.
    pub(crate) fn new(api: &str) -> Result<Self> {
        if !api.starts_with("http://") {
            bail!("--api {api:?} is not usable: give a URL as in http://127.0.0.1:8090");
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(3)))
            .timeout_recv_response(Some(Duration::from_secs(15)))
            .user_agent(concat!("foreshift/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            api: api.trim_end_matches('/').to_owned(),
            token: None,
        })
    }

    /// The same, with a token for what needs one.
    pub(crate) fn with_token(self, token: String) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.send(Method::GET, path, None)?)
    }

    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.send(Method::PUT, path, Some(serde_json::to_vec(body)?))?)
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.send(Method::POST, path, Some(serde_json::to_vec(body)?))?)
    }

    /// POST without a body, where the answer says no more than that it was done.
    pub(crate) fn post_only(&self, path: &str) -> Result<()> {
        self.send(Method::POST, path, None).map(drop)
    }

    pub(crate) fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.send(Method::PATCH, path, Some(serde_json::to_vec(body)?))?)
    }

    /// DELETE, where the answer says more than that it was done.
    pub(crate) fn delete_telling<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.send(Method::DELETE, path, None)?)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, None).map(drop)
    }

    /// The pool named, or the only one that there is.
    pub(crate) fn pool(&self, named: Option<&PoolName>) -> Result<PoolName> {
        if let Some(name) = named {
            return Ok(name.clone());
        }
        let pools: Vec<PoolView> = self.get("/v1/pools")?;
        match pools.as_slice() {
            [only] => Ok(only.name.clone()),
            pools => {
                let names: Vec<_> = pools.iter().map(|pool| pool.name.as_str()).collect();
                bail!(
                    "there are several pools; name one with --pool: {}",
                    names.join(", ")
                )
            }
        }
    }

    /// Calls `each` with every event until the server ends the stream.
    pub(crate) fn events(&self, path: &str, mut each: impl FnMut(Told) -> Result<()>) -> Result<()> {
        let response = self.send(Method::GET, path, None)?;
        let reader = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut name = String::new();
        for line in BufReader::new(reader).lines() {
            let line = line.context("the stream of events broke")?;
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                each(told(&name, data)?)?;
            }
        }
        Ok(())
    }

    fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Response<Body>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.api));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let sent = match body {
            Some(body) => self
                .agent
                .run(request.header("content-type", "application/json").body(body)?),
            None => self.agent.run(request.body(())?),
        };
        let response = sent.map_err(|error| self.unreachable(&error))?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(failure(response)),
        }
    }

    fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T> {
        let reader = response.into_body().into_with_config().limit(ANSWER_BYTES_MAX);
        reader.read_json().with_context(|| {
            format!(
                "{} answered something unexpected; is it Foreshift's API?",
                self.api
            )
        })
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        anyhow!(
            "cannot reach the API at {}: {error}\nIs `foreshift run` up? If its API is elsewhere, name it with --api URL.",
            self.api
        )
    }
}

/// An element of the stream of events.
pub(crate) enum Told {
    Event(Box<Event>),
    /// So many events were missed because they were not read fast enough.
    Lagged(u64),
}

fn told(name: &str, data: &str) -> Result<Told> {
    if name == "lagged" {
        let lagged: serde_json::Value = serde_json::from_str(data)?;
        return Ok(Told::Lagged(lagged["missed"].as_u64().unwrap_or(0)));
    }
    serde_json::from_str(data)
        .map(|event| Told::Event(Box::new(event)))
        .context("an event that this version does not know")
}

fn failure(response: Response<Body>) -> anyhow::Error {
    let status = response.status();
    match response.into_body().read_json::<Problem>() {
        Ok(problem) if !problem.detail.is_empty() => anyhow!("{}", problem.detail),
        Ok(problem) => anyhow!("{}", problem.title),
        Err(_) => anyhow!("the API answered {status}"),
    }
}

/// Percent-encodes one path segment or query value.
pub(crate) fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let byte = |b: u8| {
        if plain(b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    text.bytes().map(byte).collect()
}

/// A query string of those pairs that have a value, with its `?`.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let given = pairs
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_ref()?))));
    match given.collect::<Vec<_>>() {
        pairs if pairs.is_empty() => String::new(),
        pairs => format!("?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_character_is_encoded() {
        for (text, encoded) in [
            ("user-7", "user-7"),
            ("a/b c", "a%2Fb%20c"),
            ("é?#&=%", "%C3%A9%3F%23%26%3D%25"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(encode(text), encoded);
        }
        assert_eq!(
            query(&[("pool", Some("a b".into())), ("node", None)]),
            "?pool=a%20b"
        );
        assert_eq!(query(&[("pool", None)]), "");
    }
}
