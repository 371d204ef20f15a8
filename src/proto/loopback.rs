//! The redirect of an authorization that comes to this machine (RFC 8252 7.3): which request is one, and what is answered.
//!
//! Whoever runs on this machine can knock, and so can any web page that its browser shows: what is not exactly the request
//! that the authorize URL asks for gets a page that says nothing, and changes nothing.

use std::fmt;

/// The two hosts, as they stand in a URL.
const HOSTS: [&str; 2] = ["127.0.0.1", "[::1]"];

/// Where a redirect is to come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// One of [`HOSTS`].
    host: &'static str,
    port: u16,
    path: String,
}

impl Place {
    /// That of a `redirect_uri`: `http`, a loopback address as a number (RFC 8252 8.3: a name may be resolved to something
    /// else), a path and nothing behind it. Port 0, or none, is any that is free.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(redirect_uri: &str) -> Result<Self, &'static str> {
        let rest = redirect_uri.strip_prefix("http://").ok_or("it does not begin with http://")?;
        let at = rest.find('/').ok_or("it has no path")?;
        let (authority, path) = rest.split_at(at);
        if path.contains(['?', '#']) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("its path is followed by something, or is not of visible ASCII");
        }
        let (host, port) = HOSTS
            .into_iter()
            .find_map(|host| authority.strip_prefix(host).map(|port| (host, port)))
            .ok_or("its host is neither 127.0.0.1 nor [::1]")?;
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            None if port.is_empty() => Some(0),
            Some(_) | None => None,
        };
        Ok(Self { host, port: port.ok_or("its port is malformed")?, path: path.to_owned() })
    }

    /// Host and port, as in a URL: what to listen at, and what `Host` has to be.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The same with the port that was free.
    #[must_use]
    pub fn at_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The query of a request for it, once the whole head is there (RFC 9112 2.1), or what to answer to another.
    pub fn query_of<'a>(&self, head: &'a [u8]) -> Option<Result<&'a str, Page>> {
        let end = head.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let text = head.get(..end).and_then(|head| std::str::from_utf8(head).ok());
        Some(text.ok_or(Page::Bad).and_then(|text| self.judge(text)))
    }

    fn judge<'a>(&self, head: &'a str) -> Result<&'a str, Page> {
        let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Page::Bad);
        };
        if !matches!(version, "HTTP/1.1" | "HTTP/1.0") || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Page::Bad);
        }
        self.is_asked_for(fields)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != self.path {
            return Err(Page::NotFound);
        }
        if method != "GET" {
            return Err(Page::NotAllowed);
        }
        Ok(query)
    }

    /// A page whose name was made to lead here (DNS rebinding) has that name as its `Host`.
    fn is_asked_for(&self, fields: &str) -> Result<(), Page> {
        let mut hosts = 0;
        for line in fields.split("\r\n").filter(|line| !line.is_empty()) {
            // RFC 9112 5.1, 5.2: no blank before the colon, no folded line.
            let (name, value) = line.split_once(':').ok_or(Page::Bad)?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Page::Bad);
            }
            if name.eq_ignore_ascii_case("host") {
                hosts += 1;
                let value = value.trim_matches([' ', '\t']);
                let is_default = self.port == 80 && value == self.host;
                if value != self.authority() && !is_default {
                    return Err(Page::Misdirected);
                }
            }
        }
        if hosts == 1 {
            Ok(())
        } else {
            Err(Page::Bad)
        }
    }
}

/// The `redirect_uri`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// What is answered. Nothing of the request is repeated in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Page {
    /// The code was taken.
    Taken,
    /// The authorization server, or the person, said no.
    Denied,
    /// A redirect that does not belong to the question.
    NotOurs,
    /// Not HTTP/1, or not as it has to be.
    Bad,
    /// Another path: a browser's favicon.
    NotFound,
    /// Another method.
    NotAllowed,
    /// Sent to another host.
    Misdirected,
    /// A longer head than any redirect has.
    TooLarge,
}

impl Page {
    /// The whole answer (RFC 9110 15). It is not kept, leads nowhere, and tells nobody the URL it was shown at.
    pub fn response(self) -> String {
        let (status, more, text) = match self {
            Self::Taken => ("200 OK", "", "The answer has arrived. You can close this window."),
            Self::Denied => ("200 OK", "", "The sign-in was refused. You can close this window, or sign in again."),
            Self::NotOurs => ("400 Bad Request", "", "This answer belongs to another sign-in. Please sign in again."),
            Self::Bad => ("400 Bad Request", "", "Bad request."),
            Self::NotFound => ("404 Not Found", "", "Not found."),
            Self::NotAllowed => ("405 Method Not Allowed", "Allow: GET\r\n", "Method not allowed."),
            Self::Misdirected => ("421 Misdirected Request", "", "Misdirected request."),
            Self::TooLarge => ("431 Request Header Fields Too Large", "", "Request too large."),
        };
        let body = format!("<!doctype html><html lang=en><meta charset=utf-8><title>Sign-in</title><p>{text}\n");
        format!(
            "HTTP/1.1 {status}\r\n{more}Content-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::of("http://127.0.0.1:0/call/back").unwrap().at_port(4711)
    }

    fn judged(head: &str) -> Option<Result<&str, Page>> {
        place().query_of(head.as_bytes())
    }

    #[test]
    fn loopback_addresses_and_nothing_else() {
        for (text, shown) in [
            ("http://127.0.0.1:0/", "http://127.0.0.1:0/"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
            ("http://127.0.0.1:8080/a/b%20c", "http://127.0.0.1:8080/a/b%20c"),
            ("http://[::1]:9/cb", "http://[::1]:9/cb"),
            ("http://[::1]/cb", "http://[::1]:0/cb"),
        ] {
            let place = Place::of(text).unwrap();
            assert_eq!(place.to_string(), shown);
        }
        assert_eq!(place().to_string(), "http://127.0.0.1:4711/call/back");
        for bad in [
            "",
            "https://127.0.0.1/cb",
            "http://localhost/cb",
            "http://127.0.0.1",
            "http://127.0.0.1.evil/cb",
            "http://127.0.0.10/cb",
            "http://127.0.0.1@evil/cb",
            "http://user@127.0.0.1/cb",
            "http://0.0.0.0/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:+1/cb",
            "http://127.0.0.1:1/cb?x=y",
            "http://127.0.0.1:1/cb#f",
            "http://127.0.0.1:1/c b",
            "http://127.0.0.1:1/ü",
            "http://127.0.0.1?/cb",
            "http://[::2]/cb",
            "http://[::1/cb",
            "app:/cb",
        ] {
            assert!(Place::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_redirect_is_read_when_its_head_is_whole() {
        let head = "GET /call/back?code=a%2Bb&state=s HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nUser-Agent: x\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(judged(&head[..end]), None, "{end}");
        }
        assert_eq!(judged(head), Some(Ok("code=a%2Bb&state=s")));
        assert_eq!(judged(&format!("{head}and more")), Some(Ok("code=a%2Bb&state=s")));
        assert_eq!(judged("GET /call/back HTTP/1.0\r\nhOST:127.0.0.1:4711\r\n\r\n"), Some(Ok("")));
    }

    #[test]
    fn anything_else_is_turned_away() {
        let host = "Host: 127.0.0.1:4711";
        for (line, fields, page) in [
            ("POST /call/back?code=a HTTP/1.1", host, Page::NotAllowed),
            ("HEAD /call/back?code=a HTTP/1.1", host, Page::NotAllowed),
            ("get /call/back?code=a HTTP/1.1", host, Page::NotAllowed),
            ("GET /favicon.ico HTTP/1.1", host, Page::NotFound),
            ("GET /call/back/?code=a HTTP/1.1", host, Page::NotFound),
            ("GET /call/./back?code=a HTTP/1.1", host, Page::NotFound),
            ("GET /Call/Back?code=a HTTP/1.1", host, Page::NotFound),
            ("GET http://127.0.0.1:4711/call/back?code=a HTTP/1.1", host, Page::NotFound),
            ("GET * HTTP/1.1", host, Page::NotFound),
            ("GET /call/back?code=a HTTP/1.1", "Host: evil.example:4711", Page::Misdirected),
            ("GET /call/back?code=a HTTP/1.1", "Host: localhost:4711", Page::Misdirected),
            ("GET /call/back?code=a HTTP/1.1", "Host: 127.0.0.1", Page::Misdirected),
            ("GET /call/back?code=a HTTP/1.1", "Host: 127.0.0.1:4712", Page::Misdirected),
            ("GET /call/back?code=a HTTP/1.1", "Host: 127.0.0.1:4711\r\nHost: 127.0.0.1:4711", Page::Bad),
            ("GET /call/back?code=a HTTP/1.1", "Accept: */*", Page::Bad),
            ("GET /call/back?code=a HTTP/1.1", "Host : 127.0.0.1:4711", Page::Bad),
            ("GET /call/back?code=a HTTP/1.1", "Host: 127.0.0.1:4711\r\n folded", Page::Bad),
            ("GET /call/back?code=a HTTP/1.1", "", Page::Bad),
            ("GET /call/back?code=a HTTP/2.0", host, Page::Bad),
            ("GET /call/back?code=a", host, Page::Bad),
            ("GET  /call/back?code=a HTTP/1.1", host, Page::Bad),
            ("GET /call/back?code=\u{e9} HTTP/1.1", host, Page::Bad),
            ("", host, Page::Bad),
        ] {
            assert_eq!(judged(&format!("{line}\r\n{fields}\r\n\r\n")), Some(Err(page)), "{line} {fields}");
        }
        assert_eq!(place().query_of(b"GET /call/back?\xff HTTP/1.1\r\n\r\n"), Some(Err(Page::Bad)));
    }

    #[test]
    fn the_default_port_may_go_unsaid() {
        let place = Place::of("http://[::1]:80/").unwrap();
        for host in ["[::1]", "[::1]:80"] {
            assert_eq!(place.query_of(format!("GET /?a HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()), Some(Ok("a")));
        }
    }

    #[test]
    fn answers_are_not_kept_and_lead_nowhere() {
        for page in [Page::Taken, Page::Denied, Page::NotOurs, Page::Bad, Page::NotAllowed] {
            let response = page.response();
            let (head, body) = response.split_once("\r\n\r\n").unwrap();
            for line in ["Cache-Control: no-store", "Referrer-Policy: no-referrer", "Connection: close"] {
                assert!(head.contains(line), "{head}");
            }
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            assert!(!body.contains("http") && !body.contains("script"), "{body}");
        }
    }
}
