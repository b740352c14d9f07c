//! The connections of a face: each can be cut at any moment, and all are cut when the face closes.
//!
//! What goes over them is not looked at.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long the listener rests when the machine has no descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listener: each connection can be cut, and all are cut when the face closes.
pub(super) struct Lines {
    tcp: TcpListener,
    stop: CancellationToken,
}

impl Lines {
    pub(super) fn new(tcp: TcpListener, stop: CancellationToken) -> Self {
        Self { tcp, stop }
    }
}

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            if let Ok((stream, address)) = self.tcp.accept().await {
                let cut = self.stop.child_token();
                return (Line { stream, cut: Cut(cut.clone()), ended: Box::pin(cut.cancelled_owned()) }, address);
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// The end of a connection, for whoever wants to cut it.
#[derive(Debug, Clone)]
pub(super) struct Cut(CancellationToken);

impl Cut {
    /// Resets the connection: the client reads `ECONNRESET`, not an orderly end.
    pub(super) fn reset(&self) {
        self.0.cancel();
    }

    /// Whether it was cut, or its face has closed.
    pub(super) fn is_reset(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        stream.io().cut.clone()
    }
}

/// One connection.
pub(super) struct Line {
    stream: TcpStream,
    cut: Cut,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Line {
    /// Fails once the line is cut, and wakes the task when that happens.
    fn alive(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.is_reset() || self.ended.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.cut.is_reset() {
            // Without lingering, closing sends a reset; should it fail, the client sees an early end, which is as bad.
            self.stream.set_zero_linger().ok();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.alive(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
