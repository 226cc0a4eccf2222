//! Whoever was let in before the port of sessions' state stopped is answered; connections that wait for nothing are closed.

mod common;

use std::{sync::Arc, time::Duration};

use common::config;
use foreshift_control::{SessionStore, serve_sessions};
use foreshift_store::{Sessions, Tokens, engine::Memory};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"POST /v1/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";

fn store() -> SessionStore {
    let session = config("[session]\n").session.unwrap();
    SessionStore {
        sessions: Sessions::over(Arc::new(Memory::default()), session.clone()),
        tokens: Tokens::open(&session).unwrap(),
        config: Arc::new(session),
    }
}

/// What comes until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut text)).await;
    read.expect("it is closed").expect("it is closed in order");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_let_in_is_answered_and_one_that_waits_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve_sessions(listener, store(), None, stopped));
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut new = TcpStream::connect(address).await.unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    // They are accepted in order: once this one is answered, the others are in.
    kept.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 4096];
    let length = timeout(PATIENCE, kept.read(&mut answer)).await.unwrap().unwrap();
    let answer = std::str::from_utf8(&answer[..length]).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");

    stop.send_replace(true);
    // It is closed: the stop was heard.
    assert_eq!(rest(&mut kept).await, "");
    new.write_all(REQUEST).await.unwrap();
    let answer = rest(&mut new).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(rest(&mut silent).await, "");
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}
