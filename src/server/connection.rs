//! Connections: at most so many at once, and none that stays silent or never comes to the end of its request.
//!
//! It bounds what a stranger can hold open without a question; what is said over a connection is not its business.

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
/// How long a connection may pass without a byte of an answer, after the last one and after the first byte of a request:
/// longer than a request may take from the end of its header, so that none that is answered is cut.
const UNANSWERED_MAX: Duration = Duration::from_secs(60);

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
        (Connection::new(stream, seat), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing was answered for too long.
///
/// Bytes that come do not put the end off, but for the first after an answer: one a minute would keep a seat for ever.
pub(super) struct Connection {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    /// Whether a request was begun since the last answer.
    asked: bool,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn new(stream: TcpStream, seat: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, end: Box::pin(tokio::time::sleep(UNANSWERED_MAX)), asked: false, _seat: seat }
    }

    /// Counts anew where a request begins or an answer goes out, and ends what waits for too long.
    fn said<T>(&mut self, asked: bool, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            return self.end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        if !(asked && self.asked) {
            self.end.as_mut().reset(Instant::now() + UNANSWERED_MAX);
        }
        self.asked = asked;
        polled
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.said(true, context, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.said(false, context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.said(false, context, polled)
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
    use std::future::poll_fn;

    async fn door() -> (Door, SocketAddr) {
        let door = Door::new(TcpListener::bind("127.0.0.1:0").await.expect("a port"));
        let address = door.local_addr().expect("an address");
        (door, address)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_that_is_silent_or_never_comes_to_its_end() {
        let (mut door, address) = door().await;
        let step = UNANSWERED_MAX / 2;
        // What is read (`r`) and written (`w`), step after step, and after how many steps it ends.
        for (said, end) in [("", 2), ("r", 3), ("rrrr", 3), ("-r", 4), ("wwww", 6), ("rrwrrr", 6), ("rrwrrw", 8)] {
            let (client, (mut served, _)) = tokio::join!(TcpStream::connect(address), door.accept());
            let (_client, begun) = (client.expect("connected"), Instant::now());
            let mut said = said.chars();
            let ended = loop {
                let quiet = poll_fn(|context| served.said::<()>(true, context, Poll::Pending));
                let Err(_) = tokio::time::timeout(step - Duration::from_millis(1), quiet).await else {
                    break begun.elapsed();
                };
                let what = said.next().unwrap_or('-');
                let polled = || if what == '-' { Poll::Pending } else { Poll::Ready(Ok(())) };
                let _polled = poll_fn(|context| Poll::Ready(served.said(what == 'r', context, polled()))).await;
            };
            assert_eq!(ended.as_secs().div_ceil(step.as_secs()), end, "{ended:?}");
        }
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
