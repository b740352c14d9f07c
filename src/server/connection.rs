//! Connections: HTTP/1 alone, on seats that are counted, with small buffers.
//!
//! It bounds what a stranger can make us hold before a question is understood; what is said is not its business.

use super::seats::{Guest, Seat, Seats};
use crate::model::budget::HEAD_BYTES;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long no connection is accepted after the machine had no file for one.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Who asks: it goes with each request.
#[derive(Clone)]
pub(super) struct Peer {
    /// From where.
    pub(super) address: SocketAddr,
    /// On which seat.
    pub(super) seat: Arc<Seat>,
}

/// Answers on every connection until it is told to stop; answers that were begun are finished.
pub(super) async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    let (seats, connections) = (Seats::new(), TaskTracker::new());
    while let Some((stream, address)) = stop.run_until_cancelled(accepted(&listener)).await {
        let Some(guest) = stop.run_until_cancelled(seats.take()).await else { break };
        connections.spawn(attend(stream, address, guest, app.clone(), stop.clone()));
    }
    connections.close();
    connections.wait().await;
}

async fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // Whoever hung up before we answered is no reason to wait.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(error = %error, "no connection can be accepted just now: {error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

async fn attend(stream: TcpStream, address: SocketAddr, guest: Guest, app: Router, stop: CancellationToken) {
    let seat = guest.seat();
    let answers = TowerToHyperService::new(app);
    let service = service_fn(|mut request: Request<Incoming>| {
        let answering = seat.answering();
        request.extensions_mut().insert(Peer { address, seat: seat.clone() });
        let answer = answers.call(request.map(Body::new));
        async move {
            let answer = answer.await;
            drop(answering);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    // The seat ends what takes too long.
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
    let stream = TokioIo::new(Seated { stream, seat: seat.clone() });
    let mut connection = pin!(builder.serve_connection(stream, service));
    let mut ended = pin!(seat.ended());
    let mut stopping = pin!(stop.cancelled());
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::trace!(error = %error, "a connection of {address} failed");
                }
                return;
            }
            () = ended.as_mut() => return,
            () = stopping.as_mut(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A stream that tells its seat when bytes come and go.
struct Seated {
    stream: TcpStream,
    seat: Arc<Seat>,
}

impl Seated {
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(polled, Poll::Ready(Ok(_))) {
            self.seat.said();
        }
        polled
    }
}

impl AsyncRead for Seated {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        if into.filled().len() > before {
            self.seat.heard();
        }
        polled
    }
}

impl AsyncWrite for Seated {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(polled)
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
