//! Hands a request to the machine's own `git http-backend` (CGI 1.1, RFC 3875) and its answer back.
//!
//! It adds nothing of git's protocol: what is on the wire is what real git says.

use super::plumbing::command;
use crate::sandbox::wire;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout};

/// The longest header block that is read from the backend; its own are some hundred bytes.
const HEAD_BYTES_MAX: u64 = 16 << 10;

/// How much of a pack is passed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Serves one request from the repositories below this root. An answer to a push is complete when this returns, so that
/// its effect is over; a fetch's is streamed.
pub(super) async fn serve(root: &Path, request: Request<Bytes>, whole: bool) -> Response {
    match exchange(root, request).await {
        Ok((status, headers, child, output)) => {
            let body = if whole { collected(child, output).await } else { Ok(streamed(child, output)) };
            let body = body.unwrap_or_else(|_| Body::empty());
            let mut response = (status, body).into_response();
            response.headers_mut().extend(headers);
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("git http-backend: {error}\n")).into_response(),
    }
}

type Headers = Vec<(HeaderName, HeaderValue)>;

async fn exchange(
    root: &Path,
    request: Request<Bytes>,
) -> io::Result<(StatusCode, Headers, Child, BufReader<ChildStdout>)> {
    let text = |name: &str| wire::header(request.headers(), name).unwrap_or_default().to_owned();
    let mut backend = command(root);
    backend
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", wire::percent_decoded(request.uri().path()))
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE.as_str()))
        .env("CONTENT_LENGTH", request.body().len().to_string())
        .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING.as_str()))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .env("REMOTE_USER", "sandbox")
        .env("REMOTE_ADDR", "127.0.0.1");
    let mut child = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    // In a task of its own: the backend may answer before it has read everything.
    drop(tokio::spawn(async move { input.write_all(request.body()).await }));
    let mut output = BufReader::new(output);
    let (status, headers) = head(&mut output).await?;
    Ok((status, headers, child, output))
}

/// Reads the CGI header block; `Status` is the status line, and 200 where it is missing.
async fn head(output: &mut (impl AsyncBufRead + Unpin)) -> io::Result<(StatusCode, Headers)> {
    let (mut status, mut headers) = (StatusCode::OK, Vec::new());
    let mut limited = output.take(HEAD_BYTES_MAX);
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended within its headers"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok((status, headers)) };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
            headers.push((name, value));
        }
    }
}

async fn collected(mut child: Child, mut output: BufReader<ChildStdout>) -> io::Result<Body> {
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes).await?;
    child.wait().await?;
    Ok(Body::from(bytes))
}

fn streamed(child: Child, output: BufReader<ChildStdout>) -> Body {
    Body::from_stream(stream::unfold((child, output), |(mut child, mut output)| async {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match output.read_buf(&mut chunk).await {
            Ok(0) => child.wait().await.err().map(|error| (Err(error), (child, output))),
            Ok(_) => Some((Ok(Bytes::from(chunk)), (child, output))),
            Err(error) => Some((Err(error), (child, output))),
        }
    }))
}
