//! Load and backend in one thread over one epoll, so that one core is enough to saturate a proxy on another.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
};
use rustls::ClientConfig;

use super::{
    backend::{Answers, Backend},
    client::Client,
    scenario::Scenario,
    stream::Stream,
};

/// Set in the token of a client; the others are the backend's.
const CLIENT: u64 = 1 << 32;
const LISTENER: u64 = u64::MAX;
const TURN_MAX: Duration = Duration::from_millis(100);
const WITHOUT_PROGRESS_MAX: Duration = Duration::from_secs(10);

/// What happens when a client's answer is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Then {
    /// It sends again.
    Again,
    /// It rests.
    Rest,
}

/// Load and backend.
pub(super) struct Reactor {
    epoll: OwnedFd,
    listener: TcpListener,
    answers: Answers,
    backends: Vec<Option<Backend>>,
    backends_free: Vec<usize>,
    clients: Vec<Client>,
    events: Vec<Event>,
    buffer: Vec<u8>,
    then: Then,
    /// What clients speak TLS with.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Answers that came whole.
    pub(super) answered: u64,
    /// Their latencies in nanoseconds, where wanted.
    pub(super) latencies: Option<Vec<u32>>,
}

impl Reactor {
    pub(super) fn new() -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen for the proxies")?;
        listener.set_nonblocking(true)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            answers: Answers::new(),
            backends: Vec::new(),
            backends_free: Vec::new(),
            clients: Vec::new(),
            events: Vec::with_capacity(256),
            buffer: vec![0; 256 * 1024],
            then: Then::Again,
            tls: None,
            answered: 0,
            latencies: None,
        })
    }

    /// Where the backend listens.
    pub(super) fn backend_address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Opens `count` connections to `address` and sends a first request on each.
    ///
    /// Each thousand comes from a loopback address of its own, as clients do.
    pub(super) fn connect(
        &mut self,
        address: SocketAddr,
        scenario: Scenario,
        count: usize,
        then: Then,
    ) -> Result<()> {
        self.then = then;
        let host = address.to_string();
        for _ in 0..count {
            let number = self.clients.len();
            let socket = connect_from(source(number), address)
                .with_context(|| format!("open client connection {number} to {address}"))?;
            let stream = match &self.tls {
                None => Stream::new(socket)?,
                Some(tls) => Stream::shake_hands(socket, tls)?,
            };
            let mut client = Client::new(stream, scenario, &host, number)?;
            self.register(&client.stream, CLIENT | number as u64)?;
            client.begin()?;
            self.clients.push(client);
        }
        Ok(())
    }

    /// Closes all connections.
    pub(super) fn disconnect(&mut self) {
        self.clients.clear();
        self.backends.clear();
        self.backends_free.clear();
    }

    /// Works for `time`.
    pub(super) fn run_for(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Works until `count` answers came in all.
    pub(super) fn run_until_answered(&mut self, count: u64) -> Result<()> {
        let (mut progress, mut before) = (Instant::now(), self.answered);
        while self.answered < count {
            self.turn()?;
            if self.answered > before {
                (progress, before) = (Instant::now(), self.answered);
            }
            ensure!(
                progress.elapsed() < WITHOUT_PROGRESS_MAX,
                "no answer for {WITHOUT_PROGRESS_MAX:?} after {before} of {count}"
            );
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        let timeout = Timespec::try_from(TURN_MAX).expect("a tenth of a second fits");
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        for at in 0..self.events.len() {
            match self.events[at].data.u64() {
                LISTENER => self.accept()?,
                token if token & CLIENT != 0 => self.client_ready((token & !CLIENT) as usize)?,
                token => self.backend_ready(token as usize)?,
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("accept a connection from the proxy"),
            };
            let backend = Backend::new(socket)?;
            let at = self.backends_free.pop().unwrap_or_else(|| {
                self.backends.push(None);
                self.backends.len() - 1
            });
            self.register(&backend.stream, at as u64)?;
            self.backends[at] = Some(backend);
        }
    }

    fn backend_ready(&mut self, at: usize) -> Result<()> {
        let Some(Some(backend)) = self.backends.get_mut(at) else {
            return Ok(()); // closed by an event of the same turn
        };
        let open = match backend.ready(&self.answers, &mut self.buffer) {
            Err(error) if was_reset(&error) => false, // as good as an end
            outcome => outcome?,
        };
        if !open {
            self.backends[at] = None;
            self.backends_free.push(at);
        }
        Ok(())
    }

    fn client_ready(&mut self, at: usize) -> Result<()> {
        let Some(client) = self.clients.get_mut(at) else {
            return Ok(());
        };
        let answered = client
            .ready(&mut self.buffer)
            .with_context(|| format!("client connection {at}"))?;
        let Some(sent_at) = answered else {
            return Ok(());
        };
        self.answered += 1;
        if let Some(latencies) = &mut self.latencies {
            latencies.push(u32::try_from(sent_at.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        match self.then {
            Then::Again => client.again(),
            Then::Rest => Ok(()),
        }
    }

    fn register(&self, socket: impl AsFd, token: u64) -> Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&self.epoll, socket, EventData::new_u64(token), flags).context("watch a connection")
    }
}

fn was_reset(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}

fn source(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, 1 + (number / 1000 % 250) as u8)
}

fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(TcpStream::from(socket))
}
