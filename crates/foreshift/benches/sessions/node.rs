//! A node of a child process: it takes WebSockets and what is replayed to it, and tells how much that was.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use foreshift_store::content_digest;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::{TcpListener, TcpStream},
};

/// What came.
#[derive(Default)]
struct Came {
    portions: AtomicU64,
    body_bytes: AtomicU64,
    bytes: AtomicU64,
}

/// Serves until it is killed. A line of standard input is answered with what came: portions, bytes of their bodies, all their bytes.
pub(crate) fn play() -> Result<()> {
    let came = Arc::new(Came::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let counts = came.clone();
    std::thread::spawn(move || serve(listener, &counts));
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        let [portions, bodies, bytes] =
            [&came.portions, &came.body_bytes, &came.bytes].map(|count| count.load(Ordering::Relaxed));
        println!("{portions} {bodies} {bytes}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn serve(listener: std::net::TcpListener, came: &Arc<Came>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(
                BufStream::with_capacity(4096, 1024, stream),
                came.clone(),
            ));
        }
    })
}

async fn connection(mut stream: BufStream<TcpStream>, came: Arc<Came>) -> Result<()> {
    while let Some(head) = head(&mut stream).await? {
        if head.starts_with("GET ") {
            return socket(stream).await;
        }
        let length = field(&head, "content-length").map_or(Ok(0), str::parse)?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let answer = match head.starts_with("PUT ") {
            true => {
                let digest = content_digest(&body);
                ensure!(
                    field(&head, "content-digest") == Some(&digest),
                    "a digest is wrong, or missing"
                );
                came.portions.fetch_add(1, Ordering::Relaxed);
                came.body_bytes.fetch_add(length as u64, Ordering::Relaxed);
                came.bytes
                    .fetch_add((head.len() + length) as u64, Ordering::Relaxed);
                format!("HTTP/1.1 200 OK\r\nForeshift-Digest: {digest}\r\nContent-Length: 0\r\n\r\n")
            }
            false => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

/// A request's head; `None` at the end of the connection.
async fn head(stream: &mut BufStream<TcpStream>) -> Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

/// The value of a field, whose name is in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut found = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim())
}

/// A WebSocket on which the data plane says short things: pings and closes are answered.
async fn socket(mut stream: BufStream<TcpStream>) -> Result<()> {
    let agree = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    stream.write_all(agree.as_bytes()).await?;
    stream.flush().await?;
    // Ten thousand of these are open: what is read needs no large buffer.
    let mut stream = stream.into_inner();
    loop {
        let mut start = [0; 6];
        stream.read_exact(&mut start).await?;
        let mut payload = vec![0; usize::from(start[1] & 0x7f)];
        stream.read_exact(&mut payload).await?;
        for (byte, mask) in payload.iter_mut().zip(start[2..].iter().cycle()) {
            *byte ^= mask;
        }
        let answer = match start[0] & 0x0f {
            8 => 0x88,
            9 => 0x8a,
            _ => continue,
        };
        let mut frame = vec![
            answer,
            u8::try_from(payload.len()).context("a control frame is short")?,
        ];
        frame.extend_from_slice(&payload);
        stream.write_all(&frame).await?;
        if answer == 0x88 {
            return Ok(());
        }
    }
}
