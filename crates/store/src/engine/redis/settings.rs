//! What the configuration says of the servers.

use std::time::Duration;

use foreshift_wire::Session;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::slots::Address;
use crate::Error;

/// Connections to a server for reads, and for writes where they wait for no replicas.
const LANES: usize = 4;
/// Connections to a server for writes that wait for replicas: one waits behind the other.
const WAIT_LANES: usize = 16;

/// How servers are reached. Says no password: it has no `Debug`.
pub(super) struct Settings {
    /// As the first URL says, for its address and all others.
    info: ConnectionInfo,
    pub(super) seeds: Vec<Address>,
    pub(super) is_cluster: bool,
    /// For an operation with all its attempts.
    pub(super) timeout: Duration,
    pub(super) wait_replicas: u8,
    pub(super) wait_timeout: Duration,
}

impl Settings {
    /// As configured, or what is wrong with it.
    pub(super) fn of(config: &Session) -> Result<Self, Error> {
        let mut infos = Vec::new();
        for (n, url) in config.urls.iter().enumerate() {
            // What the parser says may repeat the URL, with its password.
            let info = url.as_str().into_connection_info();
            let like = "write it as in redis://user:password@127.0.0.1:6379";
            let wrong = || unusable(format!("session.urls[{n}] is no URL of a Redis server; {like}"));
            let info = info.map_err(|_| wrong())?;
            let address = address(info.addr()).ok_or_else(wrong)?;
            infos.push((info, address));
        }
        let seeds = infos.iter().map(|(_, address)| address.clone()).collect();
        let Some((info, _)) = infos.into_iter().next() else {
            return Err(unusable("session.urls is empty; name a Redis server".into()));
        };
        if config.cluster && info.redis_settings().db() != 0 {
            let why = "a Redis Cluster has database 0 only; leave the number out of session.urls";
            return Err(unusable(why.into()));
        }
        Ok(Self {
            info,
            seeds,
            is_cluster: config.cluster,
            timeout: config.timeout.get(),
            wait_replicas: config.wait_replicas,
            wait_timeout: config.wait_timeout.get(),
        })
    }

    /// How one server is reached.
    pub(super) fn info(&self, address: &Address) -> ConnectionInfo {
        let (host, port) = (address.0.to_string(), address.1);
        let addr = match self.info.addr() {
            ConnectionAddr::TcpTls {
                insecure, tls_params, ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        let tcp = self.info.tcp_settings().clone().set_nodelay(true);
        self.info.clone().set_addr(addr).set_tcp_settings(tcp)
    }

    /// For one attempt, so that there is time for others.
    pub(super) fn attempt(&self) -> Duration {
        self.timeout / 3 + self.wait()
    }

    /// What a write may wait for replicas.
    fn wait(&self) -> Duration {
        match self.wait_replicas {
            0 => Duration::ZERO,
            _ => self.wait_timeout,
        }
    }

    /// For an operation with all its attempts, and its replicas' time.
    pub(super) fn all_attempts(&self) -> Duration {
        self.timeout + self.wait()
    }

    /// Connections to a server, and from which to which one a read or a write may take.
    pub(super) fn lanes(&self, writes: bool) -> std::ops::Range<usize> {
        match (self.wait_replicas, writes) {
            (0, _) | (_, false) => 0..LANES,
            (_, true) => LANES..LANES + WAIT_LANES,
        }
    }

    /// All of them.
    pub(super) fn lanes_max(&self) -> usize {
        self.lanes(true).end
    }
}

fn address(addr: &ConnectionAddr) -> Option<Address> {
    match addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some(Address(host.as_str().into(), *port))
        }
        _ => None,
    }
}

fn unusable(detail: String) -> Error {
    Error::Unavailable {
        detail,
        unknown: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(urls: &[&str], cluster: bool) -> Result<Settings, Error> {
        Settings::of(&Session {
            urls: urls.iter().map(|url| (*url).into()).collect(),
            cluster,
            ..Session::default()
        })
    }

    #[test]
    fn a_password_is_in_no_error() {
        for (urls, cluster) in [
            (&["redis://user:hunter2@host:port"][..], false),
            (&["http://user:hunter2@host"], false),
            (&["redis://user:hunter2@host/x"], false),
            (&["redis://user:hunter2@host/3"], true),
            (&["redis://a", "unix:///hunter2"], true),
            (&[], false),
        ] {
            let error = of(urls, cluster).err().expect("refused").to_string();
            assert!(error.contains("session.urls"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn every_server_is_reached_as_the_first_one() {
        let settings = of(&["rediss://user:hunter2@a:7000", "redis://b"], true).unwrap();
        let seeds: Vec<_> = settings.seeds.iter().map(Address::to_string).collect();
        assert_eq!(seeds, ["a:7000", "b:6379"]);
        let info = settings.info(&Address("c".into(), 1));
        assert_eq!(info.redis_settings().password(), Some("hunter2"));
        assert!(info.tcp_settings().nodelay());
        assert!(matches!(info.addr(), ConnectionAddr::TcpTls { host, insecure: false, .. } if host == "c"));
    }
}
