//! Carries out what the core decides: connections, timers, queues.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Sleep},
};
use tokio_util::sync::PollSender;

use crate::{
    connection::{Order, Said, handshake, run},
    core::{Action, Conn, Core, Event, Loss, Message},
    socket::{Error, Options},
};

/// Messages that a connection and the driver pass each other ahead.
const AHEAD: usize = 32;

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Wish {
    Send(Message),
    Close { code: u16, reason: String },
}

/// One connection.
struct Line {
    orders: PollSender<Order>,
    queue: VecDeque<Order>,
    said: mpsc::Receiver<Said>,
}

/// Runs one socket until it has ended.
pub(crate) struct Driver {
    core: Core,
    options: Options,
    begun: Instant,
    lines: BTreeMap<Conn, Line>,
    wishes: Option<mpsc::Receiver<Wish>>,
    deliveries: PollSender<Result<Message, Error>>,
    queue: VecDeque<Result<Message, Error>>,
    ready: Option<oneshot::Sender<Result<(), Error>>>,
    migrations: Arc<AtomicU64>,
    sleep: Pin<Box<Sleep>>,
    ended: bool,
}

impl Driver {
    pub(crate) fn new(
        url: String,
        options: Options,
        wishes: mpsc::Receiver<Wish>,
        deliveries: mpsc::Sender<Result<Message, Error>>,
        ready: oneshot::Sender<Result<(), Error>>,
        migrations: Arc<AtomicU64>,
    ) -> Self {
        let mut driver = Self {
            core: Core::new(options.persistence.clone()),
            options,
            begun: Instant::now(),
            lines: BTreeMap::new(),
            wishes: Some(wishes),
            deliveries: PollSender::new(deliveries),
            queue: VecDeque::new(),
            ready: Some(ready),
            migrations,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            ended: false,
        };
        driver.feed(Event::Connect { url });
        driver
    }

    fn feed(&mut self, event: Event) {
        let now_ms = self.begun.elapsed().as_millis() as u64;
        let actions = self.core.on(event, now_ms, &mut rand::random::<f64>);
        for action in actions {
            self.perform(action);
        }
        if let Some(at) = self.core.wakes() {
            let at = self.begun + Duration::from_millis(at);
            self.sleep.as_mut().reset(at);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Open { conn, url, token } => self.open(conn, &url, token.as_deref()),
            Action::Transmit(conn, message) => self.order(conn, Order::Send(message)),
            Action::HangUp { conn, code, reason } => self.order(conn, Order::Close { code, reason }),
            Action::Ready => {
                if let Some(ready) = self.ready.take() {
                    let _ = ready.send(Ok(()));
                }
            }
            Action::Deliver(message) => self.queue.push_back(Ok(message)),
            Action::Migrated { .. } => drop(self.migrations.fetch_add(1, Ordering::Relaxed)),
            Action::Reconnecting { .. } => {}
            Action::Ended { code, reason } => self.end(code, reason),
        }
    }

    fn open(&mut self, conn: Conn, url: &str, token: Option<&str>) {
        let (orders, taken) = mpsc::channel(AHEAD);
        let (told, said) = mpsc::channel(AHEAD);
        let line = Line {
            orders: PollSender::new(orders),
            queue: VecDeque::new(),
            said,
        };
        self.lines.insert(conn, line);
        match handshake(url, &self.options.protocols, &self.options.headers, token) {
            Ok(request) => {
                let (tls, within) = (self.options.tls.clone(), self.options.connect_within);
                tokio::spawn(run(request, tls, within, taken, told));
            }
            Err(reason) => {
                let (code, status) = (1006, None);
                // The channel is new: there is room.
                let _ = told.try_send(Said::Lost(Loss { code, reason, status }));
            }
        }
    }

    fn order(&mut self, conn: Conn, order: Order) {
        if let Some(line) = self.lines.get_mut(&conn) {
            line.queue.push_back(order);
        }
    }

    fn end(&mut self, code: u16, reason: String) {
        self.ended = true;
        let error = Error::Closed { code, reason };
        match self.ready.take() {
            Some(ready) => drop(ready.send(Err(error))),
            None if code == 1000 || code == 1005 => {}
            None => self.queue.push_back(Err(error)),
        }
    }

    /// Hands the user what there is. False where the user has to take something first.
    fn deliver(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.queue.is_empty() {
            match self.deliveries.poll_reserve(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(())) => {
                    if let Some(item) = self.queue.pop_front() {
                        let _ = self.deliveries.send_item(item);
                    }
                }
                Poll::Ready(Err(_)) => self.queue.clear(), // nobody is there to take it
            }
        }
        true
    }

    /// Gives the connections their orders. False where one has to carry out some first.
    fn give_orders(&mut self, cx: &mut Context<'_>) -> bool {
        let mut all = true;
        for line in self.lines.values_mut() {
            while !line.queue.is_empty() {
                match line.orders.poll_reserve(cx) {
                    Poll::Pending => {
                        all = false;
                        break;
                    }
                    Poll::Ready(Ok(())) => {
                        if let Some(order) = line.queue.pop_front() {
                            let _ = line.orders.send_item(order);
                        }
                    }
                    Poll::Ready(Err(_)) => line.queue.clear(), // it has ended, and says so
                }
            }
        }
        all
    }

    /// The next that a connection says, of those that are listened to.
    fn hear(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        // The newest first: an old one that never pauses must not keep it from being heard.
        for (conn, line) in self.lines.iter_mut().rev() {
            if !self.core.reads(*conn) {
                continue;
            }
            let conn = *conn;
            return Some(match line.said.poll_recv(cx) {
                Poll::Pending => continue,
                Poll::Ready(Some(Said::Opened)) => Event::Opened(conn),
                Poll::Ready(Some(Said::Message(message))) => Event::Received(conn, message),
                Poll::Ready(said) => {
                    self.lines.remove(&conn);
                    let gone = Loss {
                        code: 1006,
                        reason: "the connection's task ended".into(),
                        status: None,
                    };
                    match said {
                        Some(Said::Lost(loss)) => Event::Lost(conn, loss),
                        _ => Event::Lost(conn, gone),
                    }
                }
            });
        }
        None
    }

    /// The user's next wish.
    fn wish(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        if self.core.waiting() > self.options.waiting_bytes_max {
            return None;
        }
        match self.wishes.as_mut()?.poll_recv(cx) {
            Poll::Pending => None,
            Poll::Ready(Some(Wish::Send(message))) => Some(Event::Send(message)),
            Poll::Ready(Some(Wish::Close { code, reason })) => Some(Event::Close { code, reason }),
            Poll::Ready(None) => {
                self.wishes = None;
                let (code, reason) = (1001, String::new());
                Some(Event::Close { code, reason })
            }
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let delivered = self.deliver(cx);
            let ordered = self.give_orders(cx);
            if self.ended {
                return if delivered { Poll::Ready(()) } else { Poll::Pending };
            }
            if self.core.wakes().is_some() && self.sleep.as_mut().poll(cx).is_ready() {
                self.feed(Event::Time);
                continue;
            }
            // What the user does not take, and what connections do not carry out, holds the rest back.
            let heard = if delivered { self.hear(cx) } else { None };
            let event = match heard {
                None if ordered => self.wish(cx),
                heard => heard,
            };
            match event {
                Some(event) => self.feed(event),
                None => return Poll::Pending,
            }
        }
    }
}
