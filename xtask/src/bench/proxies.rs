//! The proxies under test: how each is configured and started.
//!
//! As fair as it gets: one thread, keep-alive to both sides, no log, no health checks, one backend.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tempfile::TempDir;

use super::{
    Contender,
    cores::Cores,
    http,
    scenario::Scenario,
    tls::{Files, Pki},
};
use crate::setup;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A proxy at work; ends with the value.
pub(super) struct Proxy {
    child: Child,
    /// Where it listens for clients.
    pub(super) address: SocketAddr,
    /// Where it tells whether it is ready, if it tells.
    api: Option<SocketAddr>,
    folder: TempDir,
}

impl Proxy {
    /// Starts `contender` on the proxy's core in front of `backend` and waits until it listens.
    pub(super) fn start(
        contender: Contender,
        foreshift: &Path,
        backend: SocketAddr,
        scenario: Scenario,
        cores: Option<Cores>,
        tls: Option<&Pki>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for the proxy")?;
        let (address, api) = (free_address()?, free_address()?);
        let at = Place {
            address,
            api,
            backend,
            tcp: scenario.is_tcp(),
            folder: folder.path(),
            tls: tls.map(|pki| pki.write(folder.path())).transpose()?,
        };
        let mut command = command(contender, foreshift, &at)?;
        let log = fs::File::create(folder.path().join("log"))?;
        command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = match cores {
            Some(cores) => cores.on_proxy_core(|| command.spawn())?,
            None => command.spawn(),
        };
        let child = started.with_context(|| format!("start {:?}", command.get_program()))?;
        let mut proxy = Self {
            child,
            address,
            api: (contender == Contender::Foreshift).then_some(api),
            folder,
        };
        proxy
            .wait_until_ready()
            .with_context(|| format!("start {contender:?}"))?;
        Ok(proxy)
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it printed, for an error message.
    pub(super) fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}:\n{}", self.log());
            }
            if Instant::now() > deadline {
                bail!("it is not ready after {START_TIMEOUT:?}:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        match self.api {
            Some(api) => says_ready(api).unwrap_or(false),
            None => TcpStream::connect(self.address).is_ok(),
        }
    }
}

/// Asks Foreshift's `/readyz`.
fn says_ready(api: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(api)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(http::status(&answer) == Some(200))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about either.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where Envoy's binary is, if anywhere.
pub(super) fn envoy() -> Option<PathBuf> {
    env::var_os("ENVOY")
        .map(PathBuf::from)
        .or_else(|| setup::on_path("envoy"))
}

fn free_address() -> Result<SocketAddr> {
    // Not every proxy can be told to take a free port and to say which.
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Where a proxy listens and what it is in front of.
struct Place<'a> {
    address: SocketAddr,
    api: SocketAddr,
    backend: SocketAddr,
    tcp: bool,
    folder: &'a Path,
    /// The files that it speaks TLS with.
    tls: Option<Files>,
}

fn command(contender: Contender, foreshift: &Path, at: &Place<'_>) -> Result<Command> {
    let Place {
        address,
        backend,
        folder,
        ..
    } = *at;
    let file = |name: &str, text: String| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    Ok(match contender {
        Contender::Direct => bail!("direct has no proxy"),
        Contender::Foreshift => {
            let mut command = Command::new(foreshift);
            let config = foreshift_config(at);
            command.args(["run", "-c"]).arg(file("foreshift.toml", config)?);
            command
        }
        Contender::Haproxy | Contender::HaproxySameWork => {
            let same_work = contender == Contender::HaproxySameWork;
            let mut command = Command::new("haproxy");
            command
                .args(["-db", "-f"])
                .arg(file("haproxy.cfg", haproxy_config(at, same_work))?);
            command
        }
        Contender::Nginx => {
            let mut command = Command::new("nginx");
            command.arg("-p").arg(folder).args(["-e", "stderr", "-c"]);
            command.arg(file("nginx.conf", nginx_config(at))?);
            command
        }
        Contender::Envoy if at.tls.is_some() => bail!("Envoy is not set up for TLS here"),
        Contender::Envoy => {
            let envoy = envoy().context("Envoy was not found: put it on PATH or set ENVOY to its binary")?;
            let config = envoy_config(address, backend).to_string();
            let mut command = Command::new(envoy);
            command.args([
                "--concurrency",
                "1",
                "--log-level",
                "error",
                "--disable-hot-restart",
                "-c",
            ]);
            command.arg(file("envoy.json", config)?);
            command
        }
    })
}

fn foreshift_config(at: &Place<'_>) -> String {
    let Place {
        address,
        api,
        backend,
        ..
    } = at;
    let tls = at.tls.as_ref().map_or(String::new(), |files| {
        let Files { certificate, key, .. } = files;
        format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}")
    });
    let listener = match at.tcp {
        true => "protocol = \"tcp\"",
        false => "affinity = [{ header = \"x-user\" }, { source_address = 32 }]",
    };
    format!(
        r#"
[api]
address = "{api}"
[meta]
store = "embedded"
path = "meta.redb"
[ingress]
workers = 1
[ingress.limits]
connections = 50000
connections_per_source = 50000
[[listener]]
name = "bench"
address = "{address}"
pool = "bench"
{listener}
{tls}
[[pool]]
name = "bench"
mode = "act"
[[pool.node]]
id = "a"
address = "{backend}"
capacity = {{ requests_in_flight = 100000, connections = 100000 }}
"#
    )
}

fn haproxy_config(at: &Place<'_>, same_work: bool) -> String {
    let Place { address, backend, .. } = at;
    let tls = at.tls.as_ref().map_or(String::new(), |files| {
        format!(" ssl crt {} alpn http/1.1", files.both.display())
    });
    let mode = match at.tcp {
        true => "mode tcp\n  option splice-request\n  option splice-response",
        false => "mode http\n  option http-keep-alive\n  http-reuse always",
    };
    let rules = if same_work {
        "  option forwardfor
  http-request del-header foreshift- -m beg
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Foreshift-Session %[req.hdr(x-user),xxh64,hex]
  http-request set-header Foreshift-Connection %[src_port]
  balance hdr(x-user)
  hash-type consistent
"
    } else {
        ""
    };
    format!(
        "global
  nbthread 1
defaults
  {mode}
  no log
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
listen bench
  bind {address}{tls}
{rules}  server a {backend}
"
    )
}

fn nginx_config(at: &Place<'_>) -> String {
    let Place { address, backend, .. } = at;
    let folder = at.folder.display();
    let (ssl, certificates) = at.tls.as_ref().map_or(("", String::new()), |files| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        (
            " ssl",
            format!("ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"),
        )
    });
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
worker_rlimit_nofile 60000;
events {{ worker_connections 50000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream bench {{ server {backend}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen {address}{ssl} backlog=4096;
    {certificates}
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 300s;
    }}
  }}
}}
"
    )
}

fn envoy_config(address: SocketAddr, backend: SocketAddr) -> serde_json::Value {
    let socket = |at: SocketAddr| json!({"socket_address": {"address": at.ip(), "port_value": at.port()}});
    let without_limit =
        json!({"max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000});
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    });
    let routes = json!({"virtual_hosts": [{
        "name": "bench", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "bench", "timeout": "300s"}}]
    }]});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench", "codec_type": "HTTP1", "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": routes, "http_filters": [router]
    });
    json!({"static_resources": {
        "listeners": [{"address": socket(address), "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager
        }]}]}],
        "clusters": [{
            "name": "bench", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [without_limit]},
            "load_assignment": {"cluster_name": "bench", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket(backend)}}
            ]}]}
        }]
    }})
}
