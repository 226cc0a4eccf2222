//! Real Redis servers on loopback, for one test: in a folder of their own, and gone with it.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use foreshift_wire::Session;
use redis::{Client, Value, aio::MultiplexedConnection};

/// Servers have so long to do what a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server of its own process.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    options: Vec<String>,
    password: Option<&'static str>,
    process: Option<Child>,
}

/// Whether there is `redis-server` at all; says so where not.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub(crate) fn is_installed() -> bool {
    let version = Command::new("redis-server").arg("--version").output();
    let is_there = version.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("skipped: there is no redis-server; `cargo xtask test` installs it");
    }
    is_there
}

impl Server {
    /// Starts one with options, and waits until it answers.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let mut server = Self::new(options);
        server.run().await;
        server
    }

    /// Starts one that wants a password.
    pub(crate) async fn with_password(password: &'static str) -> Self {
        let mut server = Self::new(&["--requirepass", password]);
        server.password = Some(password);
        server.run().await;
        server
    }

    pub(crate) fn new(options: &[&str]) -> Self {
        Self {
            port: free_port(),
            folder: tempfile::tempdir().expect("a folder"),
            options: options.iter().map(|option| (*option).into()).collect(),
            password: None,
            process: None,
        }
    }

    /// Starts it, again too: with what it saved.
    pub(crate) async fn run(&mut self) {
        self.spawn();
        let until = Instant::now() + PATIENCE;
        while !self.answers().await {
            assert!(
                Instant::now() < until,
                "redis-server does not start: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&mut self) {
        let log = self.folder.path().join("log");
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", &host().to_string()])
            .args(["--save", "", "--dir"])
            .arg(self.folder.path())
            .arg("--logfile")
            .arg(log)
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(child.expect("redis-server is installed"));
    }

    /// Its end, as by a power cut.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is ours");
            process.wait().expect("it was killed");
        }
    }

    /// Its process stands still, or goes on.
    pub(crate) fn stop(&self, stands: bool) {
        let id = self.process.as_ref().expect("it runs").id();
        let signal = if stands { "-STOP" } else { "-CONT" };
        let done = Command::new("kill").args([signal, &id.to_string()]).status();
        assert!(done.expect("kill").success());
    }

    /// It was not killed.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// The value of an option that it was given.
    pub(crate) fn option(&self, name: &str) -> &str {
        let at = self.options.iter().position(|option| option == name);
        &self.options[at.expect("it has the option") + 1]
    }

    pub(crate) fn url(&self) -> String {
        match self.password {
            Some(password) => format!("redis://:{password}@{}:{}", host(), self.port),
            None => format!("redis://{}:{}", host(), self.port),
        }
    }

    /// Its configuration for the engine.
    pub(crate) fn session(&self) -> Session {
        Session {
            urls: vec![self.url()],
            ..Session::default()
        }
    }

    /// A connection beside the engine's.
    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        self.try_connect().await.expect("a connection")
    }

    async fn try_connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        Client::open(self.url())?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    async fn answers(&self) -> bool {
        match self.try_connect().await {
            Ok(mut connection) => redis::cmd("PING")
                .query_async::<Value>(&mut connection)
                .await
                .is_ok(),
            Err(_) => false,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a command answered; panics where it is an error.
pub(crate) async fn ask(connection: &mut MultiplexedConnection, words: &[&str]) -> Value {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let answer = command.query_async(connection).await;
    answer.unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The loopback address of this process: tests in others, whose servers die and whose clusters look for theirs, have their own.
pub(crate) fn host() -> Ipv4Addr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | b, c, d)
}

/// A port of [`host`] that was free a moment ago, below those that the system gives to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind((host(), port)).is_ok() {
            return port;
        }
    }
}

/// Asks again and again until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An answer as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        other => format!("{other:?}"),
    }
}
