//! Where to connect to, taken from a URL.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tungstenite::http::Uri;

use crate::error::{Code, Error, Stage};

/// An endpoint, checked. Its path may be a channel's, which is a secret: it is not shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Target {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken; only a loopback address may do without.
    pub tls: bool,
    /// Whether it is a WebSocket's; otherwise it is HTTP's.
    pub socket: bool,
    /// Path and query, starting with `/`.
    pub path: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls, socket, path: _ } = self;
        let mut shown = f.debug_struct("Target");
        shown.field("host", host).field("port", port).field("tls", tls).field("socket", socket);
        shown.finish_non_exhaustive()
    }
}

impl Target {
    /// The target of an `https`, `wss` or, if allowed and on a loopback address, `http` or `ws` URL.
    pub fn parse(url: &str, allow_plain_loopback: bool) -> Result<Self, Error> {
        let uri: Uri = url.parse().map_err(|error| bad(&format!("The URL cannot be read: {error}.")))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(bad("A URL must not carry a user name or password."));
        }
        let (tls, socket) = match uri.scheme_str() {
            Some("https") => (true, false),
            Some("wss") => (true, true),
            Some("http") => (false, false),
            Some("ws") => (false, true),
            _ => return Err(bad("The URL needs the scheme https or wss.")),
        };
        let host = uri.host().unwrap_or_default();
        let port = match authority.strip_prefix(host) {
            Some("") if tls => 443,
            Some("") => 80,
            _ => uri.port_u16().filter(|&port| port > 0).ok_or_else(|| bad("The port in the URL is no port."))?,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("The URL has no host."));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}") };
        let target = Self { host: host.into(), port, tls, socket, path };
        if tls || (allow_plain_loopback && target.is_loopback()) {
            Ok(target)
        } else {
            Err(bad("Without TLS only a loopback address is allowed, and only where the settings say so."))
        }
    }

    /// What goes into a `Host` header.
    pub fn authority(&self) -> String {
        let default = if self.tls { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Host and port as errors name them.
    pub fn peer(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What a proxy is asked for: host and port, always both (RFC 9110 7.2).
    pub fn tunnel_authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            self.peer()
        }
    }

    fn is_loopback(&self) -> bool {
        is_localhost(&self.host) || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The addresses of a host, where they are known without asking a resolver.
pub fn known_addresses(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) if is_localhost(host) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Err(_) => return None,
    };
    Some(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

fn bad(text: &str) -> Error {
    Error::new(Code::BadValue, Stage::Configure, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, Error> {
        Target::parse(url, true)
    }

    #[test]
    fn a_path_is_not_shown() {
        let target = parse("wss://streaming.x/channels/hush?hush").unwrap();
        assert_eq!(format!("{target:?}"), r#"Target { host: "streaming.x", port: 443, tls: true, socket: true, .. }"#);
    }

    #[test]
    fn urls_are_taken_apart() {
        let target = parse("wss://api.mypurecloud.com/ws?x=1").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.tls), ("api.mypurecloud.com", 443, true));
        assert_eq!(target.path, "/ws?x=1");
        assert_eq!(target.authority(), "api.mypurecloud.com");
        assert_eq!(target.tunnel_authority(), "api.mypurecloud.com:443");
        assert!(!parse("https://h").unwrap().socket);
        let target = parse("ws://[::1]:8080").unwrap();
        assert_eq!((target.host.as_str(), target.path.as_str()), ("::1", "/"));
        assert_eq!(target.authority(), "[::1]:8080");
        assert_eq!(known_addresses(&target.host, target.port).unwrap(), ["[::1]:8080".parse().unwrap()]);
        assert_eq!((target.tunnel_authority().as_str(), target.socket), ("[::1]:8080", true));
        assert_eq!(parse("https://h?q").unwrap().path, "/?q");
    }

    #[test]
    fn plain_is_for_loopback_and_on_request() {
        assert!(parse("http://127.0.0.1:1/").is_ok() && parse("ws://localhost/").is_ok());
        for url in ["http://127.0.0.1/", "ws://localhost/"] {
            assert_eq!(Target::parse(url, false).unwrap_err().code(), Code::BadValue);
        }
        for url in ["http://example.com/", "ws://10.0.0.1/", "ws://localhost.example.com/"] {
            assert_eq!(parse(url).unwrap_err().code(), Code::BadValue, "{url}");
        }
    }

    #[test]
    fn senseless_urls_are_refused() {
        for url in [
            "",
            "api.example.com",
            "ftp://h/",
            "https://",
            "https://u:p@h/",
            "https://h:x/",
            "https://h:/",
            "https://h:0/",
            "https://h:65536/",
            "https://ä/",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.code(), Code::BadValue, "{url}");
            assert!(!error.to_string().contains("u:p"));
        }
    }
}
