//! What a service manager such as systemd gives and hears: sockets, readiness, reloads, the watchdog, the main process.

mod common;

use std::{os::unix::net::UnixDatagram, process::Command};

use common::{
    DEADLINE,
    foreshift::Foreshift,
    load::{Load, PlainNode},
};
use rustix::process::Signal;
use tempfile::TempDir;

fn folder(node: &PlainNode) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n\
         [ingress]\nworkers = 2\n\
         [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
         [[pool]]\nname = \"app\"\n\
         [[pool.node]]\nid = \"a\"\naddress = \"{}\"\n",
        node.address
    );
    std::fs::write(folder.path().join("foreshift.toml"), config).unwrap();
    folder
}

/// The service manager's end of `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    /// The next message that is not about the watchdog.
    fn hears(&self) -> Vec<String> {
        loop {
            let message = self.next();
            if message != ["WATCHDOG=1"] {
                return message;
            }
        }
    }

    fn next(&self) -> Vec<String> {
        let mut bytes = [0; 1024];
        let length = self.0.recv(&mut bytes).expect("a message within the deadline");
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn the_service_manager_hears_what_goes_on_and_whom_to_watch() {
    let node = PlainNode::start("a");
    let folder = folder(&node);
    let path = folder.path().join("notify");
    let manager = Manager(UnixDatagram::bind(&path).unwrap());
    manager.0.set_read_timeout(Some(DEADLINE)).unwrap();
    let variables = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "100000"),
    ];
    let mut foreshift = Foreshift::with_environment(folder, &variables);
    let main = format!("MAINPID={}", foreshift.process.id());
    assert_eq!(manager.hears(), [&main, "READY=1"]);
    assert_eq!(manager.next(), ["WATCHDOG=1"]);

    foreshift.process.signal(Signal::HUP);
    let reloading = manager.hears();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(manager.hears(), ["READY=1"]);

    foreshift.process.signal(Signal::USR2);
    let follow = manager.hears();
    assert!(
        follow.len() == 1 && follow[0].starts_with("MAINPID=") && follow[0] != main,
        "{follow:?}"
    );
    // The new one says the same of itself, and that it serves.
    assert_eq!(manager.hears(), [&follow[0], "READY=1"]);
    assert!(foreshift.process.ended().success());
    assert_eq!(manager.next(), ["WATCHDOG=1"], "the new one is watched");

    let new = follow[0]["MAINPID=".len()..].parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(new).unwrap(), Signal::TERM).unwrap();
    assert_eq!(manager.hears(), ["STOPPING=1"]);
}

/// Listens as a service manager does and becomes the program.
const ACTIVATE: &str = r#"
import os, socket, sys
names = sys.argv[1].split(":")
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
print(" ".join(str(s.getsockname()[1]) for s in sockets), flush=True)
kept = [os.dup(s.fileno()) for s in sockets]
high = [os.dup2(fd, 100 + n, inheritable=True) for n, fd in enumerate(kept)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(names)), LISTEN_FDNAMES=sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"#;

#[test]
fn sockets_of_the_service_manager_are_used_by_their_names_and_survive_a_restart() {
    let node = PlainNode::start("a");
    let folder = folder(&node);
    let mut command = Command::new("python3");
    command
        .current_dir(folder.path())
        .args([
            "-c",
            ACTIVATE,
            "api:web:other",
            env!("CARGO_BIN_EXE_foreshift"),
            "run",
            "-c",
            "foreshift.toml",
        ])
        .env("NO_COLOR", "1");
    let mut foreshift = Foreshift::by(folder, command);
    let ports: Vec<u16> = foreshift.process.line("the ports", |line| {
        line.split(' ').map(|port| port.parse().ok()).collect()
    });
    assert_eq!(foreshift.web.port(), ports[1]);
    assert!(foreshift.api.url("").ends_with(&format!(":{}", ports[0])));
    let log = foreshift.process.printed();
    assert!(
        log.contains("no listener is for a socket that was given") && log.contains("other"),
        "{log}"
    );
    let load = Load::start(foreshift.web, 4);
    load.goes_on(200);
    foreshift.is_replaced();
    load.goes_on(200);
    load.ends_without_a_failure();
}
