//! A constant load of strict clients, and plain nodes to answer it, within the test's own process.
//!
//! A client keeps its connection until it is told `Connection: close`. Whatever else ends it, and every answer but a
//! whole 200, is a failure: nothing is tried again.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{DEADLINE, until};

/// Answers every request with its name. It ends with the test.
pub struct PlainNode {
    pub address: SocketAddr,
    served: Arc<AtomicU64>,
}

impl PlainNode {
    pub fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let served = Arc::new(AtomicU64::new(0));
        let count = served.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let count = count.clone();
                thread::spawn(move || answer_all(&client, name, &count));
            }
        });
        Self { address, served }
    }

    /// Requests answered so far.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

fn answer_all(client: &TcpStream, name: &str, count: &AtomicU64) -> io::Result<()> {
    client.set_nodelay(true)?;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
    let mut lines = BufReader::new(client);
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            (&*client).write_all(answer.as_bytes())?;
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Keys of one client. Each lives on any of the nodes, so that together they make sure that every node has some: of
/// only eight keys and two nodes, all are on the same one in one test of a hundred.
const KEYS: usize = 8;

/// Clients at work until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// `clients` at once, each asking again as soon as it has its answer, and each with [`KEYS`] keys of its own in turn.
    pub fn start(address: SocketAddr, clients: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            answered: Arc::default(),
            failures: Arc::default(),
            clients: Vec::new(),
        };
        for client in 0..clients {
            let (stop, answered, failures) =
                (load.stop.clone(), load.answered.clone(), load.failures.clone());
            load.clients.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Err(error) = one_connection(address, client, &stop, &answered) {
                        let after = answered.load(Ordering::Relaxed);
                        let failure = format!("client {client}, after {after} answers in all: {error}");
                        failures.lock().expect("no client panics").push(failure);
                    }
                }
            }));
        }
        load
    }

    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits until so many more requests were answered.
    #[track_caller]
    pub fn goes_on(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        until("the load goes on", || {
            (self.answered.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Stops the clients; how many requests were answered. Panics where one was not.
    #[track_caller]
    pub fn ends_without_a_failure(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no client panics");
        }
        let answered = self.answered.load(Ordering::Relaxed);
        let failures = self.failures.lock().expect("no client panics");
        assert!(
            failures.is_empty(),
            "{} of {answered} failed: {failures:#?}",
            failures.len()
        );
        answered
    }
}

/// Asks over one connection until the server says that it ends it.
fn one_connection(
    address: SocketAddr,
    client: usize,
    stop: &AtomicBool,
    answered: &AtomicU64,
) -> io::Result<()> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut from = BufReader::new(&stream);
    for request in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = client * KEYS + request % KEYS;
        (&stream).write_all(format!("GET / HTTP/1.1\r\nHost: a\r\nX-User: {key}\r\n\r\n").as_bytes())?;
        let closes = read_answer(&mut from)?;
        answered.fetch_add(1, Ordering::Relaxed);
        if closes {
            return Ok(());
        }
        // So that a machine that is busy with other things is not asked for all that it has.
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Reads a whole 200; true where the connection ends with it.
fn read_answer(from: &mut BufReader<&TcpStream>) -> io::Result<bool> {
    let (mut line, mut first, mut length, mut closes) = (String::new(), String::new(), 0, false);
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Err(io::Error::other("closed without an answer"));
        }
        let field = line.trim_end().to_ascii_lowercase();
        if first.is_empty() {
            first = field;
        } else if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        } else if field.is_empty() {
            break;
        } else {
            closes |= field == "connection: close";
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    match first.starts_with("http/1.1 200") {
        true => Ok(closes),
        false => Err(io::Error::other(first)),
    }
}
