//! Peers that are not of this project: curl, Python's `websockets` and `http.server`, Chromium.

use std::{
    env,
    ffi::OsStr,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::process::Process;

/// A Python node behind the ingress.
pub struct Node {
    /// Its id in the configuration.
    pub id: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process; kill it to see a node die.
    pub process: Process,
}

impl Node {
    /// Serves WebSockets with PyPI's `websockets`.
    #[track_caller]
    pub fn websocket(id: &'static str) -> Self {
        Self::start(id, "node.py")
    }

    /// Serves HTTP with the standard library's `http.server`, and has a hand-over hook.
    #[track_caller]
    pub fn http(id: &'static str) -> Self {
        Self::start(id, "http_node.py")
    }

    /// Serves a WebSocket that says numbers, and the page for it, whose client library is in the file `bundle`.
    #[track_caller]
    pub fn numbers(id: &'static str, bundle: &Path) -> Self {
        let process = python(
            &format!("node {id}"),
            "numbers_node.py",
            [OsStr::new(id), bundle.as_os_str()],
        );
        Self::listening(id, process)
    }

    /// The shop of `examples/python`, which keeps its visitors' state at a URL.
    #[track_caller]
    pub fn shop(id: &'static str, state: &str) -> Self {
        let script = "../../../../examples/python/shop.py";
        let process = python(&format!("shop {id}"), script, ["--node", id, "--state", state]);
        Self::listening(id, process)
    }

    #[track_caller]
    fn start(id: &'static str, script: &str) -> Self {
        Self::listening(id, python(&format!("node {id}"), script, [id]))
    }

    #[track_caller]
    fn listening(id: &'static str, mut process: Process) -> Self {
        let port = process.event("listening")["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.expect("a node prints its port")));
        Self { id, address, process }
    }
}

/// A client with PyPI's `websockets` that exchanges messages until it is told to stop.
#[track_caller]
pub fn websocket_client(url: &str, headers: &[&str]) -> Process {
    python("websocket client", "client.py", [&[url], headers].concat())
}

/// A client in Node with the TypeScript library in `folder`, which reports after so many moves. `host`: the name under
/// which it asks for the server, if not that of the URL.
#[track_caller]
pub fn node_client(folder: &Path, url: &str, moves: usize, host: Option<&str>) -> Process {
    let mut command = Command::new(need("node"));
    command.arg(scripts().join("numbers_client.mjs")).arg(folder);
    command.args([url, &moves.to_string()]).args(host);
    Process::start("node client", &mut command)
}

/// Runs curl to its end; what it printed.
#[track_caller]
pub fn curl_printed(arguments: &[&str]) -> String {
    let mut command = Command::new(need("curl"));
    command
        .args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"])
        .args(arguments);
    let output = command.output().expect("curl starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("the nodes answer text")
}

/// Has curl print an endless answer as it comes.
#[track_caller]
pub fn curl_stream(url: &str, headers: &[&str]) -> Process {
    let mut command = Command::new(need("curl"));
    command.args(["--silent", "--show-error", "--no-buffer", "--noproxy", "*"]);
    command.args(headers.iter().flat_map(|header| ["-H", header]));
    Process::start("curl", command.arg(url))
}

/// Asks for all URLs at once over one connection of HTTP/2, with nghttp; the answers, which must be JSON, as they came.
#[track_caller]
pub fn nghttp(urls: &[String]) -> Vec<Value> {
    let output = Command::new(need("nghttp"))
        .arg("--timeout=30")
        .args(urls)
        .output()
        .expect("nghttp starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "nghttp: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers = serde_json::Deserializer::from_str(&printed)
        .into_iter()
        .collect::<Result<_, _>>();
    answers.unwrap_or_else(|error| panic!("nghttp printed: {error}: {printed}"))
}

/// One request; the status and the body of its answer.
#[track_caller]
pub fn curl(arguments: &[&str]) -> (u16, String) {
    let text = curl_printed(&[&["--write-out", "\n%{http_code}"], arguments].concat());
    let (body, status) = text.rsplit_once('\n').expect("curl writes the status last");
    (status.parse().expect("a status is a number"), body.to_owned())
}

/// Runs curl, which must get no answer; its code says why.
#[track_caller]
pub fn curl_fails(arguments: &[&str]) -> Option<i32> {
    let mut command = Command::new(need("curl"));
    command
        .args(["--silent", "--max-time", "30", "--noproxy", "*"])
        .args(arguments);
    let output = command.output().expect("curl starts");
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "curl {arguments:?}: {output:?}"
    );
    output.status.code()
}

/// As [`curl`], for an answer that must be 200 and JSON.
#[track_caller]
pub fn curl_json(arguments: &[&str]) -> Value {
    let (status, body) = curl(arguments);
    assert_eq!(status, 200, "curl {arguments:?}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("curl {arguments:?}: {error}: {body}"))
}

/// Opens a page in a browser without a window.
#[track_caller]
pub fn browser(url: &str, profile: &Path) -> Process {
    let mut command = Command::new(need("chromium"));
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
    ]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    // Without a debugging port a headless browser loads the page, prints it and ends.
    Process::start("chromium", command.arg("--remote-debugging-port=0").arg(url))
}

#[track_caller]
fn python(name: &str, script: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Process {
    let packages = packages();
    let mut command = Command::new(need("python3"));
    command
        .arg(scripts().join(script))
        .args(arguments)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Process::start(name, &mut command)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// The folder under `target` that `cargo xtask test` fills.
#[track_caller]
fn packages() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = tests
        .parent()
        .expect("cargo makes it inside target")
        .join("python");
    assert!(
        folder.join("websockets").is_dir(),
        "Python's `websockets` is not in {}: run `cargo xtask test`, which installs it",
        folder.display()
    );
    folder
}

/// A program that must be there: a test that cannot run must not pass.
#[track_caller]
fn need(program: &str) -> PathBuf {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{program} is not installed: run `cargo xtask test`, which installs it"))
}
