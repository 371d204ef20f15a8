//! Proxies: which one a connection goes through, and which hosts are reached without.

use std::ffi::OsString;
use std::net::IpAddr;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

use super::settings::Proxies;
use super::url;

/// Longest URL of a proxy.
const LONGEST: usize = 2_048;

/// A proxy that opens tunnels (CONNECT, RFC 9110 9.3.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Value of `Proxy-Authorization`, if it wants one.
    pub authorization: Option<Secret>,
    /// `proxy.user`, if the credentials are those of the keys and not of a URL in the environment.
    pub login: Option<Secret>,
    /// What is reached without it.
    pub except: Vec<Exception>,
}

/// Hosts that are reached without the proxy. Only what stands in a URL is compared: nothing is resolved for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exception {
    /// Everything.
    All,
    /// An address or a network, by the length of its prefix.
    Network(IpAddr, u8, Option<u16>),
    /// A domain and all that is below it, in lower case.
    Domain(String, Option<u16>),
}

/// The keys as given; `https` and `wss` are empty where they say nothing.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) both: String,
    pub(super) https: String,
    pub(super) wss: String,
    pub(super) user: String,
    pub(super) password: Option<Secret>,
    pub(super) except: Vec<String>,
}

impl Default for Given {
    fn default() -> Self {
        let (https, wss, user) = Default::default();
        Self { both: "none".into(), https, wss, user, password: None, except: Vec::new() }
    }
}

/// A URL of a proxy, taken apart.
#[derive(Debug, Eq, PartialEq)]
struct Address<'a> {
    host: &'a str,
    port: u16,
    userinfo: Option<&'a str>,
}

/// A variable of the environment.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Proxy {
    /// Host and port, as errors and statistics name them.
    pub fn peer(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Value of `Proxy-Authorization` with another password than `proxy.password`, where that one is in use.
    pub fn authorization_with(&self, password: &Secret) -> Option<Secret> {
        self.login.as_ref().map(|user| basic(user.expose(), password.expose()))
    }

    /// Whether a host, a name or an address without brackets, is reached without it.
    pub fn spares(&self, host: &str, port: u16) -> bool {
        self.except.iter().any(|exception| exception.covers(host, port))
    }
}

impl Exception {
    /// Reads `*`, an address, a network (`10.0.0.0/8`), or a domain with or without a dot before it; each but the
    /// first with a port or without.
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let number: u8 = bits.parse().ok().filter(|bits| *bits <= width(address))?;
            return (number.to_string() == bits).then(|| Self::network(address, number, None));
        }
        // An IPv6 address without brackets has no port.
        if let Ok(address) = text.parse() {
            return Some(Self::network(address, width(address), None));
        }
        let domain = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        let rootless = without_root(domain);
        let (host, port) = url::authority(&rootless).ok()?;
        Some(match host.parse() {
            Ok(address) => Self::network(address, width(address), port),
            Err(_) => Self::Domain(host.to_ascii_lowercase(), port),
        })
    }

    /// An IPv4 network within IPv6 is the IPv4 network: so addresses are compared.
    fn network(address: IpAddr, bits: u8, port: Option<u16>) -> Self {
        match (address.to_canonical(), bits.checked_sub(96)) {
            (IpAddr::V4(inner), Some(bits)) if address.is_ipv6() => Self::Network(inner.into(), bits, port),
            _ => Self::Network(address, bits, port),
        }
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Network(network, bits, wanted) => {
                host.parse().is_ok_and(|address| within(address, *network, *bits)) && fits(wanted)
            }
            Self::Domain(domain, wanted) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                let below =
                    host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                below && fits(wanted)
            }
        }
    }
}

/// Whether an element of `proxy.except` can be read.
pub(super) fn is_exception(text: &str) -> bool {
    Exception::parse(text).is_some()
}

/// Checks a value of `proxy` and its kin.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if matches!(text, "" | "none" | "environment") {
        return Ok(());
    }
    if !text.contains("://") {
        return Err("it is neither none nor environment nor an http URL");
    }
    let address = address(text, None)?;
    address.userinfo.map_or(Ok(()), |_| Err("it carries credentials: they belong into proxy.user and proxy.password"))
}

/// Which proxies the keys, and where they say so the environment, stand for. `secure`: whether token endpoint and socket
/// are reached by TLS; nothing is looked up for what is not used.
pub(super) fn resolve(
    given: &Given,
    secure: (Option<bool>, Option<bool>),
    variable: Variable<'_>,
) -> Result<Proxies, Error> {
    let authorization = credentials(given)?;
    let except: Vec<_> = given.except.iter().filter_map(|text| Exception::parse(text)).collect();
    let one = |own: &str, names: Option<&[&str]>| {
        let Some(names) = names else { return Ok(None) };
        let value = if own.is_empty() { &given.both } else { own };
        let mut proxy = match value {
            "none" => return Ok(None),
            "environment" => match from_environment(names, variable)? {
                Some(proxy) => proxy,
                None => return Ok(None),
            },
            url => {
                let Address { host, port, .. } = address(url, None).map_err(|why| bad("proxy", why))?;
                Proxy { host: host.into(), port, authorization: None, login: None, except: Vec::new() }
            }
        };
        if proxy.authorization.is_none() && authorization.is_some() {
            proxy.authorization.clone_from(&authorization);
            proxy.login = Some(Secret::new(given.user.clone()));
        }
        proxy.except.extend(except.iter().cloned());
        Ok(Some(proxy))
    };
    let names = |secure: Option<bool>, tls: &'static [&'static str]| -> Option<&'static [&'static str]> {
        secure.map(|is_tls| if is_tls { tls } else { &["http_proxy"] })
    };
    let https = names(secure.0, &["https_proxy", "HTTPS_PROXY"]);
    let wss = names(secure.1, &["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY"]);
    let proxies = Proxies { token: one(&given.https, https)?, socket: one(&given.wss, wss)? };
    let unused = |own: &str| if own.is_empty() { given.both == "none" } else { own == "none" };
    if authorization.is_some() && unused(&given.https) && unused(&given.wss) {
        return Err(bad("proxy.user", "it would be ignored: no proxy is set"));
    }
    Ok(proxies)
}

/// The header's value for `proxy.user` and `proxy.password`.
fn credentials(given: &Given) -> Result<Option<Secret>, Error> {
    if given.user.is_empty() {
        let without = |_| Error::new(Code::MissingKey, Stage::Configure, "proxy.user (for proxy.password).");
        return given.password.as_ref().map_or(Ok(None), |password| Err(without(password)));
    }
    if given.user.contains(':') {
        return Err(bad("proxy.user", "a colon would end it early (RFC 7617 2)"));
    }
    Ok(Some(basic(&given.user, given.password.as_ref().map_or("", Secret::expose))))
}

/// RFC 7617, in UTF-8.
fn basic(user: &str, password: &str) -> Secret {
    let pair = Secret::new(format!("{user}:{password}"));
    let encoded = Secret::new(STANDARD.encode(pair.expose()));
    Secret::new(format!("Basic {}", encoded.expose()))
}

/// The first of these variables that is set and not empty, else `all_proxy`, and what is spared.
///
/// As curl and Go have it: lower case comes first, and `HTTP_PROXY` in capitals is never read, because a CGI program
/// gets it from the `Proxy` header of whoever asks ("httpoxy"). As Go has it: this machine is reached directly.
fn from_environment(names: &[&str], variable: Variable<'_>) -> Result<Option<Proxy>, Error> {
    let read = |name: &str| variable(name).filter(|value| !value.is_empty());
    let names = names.iter().chain(&["all_proxy", "ALL_PROXY"]);
    let Some((name, value)) = names.copied().find_map(|name| Some((name, read(name)?))) else { return Ok(None) };
    let wrong = |why: &str| {
        let text = format!("the environment variable {name}: {why}.");
        Error::new(Code::BadValue, Stage::Configure, text)
    };
    let value = Secret::new(value.into_string().map_err(|_| wrong("it is not UTF-8"))?);
    let Address { host, port, userinfo } = address(value.expose(), Some(80)).map_err(wrong)?;
    let authorization = userinfo.map(|text| from_userinfo(text).ok_or_else(|| wrong("its credentials are malformed")));
    let spared = ["no_proxy", "NO_PROXY"].into_iter().find_map(read).and_then(|value| value.into_string().ok());
    let spared = spared.unwrap_or_default();
    // What cannot be read there is meant for others: they share the variable.
    let listed = spared.split(',').filter_map(|text| Exception::parse(text.trim()));
    let except = listed.chain(["localhost", "127.0.0.0/8", "::1"].into_iter().filter_map(Exception::parse)).collect();
    Ok(Some(Proxy { host: host.into(), port, authorization: authorization.transpose()?, login: None, except }))
}

/// Takes a proxy's URL apart. Without `default_port` the scheme and the port have to be there.
fn address(text: &str, default_port: Option<u16>) -> Result<Address<'_>, &'static str> {
    if text.len() > LONGEST || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err("it is too long, or holds what a URL does not");
    }
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            return Err("TLS to the proxy itself is not spoken: it has to be an http URL")
        }
        Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
            return Err("SOCKS is not spoken: it has to be the http URL of a proxy that knows CONNECT")
        }
        Some(_) => return Err("its scheme is another one"),
        None if default_port.is_some() => text,
        None => return Err("it is no absolute URL"),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (userinfo, authority) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let (host, port) = url::authority(authority)?;
    Ok(Address { host, port: port.or(default_port).ok_or("its port is missing")?, userinfo })
}

/// Credentials out of a URL (RFC 3986 3.2.1).
fn from_userinfo(text: &str) -> Option<Secret> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (percent_decoded(user)?, percent_decoded(password)?);
    let is_clean = |text: &Secret| !text.expose().chars().any(char::is_control);
    (is_clean(&user) && is_clean(&password) && !user.expose().contains(':'))
        .then(|| basic(user.expose(), password.expose()))
}

fn percent_decoded(text: &str) -> Option<Secret> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, tail)
            }
            (b'%', _) => return None,
            _ => (first, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok().map(Secret::new)
}

/// `host.` and `host.:port` without the dot of the DNS root.
fn without_root(authority: &str) -> String {
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let host = host.strip_suffix('.').filter(|_| !authority.starts_with('[')).unwrap_or(host);
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Bits of an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() {
        32
    } else {
        128
    }
}

/// Whether two addresses of one family agree in their first bits. An IPv4 address within IPv6 is the IPv4 address.
fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let differ = match (address.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => return false,
    };
    differ.leading_zeros() >= u32::from(bits) || differ == 0
}

fn bad(key: &str, why: &str) -> Error {
    Error::new(Code::BadValue, Stage::Configure, format!("\"{key}\": {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    fn given(both: &str) -> Given {
        Given { both: both.into(), ..Given::default() }
    }

    fn exceptions(list: &str) -> Proxy {
        let except = list.split(',').map(|text| Exception::parse(text).unwrap_or_else(|| panic!("{text}"))).collect();
        Proxy { host: "p".into(), port: 1, authorization: None, login: None, except }
    }

    #[test]
    fn domains_are_compared_label_by_label() {
        let proxy = exceptions("example.com,.internal,*.lab.,Host:8443,rooted.:81");
        for host in ["example.com", "API.Example.COM", "a.b.example.com.", "internal", "x.internal", "y.lab"] {
            assert!(proxy.spares(host, 443), "{host}");
        }
        for host in ["badexample.com", "example.com.evil", "notinternal", "host"] {
            assert!(!proxy.spares(host, 443), "{host}");
        }
        assert!(proxy.spares("rooted", 81) && !proxy.spares("rooted", 80));
        assert!(proxy.spares("host", 8443) && exceptions("*").spares("anything", 1));
    }

    #[test]
    fn addresses_and_networks() {
        let proxy = exceptions("10.0.0.0/8,192.168.1.7,[::1]:81,fd00::/8,2001:db8::1,::ffff:172.16.0.0/108");
        for host in ["10.255.0.1", "192.168.1.7", "fd12::1", "2001:db8::1", "::ffff:10.1.1.1", "172.31.0.1"] {
            assert!(proxy.spares(host, 443), "{host}");
        }
        for host in ["11.0.0.1", "172.32.0.1", "192.168.1.8", "::1", "fe00::1", "10.0.0.1.nip.io"] {
            assert!(!proxy.spares(host, 443), "{host}");
        }
        assert!(proxy.spares("::1", 81) && exceptions("0.0.0.0/0").spares("8.8.8.8", 53));
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "a..",
            "::/129",
            "10.0.0/8",
            "a b",
            "h:0",
            "h:x",
            "http://h",
            "a/b",
        ] {
            assert!(!is_exception(bad), "{bad}");
        }
    }

    #[test]
    fn urls_of_proxies() {
        for good in ["", "none", "environment", "http://proxy:3128", "HTTP://10.0.0.1:80/", "http://[::1]:8080"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in
            ["proxy", "proxy:3128", "http://proxy", "http://p:0", "http://p:1/x", "http://", "http://p:1?x", "no"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(
            check("https://p:1").unwrap_err().contains("TLS") && check("socks5h://p:1").unwrap_err().contains("SOCKS")
        );
        assert!(check("http://u:p@h:1").unwrap_err().contains("proxy.user"));
    }

    #[test]
    fn each_scheme_may_have_its_own() {
        let mut keys = Given { https: "none".into(), user: "j\u{e4}ger".into(), ..given("http://p:1") };
        keys.password = Some(Secret::new("a:b".into()));
        let proxies = resolve(&keys, (Some(true), Some(true)), &environment(&[("HTTPS_PROXY", "http://e:9")])).unwrap();
        assert_eq!(proxies.token, None);
        let socket = proxies.socket.unwrap();
        assert_eq!((socket.peer().as_str(), &socket.except), ("p:1", &vec![]));
        assert!(!socket.spares("127.0.0.1", 1), "a proxy that was set is used for this machine too");
        assert_eq!(socket.authorization.as_ref().unwrap().expose(), "Basic asOkZ2VyOmE6Yg==");
        assert!(!format!("{socket:?}").contains("asOk"));
        assert_eq!(
            resolve(&given("none"), (Some(true), Some(true)), &|_| panic!("read unasked")).unwrap(),
            Proxies::default()
        );
    }

    #[test]
    fn credentials_that_make_no_sense() {
        let code = |keys: &Given| resolve(keys, (Some(true), Some(true)), &|_| None).unwrap_err().code();
        assert_eq!(code(&Given { user: "a:b".into(), ..given("http://p:1") }), Code::BadValue);
        assert_eq!(code(&Given { user: "a".into(), ..given("none") }), Code::BadValue);
        let password = Some(Secret::new("hush".into()));
        assert_eq!(code(&Given { password, ..given("http://p:1") }), Code::MissingKey);
    }

    #[test]
    fn the_environment_is_read_in_order() {
        let read = |(https, wss), pairs| {
            resolve(&given("environment"), (Some(https), Some(wss)), &environment(pairs)).unwrap()
        };
        let peer = |proxy: Option<Proxy>| proxy.map(|proxy| proxy.peer());
        let both = |proxies: Proxies| (peer(proxies.token), peer(proxies.socket));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            both(read((true, true), &[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "b")])),
            (some("b:80"), some("b:80"))
        );
        assert_eq!(
            both(read((true, true), &[("HTTPS_PROXY", "a:1"), ("WSS_PROXY", "c:2/")])),
            (some("a:1"), some("c:2"))
        );
        assert_eq!(both(read((true, true), &[("ALL_PROXY", "a:1"), ("https_proxy", "")])), (some("a:1"), some("a:1")));
        assert_eq!(both(read((false, false), &[("HTTP_PROXY", "http://evil:1")])), (None, None), "httpoxy");
        assert_eq!(both(read((false, true), &[("http_proxy", "http://a:1")])), (some("a:1"), None));
        // A leg that is not used does not fail for a proxy that it would have.
        let pairs = &[("https_proxy", "http://a:1"), ("http_proxy", "socks5://q:1080")];
        let token_only = resolve(&given("environment"), (Some(true), None), &environment(pairs)).unwrap();
        assert_eq!(both(token_only), (some("a:1"), None));
    }

    #[test]
    fn what_the_environment_spares_and_hides() {
        let pairs = &[("https_proxy", "http://us%65r:p%40%C3%A4@h:1"), ("NO_PROXY", " intern , 10.0.0.0/8,???")];
        let proxy =
            resolve(&given("environment"), (Some(true), Some(true)), &environment(pairs)).unwrap().token.unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap().expose(), basic("user", "p@\u{e4}").expose());
        for host in ["x.intern", "10.1.1.1", "localhost", "127.3.2.1", "::1"] {
            assert!(proxy.spares(host, 443), "{host}");
        }
        assert!(!proxy.spares("api.mypurecloud.com", 443) && !format!("{proxy:?}").contains("user"));
        for wrong in [
            &[("https_proxy", "socks5://hush:hush@h:1")],
            &[("https_proxy", "http://u:hush%4@h:1")],
            &[("https_proxy", "http://u%3A:hush@h:1")],
        ] {
            let error = resolve(&given("environment"), (Some(true), Some(true)), &environment(wrong)).unwrap_err();
            assert!(error.code() == Code::BadValue && error.to_string().contains("https_proxy"), "{error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }
}
