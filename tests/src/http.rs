//! The least of HTTP that `/livez`, `/readyz`, `/metrics` and webhooks need.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result};

const TIMEOUT: Duration = Duration::from_secs(5);

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The text after the headers.
    pub body: String,
}

/// Gets a path from a server on the loopback interface.
///
/// # Errors
/// When nothing listens there, or the answer is no HTTP.
pub fn get(port: u16, path: &str) -> Result<Answer> {
    send(port, "GET", path, &[], b"")
}

/// Sends a request with a body to a server on the loopback interface.
///
/// # Errors
/// As [`get`].
pub fn send(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).context("cannot connect")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut request = format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    // A server that has answered already need not read it to its end.
    let written = stream.write_all(body);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        written
            .and_then(|()| read.map(drop))
            .with_context(|| format!("no answer to {method} {path}"))?;
    }
    let answer = String::from_utf8_lossy(&answer);
    parse(&answer).with_context(|| format!("the answer to {method} {path} is no HTTP: {answer:?}"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head
        .strip_prefix("HTTP/1.")?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_its_body() {
        let answer = parse("HTTP/1.0 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nno\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "no\n"));
        assert!(parse("SSH-2.0-x\r\n\r\n").is_none());
    }
}
