//! Asking a proxy for a way through: CONNECT (RFC 9110 9.3.6). Never blocks.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::race::Winner;
use super::Target;
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;
use crate::shell::socket::Socket;
use crate::shell::wait::Ready;

/// Longest answer, interim ones included.
const LONGEST_HEAD: usize = 16 << 10;

/// A question to a proxy, and as much of its answer as has come.
pub struct Tunnel {
    socket: Socket,
    token: usize,
    /// The request, wiped on drop: it may hold credentials.
    request: Zeroizing<Vec<u8>>,
    sent: usize,
    answer: Vec<u8>,
    /// Bytes of it, those of interim answers included.
    received: usize,
    /// What a wait has said since the last read: nothing new comes without.
    has_news: bool,
    is_closed: bool,
}

/// A way through: nothing has come on it yet, and nothing was sent.
pub struct Through {
    pub socket: Socket,
    pub token: usize,
    /// What is known of the socket: whoever reads it has not seen the wakes so far.
    pub news: Ready,
}

/// The head of an answer.
#[derive(Debug, Eq, PartialEq)]
struct Head<'a> {
    status: u16,
    /// Scheme names of `Proxy-Authenticate`.
    asks_for: Vec<&'a str>,
    /// Bytes after it.
    rest: &'a [u8],
}

impl Tunnel {
    /// Prepares the question for a way to `target`.
    pub fn new(winner: Winner, target: &Target, authorization: Option<&Secret>, user_agent: &str) -> Self {
        let Winner { socket, token, news } = winner;
        let request = request(&target.tunnel_authority(), user_agent, authorization);
        Self {
            socket,
            token,
            request,
            sent: 0,
            answer: Vec::new(),
            received: 0,
            has_news: true,
            is_closed: news.closed,
        }
    }

    /// Takes note of news; whether they are of its socket.
    pub fn on_ready(&mut self, ready: &Ready) -> bool {
        if ready.token != self.token {
            return false;
        }
        self.has_news = true;
        self.is_closed |= ready.closed;
        true
    }

    /// Sends and reads what is possible now; whether the way is open.
    pub fn advance(&mut self) -> Result<bool, Error> {
        if !self.has_news {
            return Ok(false);
        }
        self.has_news = false;
        self.send();
        self.receive()
    }

    /// The connection, for whoever speaks next.
    pub fn into_through(self) -> Through {
        let Self { socket, token, is_closed, .. } = self;
        Through { socket, token, news: Ready { token, readable: true, writable: true, closed: is_closed } }
    }

    fn send(&mut self) {
        while let Some(rest @ [_, ..]) = self.request.get(self.sent..) {
            // One `send(2)`; std passes MSG_NOSIGNAL.
            match self.socket.write(rest) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // No room, or it hung up: it may have said why before that, so the answer is read in any case.
                Err(_) => break,
            }
        }
    }

    fn receive(&mut self) -> Result<bool, Error> {
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(refused("It hung up before it answered.", 0)),
                Ok(count) => {
                    self.answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    self.received += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => {
                    return Err(Error::from_io(Code::ProxyRefused, Stage::Proxy, "The connection broke", &error))
                }
            }
            if let Some(is_open) = self.judge()? {
                return Ok(is_open);
            }
        }
    }

    /// What the answer comes to, once its head is whole.
    fn judge(&mut self) -> Result<Option<bool>, Error> {
        while let Some(head) = Head::read(&self.answer).map_err(|why| refused(why, 0))? {
            match head.status {
                // Interim: the answer proper follows (RFC 9110 15.2).
                100..=199 => {
                    let start = self.answer.len() - head.rest.len();
                    self.answer.drain(..start);
                }
                200..=299 if head.rest.is_empty() => return Ok(Some(true)),
                // The server speaks only when spoken to: whatever this is, it would be taken for the server's.
                200..=299 => {
                    return Err(refused("It sent more than its answer before anything was asked.", head.status))
                }
                status => return Err(refusal(status, &head.asks_for)),
            }
        }
        // Interim answers included: a peer that never comes to its answer would hold the thread.
        if self.received > LONGEST_HEAD {
            return Err(refused("Its answer is too long.", 0));
        }
        Ok(None)
    }
}

impl<'a> Head<'a> {
    /// The head at the beginning of `bytes`; `None` if it is not whole yet.
    fn read(bytes: &'a [u8]) -> Result<Option<Self>, &'static str> {
        const MAGIC: &[u8] = b"HTTP/1.";
        let wrong = "Its answer is not HTTP.";
        if !bytes.iter().zip(MAGIC).all(|(a, b)| a == b) {
            return Err(wrong);
        }
        let Some((head, rest)) = split_head(bytes) else { return Ok(None) };
        let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let status = lines.next().and_then(status_of).ok_or(wrong)?;
        let mut asks_for = Vec::new();
        for line in lines {
            let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':')) else {
                continue;
            };
            if name.eq_ignore_ascii_case("proxy-authenticate") {
                let scheme = value.trim().split([' ', ',']).next().unwrap_or_default();
                // Foreign text that goes into an error: a token of modest length, or nothing.
                let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                asks_for.extend(Some(scheme).filter(|text| text.len() <= 20 && text.bytes().all(is_token)));
            }
        }
        Ok(Some(Self { status, asks_for, rest }))
    }
}

/// Splits behind the blank line. A lone LF ends a line as CR LF does (RFC 9112 2.2).
fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut line_start = 0;
    for (place, _) in bytes.iter().enumerate().filter(|(_, &byte)| byte == b'\n') {
        if matches!(bytes.get(line_start..place), Some(b"" | b"\r")) {
            return bytes.split_at_checked(place + 1);
        }
        line_start = place + 1;
    }
    None
}

/// The status in `HTTP/1.1 200 Connection established`.
fn status_of(line: &[u8]) -> Option<u16> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', b' ', a, b, c, rest @ ..] = line else { return None };
    let digits = [*a, *b, *c];
    let status = std::str::from_utf8(&digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let is_end = rest.first().is_none_or(|byte| *byte == b' ');
    status.parse().ok().filter(|status| is_end && (100..=599).contains(status))
}

fn request(authority: &str, user_agent: &str, authorization: Option<&Secret>) -> Zeroizing<Vec<u8>> {
    // Allocated once: growing would leave copies of the credentials behind.
    let mut request = Zeroizing::new(Vec::with_capacity(
        256 + 2 * authority.len() + user_agent.len() + authorization.map_or(0, |value| value.expose().len()),
    ));
    let mut add = |parts: [&str; 3]| parts.iter().for_each(|part| request.extend_from_slice(part.as_bytes()));
    add(["CONNECT ", authority, " HTTP/1.1\r\n"]);
    add(["Host: ", authority, "\r\n"]);
    if !user_agent.is_empty() {
        add(["User-Agent: ", user_agent, "\r\n"]);
    }
    if let Some(value) = authorization {
        add(["Proxy-Authorization: ", value.expose(), "\r\n"]);
    }
    add(["\r\n", "", ""]);
    request
}

/// An answer other than 2xx.
fn refusal(status: u16, asks_for: &[&str]) -> Error {
    // 401 is what tinyproxy says where 407 is meant: the server itself has not been asked anything yet.
    if status == 407 || status == 401 {
        let mut text = format!("It answered {status}.");
        if !asks_for.is_empty() && !asks_for.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic")) {
            text = format!("It answered {status} and asks for {}; only Basic is spoken.", asks_for.join(", "));
        }
        return Error::new(Code::ProxyAuth, Stage::Proxy, text).with(|detail| detail.http_status = status);
    }
    let passes = matches!(status, 408 | 425 | 429 | 500..=599);
    refused(&format!("It answered {status}."), status).with(|detail| detail.fatal = !passes)
}

fn refused(why: &str, status: u16) -> Error {
    Error::new(Code::ProxyRefused, Stage::Proxy, why).with(|detail| detail.http_status = status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(u16, Vec<&str>, usize)>, &'static str> {
        Head::read(text.as_bytes()).map(|head| head.map(|head| (head.status, head.asks_for, head.rest.len())))
    }

    #[test]
    fn heads_are_read_whole_or_not_at_all() {
        let whole = "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Ok(None), "{end}");
        }
        assert_eq!(read(whole), Ok(Some((200, vec![], 0))));
        assert_eq!(read("HTTP/1.0 200\n\nrest"), Ok(Some((200, vec![], 4))));
        let asks = "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nproxy-authenticate: Basic realm=\"x\"\r\nX\r\n\r\n";
        assert_eq!(read(asks), Ok(Some((407, vec!["NTLM", "Basic"], 0))));
        for bad in [
            "SSH-2.0",
            "HTTP/2 200 \r\n\r\n",
            "HTTP/1.1 2000 \r\n\r\n",
            "HTTP/1.1 20x \r\n\r\n",
            "HTTP/1.1  200\n\n",
            "HTTP/1.1 999 \r\n\r\n",
        ] {
            assert_eq!(read(bad), Err("Its answer is not HTTP."), "{bad}");
        }
    }

    #[test]
    fn the_question_names_host_and_port_and_ends() {
        let secret = Secret::new("Basic dTpw".into());
        let text = |authorization| String::from_utf8(request("h:443", "agent", authorization).to_vec()).unwrap();
        assert_eq!(text(None), "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nUser-Agent: agent\r\n\r\n");
        assert!(text(Some(&secret)).ends_with("\r\nProxy-Authorization: Basic dTpw\r\n\r\n"));
    }

    #[test]
    fn refusals_say_whether_they_may_pass() {
        let of = |status| refusal(status, &[]);
        for (status, code, retriable) in [
            (407, Code::ProxyAuth, false),
            (401, Code::ProxyAuth, false),
            (403, Code::ProxyRefused, false),
            (302, Code::ProxyRefused, false),
            (429, Code::ProxyRefused, true),
            (502, Code::ProxyRefused, true),
        ] {
            let error = of(status);
            assert_eq!((error.code(), error.is_retriable()), (code, retriable), "{status}");
            assert_eq!((error.detail().http_status, error.detail().stage), (status, Stage::Proxy));
        }
        let error = refusal(407, &["NTLM", "Negotiate"]);
        assert!(error.to_string().contains("NTLM, Negotiate; only Basic"), "{error}");
        assert!(!refusal(407, &["basic"]).to_string().contains("only"), "{error}");
    }
}
