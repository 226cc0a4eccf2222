//! One user: a WebSocket and, next to it, HTTP requests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, timeout_at},
};

use super::{Item, Record};
use crate::{
    Answer, Checker, HttpClient, Socket, SocketOptions, Style, Tally,
    client::{Received, Receiver, Sender},
};

/// Who and where.
#[derive(Debug)]
pub(super) struct Client {
    pub options: SocketOptions,
    pub record: Arc<Record>,
    pub start: Instant,
    pub patience: Duration,
}

impl Client {
    fn since(&self, at_us: u64) -> u64 {
        let due = self.start + Duration::from_micros(at_us);
        Instant::now().saturating_duration_since(due).as_micros() as u64
    }
}

/// What the user knows of its session's counter, from whichever connection.
#[derive(Debug, Default)]
struct Counter {
    epoch: Option<u64>,
    highest: u64,
}

impl Counter {
    /// Takes note of an answer to something sent when the counter was at `floor`. False where it began anew or
    /// went back.
    fn follow(&mut self, floor: u64, answer: &Answer) -> bool {
        let same = self.epoch.is_none_or(|epoch| epoch == answer.epoch);
        let continues = same && answer.count > floor;
        self.highest = if same {
            self.highest.max(answer.count)
        } else {
            answer.count
        };
        self.epoch = Some(answer.epoch);
        continues
    }
}

/// Serves the user's items until there are no more and all are answered.
pub(super) async fn run(client: Client, socket: Socket, mut items: mpsc::UnboundedReceiver<Item>) {
    let (to_socket, for_socket) = mpsc::unbounded_channel();
    let (to_http, for_http) = mpsc::unbounded_channel();
    let counter = Mutex::new(Counter::default());
    let sort = async move {
        while let Some(item) = items.recv().await {
            // The halves end only after this one does.
            let _ = if item.http {
                to_http.send(item)
            } else {
                to_socket.send(item)
            };
        }
    };
    tokio::join!(
        sort,
        sockets(&client, socket, for_socket, &counter),
        requests(&client, for_http, &counter)
    );
}

async fn requests(client: &Client, mut items: mpsc::UnboundedReceiver<Item>, counter: &Mutex<Counter>) {
    let mut http = HttpClient::new(client.options.address);
    let headers: Vec<(&str, &str)> = client.options.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    while let Some(item) = items.recv().await {
        let floor = lock(counter).highest;
        match http.get("/work", &headers).await {
            Ok(response) if response.status() == 200 => {
                match serde_json::from_slice::<Answer>(response.body()) {
                    Ok(answer) => {
                        client
                            .record
                            .answered(item.at_us, client.since(item.at_us), &answer.node);
                        let lost = !lock(counter).follow(floor, &answer);
                        client.record.add(Tally {
                            counters_lost: u64::from(lost),
                            ..Tally::default()
                        });
                    }
                    Err(error) => client.record.failed(item.at_us, &format!("GET /work: {error}")),
                }
            }
            Ok(response) => client
                .record
                .failed(item.at_us, &format!("GET /work: {}", response.status())),
            Err(error) => client.record.failed(item.at_us, &format!("GET /work: {error:#}")),
        }
    }
}

/// What the two halves of a WebSocket share.
#[derive(Debug, Default)]
struct Book {
    state: Mutex<BookState>,
    answered: Notify,
}

#[derive(Debug, Default)]
struct BookState {
    checker: Checker,
    /// Intended times of what is not answered yet, with its number.
    due: VecDeque<(u64, u64)>,
}

/// Keeps a WebSocket open, a new one when the other side closed it.
async fn sockets(
    client: &Client,
    mut socket: Socket,
    mut items: mpsc::UnboundedReceiver<Item>,
    counter: &Mutex<Counter>,
) {
    loop {
        let (mut sender, mut receiver, checker) = socket.split();
        let book = Book {
            state: Mutex::new(BookState {
                checker,
                ..BookState::default()
            }),
            ..Book::default()
        };
        let finished = tokio::select! {
            finished = send(client, &book, &mut sender, &mut items) => finished,
            () = receive(client, &book, &mut receiver, counter) => false,
        };
        close_book(client, book);
        if finished {
            return sender.close().await;
        }
        client.record.reconnected();
        socket = loop {
            match Socket::connect(&client.options).await {
                Ok(socket) => break socket,
                Err(_) if items.is_closed() && items.is_empty() => return,
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        };
    }
}

/// Sends what is due. True when everything was sent and answered (or patience is at an end), false when the
/// socket is of no use any more.
async fn send(
    client: &Client,
    book: &Book,
    sender: &mut Sender,
    items: &mut mpsc::UnboundedReceiver<Item>,
) -> bool {
    while let Some(item) = items.recv().await {
        let id = {
            let mut state = lock(&book.state);
            let id = state.checker.send();
            state.due.push_back((id, item.at_us));
            id
        };
        if sender.send(id, &[], Style::Text).await.is_err() {
            return false;
        }
    }
    let patience = Instant::now() + client.patience;
    loop {
        let answered = book.answered.notified();
        if lock(&book.state).checker.pending() == 0 || timeout_at(patience, answered).await.is_err() {
            return true;
        }
    }
}

async fn receive(client: &Client, book: &Book, receiver: &mut Receiver, counter: &Mutex<Counter>) {
    loop {
        match receiver.next().await {
            Received::Closed | Received::Cut => return,
            Received::Garbage => lock(&book.state).checker.receive_garbage(),
            Received::Answer(answer, _) => {
                // The socket's checker judges the counter itself; here it is only noted for the HTTP requests.
                lock(counter).follow(0, &answer);
                let mut state = lock(&book.state);
                let due = state.checker.receive(&answer).and_then(|id| {
                    let at = state.due.iter().position(|(due, _)| *due == id)?;
                    state.due.remove(at)
                });
                drop(state);
                if let Some((_, at_us)) = due {
                    client.record.answered(at_us, client.since(at_us), &answer.node);
                }
                book.answered.notify_one();
            }
        }
    }
}

fn close_book(client: &Client, book: Book) {
    let state = book.state.into_inner().unwrap_or_else(|e| e.into_inner());
    client.record.add(state.checker.tally());
    for (_, at_us) in state.due {
        client
            .record
            .failed(at_us, "a WebSocket message was never answered");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
