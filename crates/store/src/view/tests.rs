//! Connections and time: who says nothing, who does not listen, who goes in the middle.

use foreshift_wire::{PartitionPattern, Session, SessionAccess, SessionToken};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::engine::Memory;

fn view(limits: Limits, tokens: Tokens) -> Arc<View> {
    let sessions = Sessions::over(Arc::new(Memory::default()), Default::default());
    Arc::new(View {
        state: State::new(sessions),
        tokens,
        limits,
        tls: None,
    })
}

fn open() -> Tokens {
    Tokens::open(&Session::default()).unwrap()
}

/// Nobody knows the token, which was made just now.
fn closed() -> Tokens {
    let folder = tempfile::tempdir().unwrap();
    let token = SessionToken {
        file: folder.path().join("token"),
        node: None,
        partitions: vec![PartitionPattern::all()],
        access: SessionAccess::Write,
    };
    Tokens::open(&Session {
        token: vec![token],
        ..Session::default()
    })
    .unwrap()
}

fn limits() -> Limits {
    Limits::of(&Default::default())
}

/// A client of a view, through a pipe that holds so many bytes, and what makes the view stop.
fn client(limits: Limits, tokens: Tokens, pipe: usize) -> (DuplexStream, watch::Sender<bool>) {
    let (near, far) = duplex(pipe);
    let (stopper, stop) = watch::channel(false);
    let view = view(limits, tokens);
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    tokio::spawn(async move { view.speak(far, 1, address, stop).await });
    (near, stopper)
}

async fn all_of(stream: &mut DuplexStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    String::from_utf8(all).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_half_of_it_is_not_waited_for_without_end() {
    for (tokens, said, after) in [
        (closed(), "", limits().greeting),
        (closed(), "*1\r\n$4\r\n", limits().greeting),
        (open(), "", limits().idle),
        (open(), "*1\r\n$4\r\nPI", limits().progress),
        (open(), "*1\r\n$40000\r\nPI", limits().progress),
    ] {
        let (mut stream, _stopper) = client(limits(), tokens, 1 << 16);
        let begun = tokio::time::Instant::now();
        stream.write_all(said.as_bytes()).await.unwrap();
        assert_eq!(all_of(&mut stream).await, "", "{said:?}");
        let took = begun.elapsed();
        assert!(took >= after && took < after * 2, "{said:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_answers_is_let_go_and_nothing_piles_up() {
    let (mut stream, _stopper) = client(limits(), open(), 1024);
    let command = format!("*2\r\n$4\r\nECHO\r\n$100\r\n{}\r\n", "x".repeat(100));
    let begun = tokio::time::Instant::now();
    let mut sent = 0;
    while stream.write_all(command.as_bytes()).await.is_ok() {
        sent += command.len();
    }
    let took = begun.elapsed();
    assert!(
        took >= limits().progress && took < limits().progress * 3 / 2,
        "{took:?}"
    );
    let most = limits().ahead_bytes + 4 * 64 * 1024;
    assert!(sent > limits().ahead_bytes && sent < most, "{sent}");
}

#[tokio::test]
async fn a_pipeline_that_is_sent_whole_before_the_first_answer_is_read_is_answered() {
    let (mut stream, _stopper) = client(limits(), open(), 1024);
    let word = "x".repeat(1000);
    for _ in 0..900 {
        let command = format!("*2\r\n$4\r\nECHO\r\n$1000\r\n{word}\r\n");
        stream.write_all(command.as_bytes()).await.unwrap();
    }
    stream.write_all(b"QUIT\r\n").await.unwrap();
    let all = all_of(&mut stream).await;
    assert_eq!(all.len(), 900 * 1009 + 5);
    assert!(all.ends_with("+OK\r\n"));
}

#[tokio::test]
async fn what_came_before_bytes_that_are_no_request_is_answered() {
    for (bytes, answer) in [
        (
            "PING\r\n*1\r\n!",
            "+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n",
        ),
        (
            "PING\r\n*99999999\r\n",
            "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n",
        ),
        ("PING\r\nPOST / HTTP/1.1\r\nPING\r\n", "+PONG\r\n"),
        ("PING\r\nHost: x\r\nPING\r\n", "+PONG\r\n"),
        ("PING\r\nQUIT\r\nPING\r\n", "+PONG\r\n+OK\r\n"),
    ] {
        let (mut stream, _stopper) = client(limits(), open(), 1 << 16);
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(all_of(&mut stream).await, answer, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_client_that_only_stops_sending_gets_its_answers() {
    let (mut stream, _stopper) = client(limits(), open(), 1 << 16);
    stream.write_all(b"PING\r\nPING\r\n*1\r\n$4\r\nPI").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(all_of(&mut stream).await, "+PONG\r\n+PONG\r\n");
}

#[tokio::test]
async fn the_signal_to_stop_ends_connections_that_wait() {
    let (mut stream, stopper) = client(limits(), open(), 1 << 16);
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut pong = [0; 7];
    stream.read_exact(&mut pong).await.unwrap();
    stopper.send(true).unwrap();
    assert_eq!(all_of(&mut stream).await, "");
}
