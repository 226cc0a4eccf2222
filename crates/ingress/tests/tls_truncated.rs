//! An answer that ends with its connection is whole only where the end is announced: what a node cuts is cut for the client.

mod common;

use common::{
    Cluster, PATIENCE,
    raw::Raw,
    tls::{Pki, connect},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

/// Answers one connection without a length, and ends it with or without a word.
async fn node(pki: &Pki, announced: bool) -> std::net::SocketAddr {
    let files = pki.issue("node", &["127.0.0.1"]);
    let acceptor = TlsAcceptor::from(pki.node(&files, false));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut raw = Raw::over(acceptor.accept(socket).await.unwrap());
        raw.request().await.unwrap();
        raw.send("HTTP/1.1 200 OK\r\n\r\nhalf of it").await;
        if announced {
            raw.stream.shutdown().await.unwrap();
        } else {
            let (socket, _) = raw.stream.get_mut();
            socket.shutdown().await.unwrap();
        }
        // Until the other side ends it too.
        let _ = raw.stream.read(&mut [0]).await;
    });
    address
}

#[tokio::test]
async fn the_client_can_tell_a_whole_answer_from_a_cut_one() {
    for announced in [true, false] {
        let pki = Pki::default();
        let site = pki.issue("site", &["site.example"]);
        let node = node(&pki, announced).await;
        let listener = format!(
            "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\ntls = {}\n",
            site.table("")
        );
        let cluster = Cluster::over(&[node], &format!("tls = {{ ca = {:?} }}", pki.ca()), &listener).await;
        let mut client = connect(cluster.address_of("tls"), pki.client(), "site.example")
            .await
            .unwrap();
        client.send("GET / HTTP/1.1\r\nHost: lab\r\n\r\n").await;
        assert_eq!(client.head().await.unwrap().status(), 200);
        assert_eq!(client.take(10).await, b"half of it");
        let end = timeout(PATIENCE, client.stream.read(&mut [0; 16]))
            .await
            .expect("it ends");
        match announced {
            true => assert_eq!(end.unwrap(), 0),
            false => assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof),
        }
    }
}
