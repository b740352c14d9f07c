//! Connections: at most so many at once, and none that stays silent.
//!
//! It bounds what a stranger can hold open without a word; what is said over a connection is not its business.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// How many connections are open at once: people, a proxy's pool and senders of signals stay far below it, and it is half
/// of the 1024 files that a process may open by default. More wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// How long a connection may pass without a byte: longer than a request may take, so that none that is answered is cut.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A listener that keeps to the limits.
pub(super) struct Door {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

impl Door {
    /// Keeps this listener to the limits.
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, seats: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl axum::serve::Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; without a seat there would only be one connection too many.
        let seat = self.seats.clone().acquire_owned().await.ok();
        let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
        (Connection { stream, silence: Box::pin(tokio::time::sleep(SILENCE_MAX)), _seat: seat }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing was said for too long.
pub(super) struct Connection {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Counts the silence anew with each byte, and ends what waits for the next one for too long.
    fn heard<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
            return polled;
        }
        self.silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.heard(context, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.heard(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.heard(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::serve::Listener as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn door() -> (Door, SocketAddr) {
        let door = Door::new(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
        let address = door.local_addr().expect("an address");
        (door, address)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection_and_a_word_puts_it_off() {
        let (mut door, address) = door().await;
        let (client, accepted) = tokio::join!(TcpStream::connect(address), door.accept());
        let (mut client, (mut served, _)) = (client.expect("connected"), accepted);
        let begun = Instant::now();
        tokio::time::sleep(SILENCE_MAX / 2).await;
        client.write_all(b"x").await.expect("written");
        assert_eq!(served.read_u8().await.expect("a byte"), b'x');
        assert_eq!(served.read_u8().await.expect_err("silence").kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= SILENCE_MAX + SILENCE_MAX / 2, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_seat_is_free_again_when_a_connection_ends() {
        let (mut door, address) = door().await;
        door.seats = Arc::new(Semaphore::new(1));
        let _first = TcpStream::connect(address).await.expect("connected");
        let (served, _) = door.accept().await;
        let _second = TcpStream::connect(address).await.expect("in the kernel's queue");
        assert!(tokio::time::timeout(Duration::from_millis(50), door.accept()).await.is_err(), "one seat, two guests");
        drop(served);
        let (_served, _) = tokio::time::timeout(Duration::from_secs(5), door.accept()).await.expect("a free seat");
    }
}
