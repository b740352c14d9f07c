//! The smallest proxy: it opens a tunnel (`CONNECT`, RFC 9110, 9.3.6) to one address, whatever host is asked for.

use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy that runs until the tests end.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy whose tunnels all end there; it opens none without this header.
    pub(crate) fn to(target: SocketAddr, wants: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                thread::spawn(move || serve(client, target, wants, &heard));
            }
        });
        Self { address, heads }
    }

    /// What it was asked, each with its headers.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.heads.lock().expect("a lock").clone()
    }
}

fn serve(mut client: TcpStream, target: SocketAddr, wants: Option<&str>, heard: &Mutex<Vec<String>>) {
    let head = head(&mut client);
    let lets = wants.is_none_or(|wants| head.to_ascii_lowercase().contains(&wants.to_ascii_lowercase()));
    heard.lock().expect("a lock").push(head);
    let Ok(server) = TcpStream::connect(target) else { return };
    if !lets {
        let no =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
        client.write_all(no).ok();
        return;
    }
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok();
    let ends = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let (from_server, to_client) = (ends(&server), ends(&client));
    thread::spawn(move || pour(from_server, to_client));
    pour(client, server);
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    std::io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// A request's line and headers; what follows them stays unread.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length == 1) {
        head.extend(byte);
    }
    String::from_utf8(head).expect("UTF-8")
}
