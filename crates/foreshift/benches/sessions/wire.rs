//! Getting one key of the embedded engine from `foreshift run`: over HTTP and over the Redis view, each on one kept connection.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    Plan,
    data::{Draws, key},
    figure::{Figures, Goal},
    program::{Program, free},
    store::{KEYS, VALUE_BYTES},
    times::{Sorted, Times},
};

/// Connections that fill the store at once: each waits for the disk.
const FILLING: usize = 64;

pub(crate) fn measure(plan: &Plan, figures: &mut Figures) -> Result<()> {
    let folder = tempfile::tempdir_in(&plan.folder)?;
    let (api, view) = (free()?, free()?);
    let _program = start(folder.path(), api, view)?;
    let sessions = fill(api, plan.sessions)?;
    let time = Duration::from_secs(plan.seconds);
    let value = "1 KiB of a random one of all sessions";
    for (name, address, get) in [
        ("http get, p99", api, over_http as Get),
        ("redis view get, p99", view, over_view as Get),
    ] {
        gets(address, &sessions, time / 4, get)?;
        let times = gets(address, &sessions, time, get)?;
        let note = format!("{value}; {}", times.spread());
        figures.add(name, times.us(0.99), "us", Goal::None, note);
    }
    Ok(())
}

fn start(folder: &Path, api: SocketAddr, view: SocketAddr) -> Result<Program> {
    let text = format!(
        "[api]\naddress = \"{api}\"\n[meta]\npath = \"meta.redb\"\n[session]\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\n\
         redis_view = \"{view}\"\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n[[pool]]\nname = \"app\"\n"
    );
    std::fs::write(folder.join("foreshift.toml"), text)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshift"));
    command.args(["run", "-c", "foreshift.toml"]).current_dir(folder);
    Program::start(&mut command, &[api, view])
}

/// Sessions with a partition of [`KEYS`] keys each, made over HTTP.
fn fill(api: SocketAddr, count: usize) -> Result<Vec<String>> {
    let fillers: Vec<_> = (0..FILLING)
        .map(|filler| {
            let share = (filler..count).step_by(FILLING).count();
            std::thread::spawn(move || make(api, filler as u64, share))
        })
        .collect();
    let mut all = Vec::with_capacity(count);
    for filler in fillers {
        all.extend(filler.join().ok().context("a filler panicked")??);
    }
    Ok(all)
}

fn make(api: SocketAddr, seed: u64, share: usize) -> Result<Vec<String>> {
    let (mut kept, mut draws, mut made) = (Kept::open(api)?, Draws::seeded(seed), Vec::new());
    for _ in 0..share {
        let body = kept.request(&head("POST", "/v1/sessions", 0), &[])?;
        let body: serde_json::Value = serde_json::from_slice(body)?;
        let id = body["id"].as_str().context("a session has an id")?.to_owned();
        for index in 0..KEYS {
            let place = place(&id, index);
            let value = draws.bytes(VALUE_BYTES);
            kept.request(&head("PUT", &place, value.len()), &value)?;
        }
        made.push(id);
    }
    Ok(made)
}

/// Gets a key of a session.
type Get = fn(&mut Kept, &str, usize) -> Result<usize>;

fn gets(address: SocketAddr, sessions: &[String], time: Duration, get: Get) -> Result<Sorted> {
    let (mut kept, mut draws, mut times) = (Kept::open(address)?, Draws::seeded(9), Times::default());
    let end = Instant::now() + time;
    while Instant::now() < end {
        let (session, index) = (&sessions[draws.below(sessions.len())], draws.below(KEYS));
        let begun = Instant::now();
        let bytes = get(&mut kept, session, index)?;
        times.since(begun);
        ensure!(bytes == VALUE_BYTES, "a value has {bytes} bytes");
    }
    Ok(times.sorted())
}

fn over_http(kept: &mut Kept, session: &str, index: usize) -> Result<usize> {
    let head = head("GET", &place(session, index), 0);
    Ok(kept.request(&head, &[])?.len())
}

fn over_view(kept: &mut Kept, session: &str, index: usize) -> Result<usize> {
    let mut request = String::from("*3\r\n");
    let place = format!("{{{session}}}:cart");
    for word in ["HGET", &place, &format!("item/{index}")] {
        write!(request, "${}\r\n{word}\r\n", word.len())?;
    }
    kept.send(request.as_bytes(), &[])?;
    let line = kept.line()?;
    let length = line
        .strip_prefix('$')
        .with_context(|| format!("the view answered {line}"))?;
    let length = length.parse()?;
    kept.body(length + 2)?;
    Ok(length)
}

fn place(session: &str, index: usize) -> String {
    let key = key(index);
    format!(
        "/v1/sessions/{session}/partitions/cart/{}",
        String::from_utf8_lossy(&key)
    )
}

fn head(method: &str, place: &str, length: usize) -> String {
    format!("{method} {place} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// A connection that is kept.
struct Kept {
    input: BufReader<TcpStream>,
    out: Vec<u8>,
    body: Vec<u8>,
}

impl Kept {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self {
            input: BufReader::with_capacity(16 * 1024, stream),
            out: Vec::new(),
            body: Vec::new(),
        })
    }

    fn send(&mut self, head: &[u8], body: &[u8]) -> Result<()> {
        self.out.clear();
        self.out.extend_from_slice(head);
        self.out.extend_from_slice(body);
        Ok(self.input.get_mut().write_all(&self.out)?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.input.read_line(&mut line)? > 0, "the connection was closed");
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn body(&mut self, length: usize) -> Result<&[u8]> {
        self.body.resize(length, 0);
        self.input.read_exact(&mut self.body)?;
        Ok(&self.body)
    }

    /// The body of the answer to an HTTP request, which must succeed.
    fn request(&mut self, head: &str, body: &[u8]) -> Result<&[u8]> {
        self.send(head.as_bytes(), body)?;
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 2"), "{head} was answered {status}");
        let mut length = 0;
        loop {
            let line = self.line()?;
            match line.split_once(':') {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse()?;
                }
                Some(_) => {}
            }
        }
        self.body(length)
    }
}
