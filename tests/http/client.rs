//! A small HTTP client over a plain socket, so that tests control every byte.

use crate::http::described;
use crate::support::DEADLINE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct HttpResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl HttpResponse {
    /// The body, which must be JSON with its content type.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Fails unless it has this status and exactly this JSON.
    #[track_caller]
    pub fn is(&self, status: u16, json: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body, json, "{self:?}");
        self.json();
    }

    /// Fails unless it has this status and an error with these words; returns the JSON.
    #[track_caller]
    pub fn is_error(&self, status: u16, words: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let json = self.json();
        let error = json["error"].as_str().unwrap_or_else(|| panic!("no error in {self:?}"));
        assert!(error.contains(words), "no {words:?} in {self:?}");
        json
    }
}

/// A connection that stays open.
pub struct HttpConnection {
    stream: BufReader<TcpStream>,
}

impl HttpConnection {
    pub fn open(port: u16) -> HttpConnection {
        HttpConnection::try_open(port).unwrap_or_else(|| panic!("no connection to {port}"))
    }

    pub fn try_open(port: u16) -> Option<HttpConnection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Some(HttpConnection { stream: BufReader::new(stream) })
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Sends a request with these headers and the default ones.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> bool {
        self.send_bytes(request(method, path, headers, body).as_bytes())
    }

    /// The next response; none if the connection ended before it was complete.
    pub fn receive(&mut self) -> Option<HttpResponse> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok()?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None if line == "\r\n" => break,
                None => return None,
            }
        }
        let mut answer = HttpResponse { status, headers, body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    /// Reads the status and headers of the next response, but not its body; returns the status.
    pub fn receive_head(&mut self) -> u16 {
        let mut status = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a head");
            if status == 0 {
                status = line
                    .split(' ')
                    .nth(1)
                    .and_then(|status| status.parse().ok())
                    .expect("a status");
            }
            if line == "\r\n" || line.is_empty() {
                return status;
            }
        }
    }

    /// Sends a request and returns its response, which must match `/openapi.json`.
    #[track_caller]
    pub fn try_ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<HttpResponse> {
        self.send(method, path, headers, body);
        let answer = self.receive()?;
        let faults = described::faults(method, path, &answer);
        assert!(faults.is_empty(), "{faults:#?}");
        Some(answer)
    }

    #[track_caller]
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> HttpResponse {
        let answer = self.try_ask(method, path, headers, body);
        answer.unwrap_or_else(|| panic!("no response to {method} {path} {body}"))
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> HttpResponse {
        self.ask("GET", path, &[], "")
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> HttpResponse {
        self.ask("POST", path, &[], body)
    }

    /// As `post`, with an idempotency key.
    #[track_caller]
    pub fn post_as(&mut self, key: &str, path: &str, body: &str) -> HttpResponse {
        self.ask("POST", path, &[("idempotency-key", key)], body)
    }

    /// Whether the other end closes the connection within `within`.
    pub fn is_closed_within(&mut self, within: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(within)).unwrap();
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let mut usual = vec![("host", "127.0.0.1")];
    let length = body.len().to_string();
    if method == "POST" {
        usual.push(("content-type", "application/json"));
        usual.push(("content-length", &length));
    }
    let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    for (name, value) in usual.iter().filter(|(name, _)| !given(name)).chain(headers) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}
