//! Messages between two of our processes, with open files beside them (SCM_RIGHTS).
//!
//! A message is one line of JSON. Files travel after the message that counts them, so many to a byte, since the kernel
//! limits how many go at once. Blocking, with a time limit for each step: it is for threads that may wait.

use std::{
    io::{self, IoSlice, IoSliceMut, Write},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Serialize, de::DeserializeOwned};

/// Files that go at once; the kernel takes 253.
const AT_ONCE: usize = 64;
/// Bytes of a message.
const MESSAGE_MAX: usize = 1024 * 1024;

/// Sends one message.
pub(super) fn send(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The next message; an end before it is an error.
pub(super) fn receive<T: DeserializeOwned>(stream: &UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    // Byte by byte: what is behind the line may have files beside it, which a longer read would lose.
    loop {
        let mut byte = [0];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(stream, &mut byte))?;
        match (read, byte[0]) {
            (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (_, b'\n') => break,
            (_, byte) => line.push(byte),
        }
        if line.len() > MESSAGE_MAX {
            return Err(io::Error::other("a message over 1 MiB"));
        }
    }
    serde_json::from_slice(&line).map_err(io::Error::other)
}

/// Sends listening sockets; they stay open here as well.
pub(super) fn send_sockets(stream: &UnixStream, sockets: &[&TcpListener]) -> io::Result<()> {
    for some in sockets.chunks(AT_ONCE) {
        let fds: Vec<_> = some.iter().map(|socket| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("no room for so many files at once"));
        }
        rustix::io::retry_on_intr(|| {
            sendmsg(stream, &[IoSlice::new(b"+")], &mut control, SendFlags::NOSIGNAL)
        })?;
    }
    Ok(())
}

/// Receives so many listening sockets.
pub(super) fn receive_sockets(stream: &UnixStream, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    while sockets.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(
                stream,
                &mut [IoSliceMut::new(&mut byte)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        })?;
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = sockets.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                sockets.extend(fds.map(|fd: OwnedFd| TcpListener::from(fd)));
            }
        }
        if sockets.len() == before {
            return Err(io::Error::other("files were announced that did not come"));
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_sockets_than_go_at_once_arrive_in_order_and_listen() {
        let (a, b) = UnixStream::pair().unwrap();
        let sockets: Vec<_> = (0..150)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        send(&a, &sockets.len()).unwrap();
        send_sockets(&a, &sockets.iter().collect::<Vec<_>>()).unwrap();
        send(&a, &"behind").unwrap();
        let count: usize = receive(&b).unwrap();
        let received = receive_sockets(&b, count).unwrap();
        assert_eq!(receive::<String>(&b).unwrap(), "behind");
        assert_eq!(received.len(), 150);
        for (sent, received) in sockets.into_iter().zip(received) {
            let address = sent.local_addr().unwrap();
            drop(sent);
            assert_eq!(received.local_addr().unwrap(), address);
            std::net::TcpStream::connect(address).unwrap();
        }
    }

    #[test]
    fn an_end_in_place_of_a_message_or_of_files_is_an_error() {
        let (a, b) = UnixStream::pair().unwrap();
        drop(a);
        assert!(receive::<usize>(&b).is_err());
        assert!(receive_sockets(&b, 1).is_err());
        let (a, b) = UnixStream::pair().unwrap();
        (&a).write_all(b"+").unwrap();
        assert!(receive_sockets(&b, 1).is_err());
    }
}
