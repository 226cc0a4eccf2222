//! The real program, with a configuration of the test's own.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
};

use tempfile::TempDir;

use super::{api::Api, peers::Node, process::Process, until};

const RUN: [&str; 3] = ["run", "-c", "foreshift.toml"];

/// `foreshift run` at work.
pub struct Foreshift {
    /// Its process.
    pub process: Process,
    /// Its API.
    pub api: Api,
    /// Where its listener `web` is.
    pub web: SocketAddr,
    folder: TempDir,
}

impl Foreshift {
    /// Starts it in front of `nodes` and waits until it is ready. `pool` holds further keys of the pool.
    #[track_caller]
    pub fn start(nodes: &[&Node], pool: &str) -> Self {
        Self::start_with_files(nodes, pool, None)
    }

    /// As [`Foreshift::start`], with a limit of open files.
    #[track_caller]
    pub fn start_with_files(nodes: &[&Node], pool: &str, files_max: Option<u32>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        write(folder.path(), &config(free, free, nodes, pool));
        let command = match files_max {
            None => command(folder.path()),
            Some(files) => limited(&command(folder.path()), files),
        };
        Self::run(folder, { command }.args(RUN))
    }

    /// Starts it with a configuration of the test's own, which has a listener `web`.
    #[track_caller]
    pub fn with_config(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        write(folder.path(), text);
        Self::with_environment(folder, &[])
    }

    /// As [`Foreshift::with_config`], in a folder that has its configuration, with further variables.
    #[track_caller]
    pub fn with_environment(folder: TempDir, variables: &[(&str, &str)]) -> Self {
        let mut command = command(folder.path());
        command.args(RUN).envs(variables.iter().copied());
        Self::run(folder, &mut command)
    }

    /// Another process, to take over.
    #[track_caller]
    pub fn another(&self) -> Process {
        let mut command = command(self.folder.path());
        let arguments = ["run", "-c", "foreshift.toml", "--take-over"];
        Process::start("another foreshift", command.args(arguments))
    }

    /// As [`Foreshift::another`], and waits until the former process has ended, as it should.
    #[track_caller]
    pub fn is_replaced(&mut self) {
        let new = self.another();
        assert!(self.process.ended().success(), "{}", self.process.printed());
        self.process = new;
    }

    /// Writes the configuration anew.
    pub fn rewrite(&self, text: &str) {
        write(self.folder.path(), text);
    }

    /// Starts it in a folder that has its configuration, by a command that becomes it.
    #[track_caller]
    pub fn by(folder: TempDir, mut command: Command) -> Self {
        Self::run(folder, &mut command)
    }

    #[track_caller]
    fn run(folder: TempDir, command: &mut Command) -> Self {
        let mut process = Process::start("foreshift", command);
        let mut told = |what: &str| {
            until(what, || {
                assert!(process.has_ended().is_none(), "{}", process.printed());
                address_in(&process.printed(), what)
            })
        };
        let (api, web) = (Api::new(told("the API listens")), told("listening listener=web"));
        until("foreshift is ready", || api.is_ok("/readyz").then_some(()));
        Self {
            process,
            api,
            web,
            folder,
        }
    }

    /// A URL on its listener.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.web)
    }

    /// Its folder, for what the test keeps beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// What `foreshift` printed, and how it ended, where it is expected to end by itself.
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// Both its streams.
    pub printed: String,
}

/// Runs `foreshift` with arguments in a folder to its end.
#[track_caller]
pub fn to_its_end(folder: &Path, arguments: &[&str]) -> Ended {
    let mut process = Process::start("foreshift", command(folder).args(arguments));
    let status = process.ended();
    Ended {
        code: status.code(),
        printed: process.printed_at_end(),
    }
}

/// Writes a configuration; its path.
pub fn write(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("foreshift.toml");
    fs::write(&file, text).expect("the test's folder can be written");
    file
}

/// A configuration with one listener and one pool, `app`.
pub fn config(api: SocketAddr, web: SocketAddr, nodes: &[&Node], pool: &str) -> String {
    let mut text = format!(
        r#"
[api]
address = "{api}"
[meta]
path = "meta.redb"
[ingress]
workers = 2
drain_timeout = "5s"
[[listener]]
name = "web"
address = "{web}"
pool = "app"
affinity = [{{ header = "x-user" }}, {{ query = "user" }}, {{ source_address = 32 }}]
[[pool]]
name = "app"
{pool}
"#
    );
    for node in nodes {
        text += &format!(
            "[[pool.node]]\nid = \"{}\"\naddress = \"{}\"\n",
            node.id, node.address
        );
    }
    text
}

/// The address that the log gives on the line with these words.
fn address_in(log: &str, words: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains(words))?;
    line.split_once("address=")?.1.parse().ok()
}

/// An address on loopback that nobody uses at this moment: below those that the system gives to clients, and in other tests'
/// processes likely another one, so that nobody takes it before it is used.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let n = std::process::id() * 16 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000 + (n % 20_000) as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The same program under a limit of open files, which a shell sets before it becomes the program.
fn limited(program: &Command, files: u32) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")])
        .arg(program.get_program());
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1");
    command
}
