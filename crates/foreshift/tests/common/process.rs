//! A child process whose output is read line by line.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use serde_json::Value;

use super::{DEADLINE, until};

/// Killed and reaped with the value.
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    /// All that it printed so far on both streams, for the message of a test that fails.
    printed: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a program.
    #[track_caller]
    pub fn start(name: &str, command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let printed = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        let stderr = child.stderr.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let kept = Arc::clone(&printed);
        let of_stderr = thread::spawn(move || each_line(stderr, |line| keep(&kept, line)));
        let kept = Arc::clone(&printed);
        let of_stdout = thread::spawn(move || {
            each_line(stdout, |line| {
                keep(&kept, line);
                let _ = sender.send(line.to_owned()); // nobody listens any more: the test is over
            });
        });
        Self {
            name: name.to_owned(),
            child,
            lines,
            printed,
            readers: vec![of_stderr, of_stdout],
        }
    }

    /// The next JSON line on stdout whose `event` is this one; others are passed over.
    #[track_caller]
    pub fn event(&mut self, event: &str) -> Value {
        self.line(event, |line| {
            serde_json::from_str(line)
                .ok()
                .filter(|value: &Value| value["event"] == event)
        })
    }

    /// What `read` makes of the next line on stdout that it makes something of; others are passed over.
    #[track_caller]
    pub fn line<T>(&mut self, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(value) = read(&line) {
                        return value;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no {what:?} within {DEADLINE:?} from {}", self.printed())
                }
                Err(RecvTimeoutError::Disconnected) => panic!("ended without {what:?}: {}", self.printed()),
            }
        }
    }

    /// Writes a line to its stdin.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("tell {}: {error}", self.name));
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("the child is ours");
    }

    /// Kills it, as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        until(&format!("the end of {}", self.name), || {
            self.child.try_wait().expect("the child is ours")
        })
    }

    /// How it ended, where it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours")
    }

    /// All that it printed, after its end.
    pub fn printed_at_end(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().expect("no reader panics");
        }
        self.printed()
    }

    /// All that it printed so far.
    pub fn printed(&self) -> String {
        format!(
            "{}:\n{}",
            self.name,
            self.printed.lock().expect("no reader panics")
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- {}", self.printed());
        }
    }
}

fn each_line(stream: impl Read, mut with: impl FnMut(&str)) {
    for line in BufReader::new(stream).lines() {
        match line {
            Ok(line) => with(&line),
            Err(_) => return,
        }
    }
}

fn keep(printed: &Mutex<String>, line: &str) {
    let mut printed = printed.lock().expect("no reader panics");
    printed.push_str(line);
    printed.push('\n');
}
