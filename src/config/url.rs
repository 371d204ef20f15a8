//! URLs and host names: just enough to refuse what must not be dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What the checks need to know of a URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Parsed<'a> {
    /// Whether it is the scheme without TLS.
    pub(crate) plain: bool,
    /// The host, an IPv6 address without its brackets.
    pub(crate) host: &'a str,
}

impl Parsed<'_> {
    /// Whether the host cannot be anywhere but on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || self.host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Reads an absolute URL (RFC 3986) of one of two schemes, or says what is wrong with it.
pub(crate) fn parse<'a>(text: &'a str, secure: &str, plain: &str) -> Result<Parsed<'a>, &'static str> {
    if text.len() > 2_048 {
        return Err("it is too long");
    }
    if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err("it holds a blank, a control character or a letter outside ASCII");
    }
    let (scheme, rest) = text.split_once("://").ok_or("it is no absolute URL")?;
    let is_plain = scheme.eq_ignore_ascii_case(plain);
    if !is_plain && !scheme.eq_ignore_ascii_case(secure) {
        return Err("its scheme is another one");
    }
    if text.contains('#') {
        return Err("it has a fragment");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it carries credentials");
    }
    Ok(Parsed { plain: is_plain, host: host_of(authority)? })
}

/// Whether an absolute URL, or no text, has nothing behind its host that a path could not be put behind.
pub(crate) fn check_bare(text: &str) -> Result<(), &'static str> {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    match rest.find(['/', '?']).and_then(|at| rest.get(at..)) {
        None | Some("/") => Ok(()),
        Some(_) => Err("it has a path or a query"),
    }
}

/// Whether a text is a host name: labels of letters, digits and inner hyphens, at most 253 letters in all.
pub(crate) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn host_of(text: &str) -> Result<&str, &'static str> {
    authority(text).map(|(host, _)| host)
}

/// Takes `host[:port]` apart; an IPv6 address loses its brackets.
pub(crate) fn authority(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or("its host is malformed")?;
        address.parse::<Ipv6Addr>().map_err(|_| "its host is malformed")?;
        let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("its host is malformed")?) };
        return check_port(port).map(|port| (address, port));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    if !is_host_name(host) {
        return Err("its host is malformed");
    }
    check_port(port).map(|port| (host, port))
}

fn check_port(port: Option<&str>) -> Result<Option<u16>, &'static str> {
    let number = |text: &str| text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|b| b.is_ascii_digit()));
    port.map(|port| number(port).ok_or("its port is malformed")).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<&str, &'static str> {
        parse(text, "https", "http").map(|parsed| parsed.host)
    }

    #[test]
    fn urls_that_may_be_dialled() {
        assert_eq!(host("https://api.mypurecloud.com/oauth/token"), Ok("api.mypurecloud.com"));
        assert_eq!(host("HTTPS://h:8443?x=a@b"), Ok("h"));
        assert_eq!(host("https://[::1]:443/"), Ok("::1"));
    }

    #[test]
    fn urls_that_may_not() {
        for bad in [
            "",
            "api",
            "ftp://h",
            "wss://h",
            "https://",
            "https:///x",
            "https://u:p@h/",
            "https://h/#f",
            "https://h:0",
            "https://h:65536",
            "https://h:",
            "https://h:+1",
            "https://[::1",
            "https://[::1]x",
            "https://[h]/",
            "https://h ",
            "https://h\r\nX: y",
            "https://h\\@evil/",
            "https://-h/",
            "https://h..x/",
            "https://ä/",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_by_the_host_alone() {
        let loopback = |text| parse(text, "https", "http").unwrap().is_loopback();
        assert!(loopback("http://localhost/") && loopback("http://127.9.9.9:1") && loopback("http://[::1]/"));
        assert!(
            !loopback("http://localhost.evil/") && !loopback("http://127.0.0.1.evil/") && !loopback("http://10.0.0.1/")
        );
    }

    #[test]
    fn host_names() {
        assert!(is_host_name("mypurecloud.com") && is_host_name("usw2.pure.cloud") && is_host_name("h"));
        for bad in ["", ".", "a.", ".a", "-a", "a-", "a_b", "a b", "a/b", "a:1", "ä", "a\0"] {
            assert!(!is_host_name(bad), "{bad}");
        }
        assert!(!is_host_name(&"a".repeat(64)) && !is_host_name(&"a.".repeat(127)));
    }
}
