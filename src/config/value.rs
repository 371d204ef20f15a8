//! Types of values: how a text is read, and what is refused.

use std::borrow::Cow;
use std::fmt;

use crate::secret::Secret;

use super::pin::Pin;
use super::settings::CloseClass;
use super::{proxy, region, url};

/// Type and range of a key's value. `Display` says it in words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Type {
    /// Text without control characters.
    Text {
        /// Largest length in characters.
        max: usize,
    },
    /// As text; never shown, wiped.
    Secret,
    /// A region of Genesys Cloud: its AWS name, or a domain (a host name, RFC 1123 2.1). Read as the domain.
    Region,
    /// An absolute URL of one of two schemes.
    Url {
        /// The scheme with TLS.
        secure: &'static str,
        /// The scheme without; only for a loopback address.
        plain: &'static str,
    },
    /// A whole number.
    Integer {
        /// `ms`, `bytes`, or nothing.
        unit: &'static str,
        /// Least value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// 0, or a whole number in a range.
    OrZero {
        /// As of `Integer`.
        unit: &'static str,
        /// Least value above 0.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// `true` or `false`.
    Flag,
    /// One of several words.
    Choice(&'static [&'static str]),
    /// Scope names, separated by blanks.
    Scopes,
    /// Topics of notifications, separated by blanks.
    Topics,
    /// Texts, separated by commas.
    Patterns,
    /// Signature algorithms of JWS, separated by commas.
    Algorithms,
    /// Classes of WebSocket close codes.
    CloseCodes,
    /// Value of an HTTP header.
    HeaderValue,
    /// A header whose name is the end of the key.
    Header,
    /// Certificates in PEM.
    Pem,
    /// A private key in PEM; a secret.
    SecretPem,
    /// `none`, `environment`, or the URL of a proxy.
    Proxy,
    /// Hosts and networks, separated by commas.
    Hosts,
    /// Public-key pins, separated by commas.
    Pins,
}

/// A value that was read. Only the field of its type is filled.
#[derive(Debug, Default)]
pub(super) struct Value<'a> {
    /// Last part of the key's name, for a family of keys.
    pub(super) name: &'a str,
    /// Texts of all kinds.
    pub(super) text: &'a str,
    /// Numbers, and which of the choices.
    pub(super) number: u64,
    pub(super) flag: bool,
    pub(super) list: Vec<String>,
    pub(super) close_codes: Vec<(u16, CloseClass)>,
    pub(super) secret: Option<Secret>,
}

/// Largest PEM text.
pub(super) const MAX_PEM: usize = 4 << 20;
/// Largest secret: as the largest token that can be configured.
const MAX_SECRET: usize = 1 << 20;
/// Largest list.
pub(super) const MAX_LIST: usize = 1_024;
/// Headers we write ourselves (RFC 6455 4.1, RFC 9112), or that have a key of their own.
pub(super) const RESERVED: [&str; 7] =
    ["host", "connection", "upgrade", "content-length", "transfer-encoding", "origin", "user-agent"];

/// Most topics of a channel, and the longest of them (Genesys Cloud, "Use the notification service").
pub(super) const MAX_TOPICS: usize = 1_000;
pub(super) const MAX_TOPIC: usize = 200;

/// Signatures that a token may carry (RFC 7518 3.1, RFC 8037 3.1): those of key pairs.
pub(super) const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// Whether a text can be a topic.
pub(super) fn is_topic(name: &str) -> bool {
    (1..=MAX_TOPIC).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a text can be the name of a scope (`scope-token`, RFC 6749 3.3).
pub(super) fn is_scope(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

impl Type {
    /// Reads a value, or says what is wrong with it without quoting it.
    pub(super) fn parse<'a>(self, name: &'a str, text: &'a str) -> Result<Value<'a>, &'static str> {
        let plain = Value { name, text, ..Value::default() };
        match self {
            Self::Text { max } => plain_text(text, max).map(|()| plain),
            Self::Secret | Self::SecretPem => self.check_secret(Secret::new(text.to_owned())),
            Self::Region => region::domain(text).map(|text| Value { text, ..plain }),
            Self::Url { .. } if text.is_empty() => Ok(plain),
            Self::Url { secure, plain: without } => url::parse(text, secure, without).map(|_| plain),
            Self::Integer { min, max, .. } => {
                integer(text, min, max).map(|number| Value { number, ..Value::default() })
            }
            Self::OrZero { min, max, .. } => match integer(text, 0, max) {
                Ok(number) if number > 0 && number < min => Err("it is neither 0 nor in the range"),
                read => read.map(|number| Value { number, ..Value::default() }),
            },
            Self::Flag => flag(text).map(|flag| Value { flag, ..Value::default() }),
            Self::Choice(options) => choice(text, options).map(|number| Value { number, ..Value::default() }),
            Self::Scopes | Self::Topics => {
                self.check_list(text.split(' ').filter(|s| !s.is_empty()).map(String::from).collect())
            }
            Self::CloseCodes => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                close_codes(parts).map(|close_codes| Value { close_codes, ..Value::default() })
            }
            Self::Hosts | Self::Pins if text.is_empty() => Ok(Value::default()),
            Self::Patterns | Self::Algorithms | Self::Hosts | Self::Pins => {
                self.check_list(text.split(',').map(|part| part.trim().to_owned()).collect())
            }
            Self::Proxy => proxy::check(text).map(|()| plain),
            Self::HeaderValue => header_value(text).map(|()| plain),
            Self::Header => header_name(name).and_then(|()| header_value(text)).map(|()| plain),
            Self::Pem if text.len() > MAX_PEM => Err("it is too long"),
            Self::Pem if !text.is_empty() && !text.contains("-----BEGIN CERTIFICATE-----") => {
                Err("it holds no certificate")
            }
            // It would be shown with the configuration.
            Self::Pem if text.contains("PRIVATE KEY-----") => Err("it holds a private key, which has a key of its own"),
            Self::Pem => Ok(plain),
        }
    }

    /// What is wrong with a value, with what may have been meant; of the value itself nothing is told.
    pub(super) fn explained(self, text: &str, why: &'static str) -> Cow<'static, str> {
        match self {
            Self::Region => format!("{why}; the nearest that is known is \"{}\"", region::nearest(text)).into(),
            _ => why.into(),
        }
    }

    /// Checks a value that is a list.
    pub(super) fn check_list<'a>(self, mut list: Vec<String>) -> Result<Value<'a>, &'static str> {
        if list.len() > MAX_LIST {
            return Err("it has too many elements");
        }
        let is_good: fn(&str) -> bool = match self {
            Self::CloseCodes => {
                let parts = list.iter().map(String::as_str);
                return close_codes(parts).map(|close_codes| Value { close_codes, ..Value::default() });
            }
            Self::Topics if list.len() > MAX_TOPICS => return Err("it has more than 1000 elements"),
            Self::Topics => is_topic,
            Self::Scopes => is_scope,
            Self::Patterns => |text| !text.is_empty() && !text.chars().any(char::is_control),
            // A list of none would be one of all that are refused.
            Self::Algorithms if list.is_empty() => return Err("it is empty"),
            Self::Algorithms => |text| ALGORITHMS.contains(&text),
            Self::Hosts => proxy::is_exception,
            Self::Pins => |text| Pin::parse(text).is_some(),
            _ => return Err("it is a list"),
        };
        if !list.iter().all(|element| is_good(element)) {
            return Err("an element is empty or holds what it must not");
        }
        if self == Self::Patterns {
            list.iter_mut().for_each(|pattern| *pattern = pattern.to_lowercase());
        }
        Ok(Value { list, ..Value::default() })
    }

    /// Checks a secret.
    pub(super) fn check_secret<'a>(self, secret: Secret) -> Result<Value<'a>, &'static str> {
        match self {
            Self::SecretPem => private_key(secret.expose())?,
            _ => plain_text(secret.expose(), MAX_SECRET)?,
        }
        Ok(Value { secret: Some(secret), ..Value::default() })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { max } => write!(f, "text of at most {max} characters, none of them a control character"),
            Self::Secret => {
                write!(f, "secret text of at most {MAX_SECRET} characters, none of them a control character")
            }
            Self::Region => f.write_str("AWS name of a region, or its domain without scheme and port"),
            Self::Url { secure, plain } => {
                write!(f, "{secure} URL ({plain} to a loopback address) without credentials and fragment")
            }
            Self::Integer { unit, min, max } => {
                write!(f, "whole number, {min} to {max}{}{unit}", if unit.is_empty() { "" } else { " " })
            }
            Self::OrZero { unit, min, max } => {
                write!(f, "0, or a whole number, {min} to {max}{}{unit}", if unit.is_empty() { "" } else { " " })
            }
            Self::Flag => f.write_str("true or false"),
            Self::Choice(options) => f.write_str(&options.join(" | ")),
            Self::Scopes => f.write_str("scopes separated by blanks"),
            Self::Topics => {
                write!(f, "at most {MAX_TOPICS} topics of at most {MAX_TOPIC} characters, separated by blanks")
            }
            Self::Patterns => f.write_str("texts separated by commas"),
            Self::Algorithms => write!(f, "some of {}, separated by commas", ALGORITHMS.join(", ")),
            Self::CloseCodes => f.write_str("CODE=retry|drain|token|final, separated by commas, CODE 1000 to 4999"),
            Self::HeaderValue => f.write_str("value of an HTTP header, printable ASCII"),
            Self::Header => f.write_str("a header the library does not write itself, its value in printable ASCII"),
            Self::Pem => write!(f, "PEM text of at most {MAX_PEM} bytes"),
            Self::SecretPem => write!(f, "secret PEM text of at most {MAX_SECRET} bytes"),
            Self::Proxy => f.write_str("none | environment | http://host:port, without credentials"),
            Self::Hosts => f.write_str("hosts, domains, addresses and networks, separated by commas, or *"),
            Self::Pins => f.write_str("sha256/<base64 of SHA-256 of a public key's DER>, separated by commas"),
        }
    }
}

fn plain_text(text: &str, max: usize) -> Result<(), &'static str> {
    // As JSON Schema counts.
    if text.chars().count() > max {
        return Err("it is too long");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    Ok(())
}

fn private_key(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_SECRET {
        return Err("it is too long");
    }
    if !text.is_empty() && !text.contains("PRIVATE KEY-----") {
        return Err("it holds no private key");
    }
    Ok(())
}

fn integer(text: &str, min: u64, max: u64) -> Result<u64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it is no whole number");
    }
    text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or("it is out of range")
}

/// RFC 6455 7.4.2: close codes are in use from 1000 to 4999.
fn close_codes<'a>(parts: impl Iterator<Item = &'a str>) -> Result<Vec<(u16, CloseClass)>, &'static str> {
    let mut codes = Vec::new();
    for part in parts {
        let (code, class) = part.split_once('=').ok_or("a close code has no class")?;
        let is_number = code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.parse().ok().filter(|code| is_number && (1_000..5_000).contains(code));
        let code = code.ok_or("a close code is out of range")?;
        let class = CloseClass::ALL.into_iter().find(|known| known.name() == class);
        let class = class.ok_or("a close code has an unknown class")?;
        if codes.iter().any(|(known, _)| *known == code) {
            return Err("a close code has two classes");
        }
        codes.push((code, class));
    }
    Ok(codes)
}

fn flag(text: &str) -> Result<bool, &'static str> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it is neither true nor false"),
    }
}

fn choice(text: &str, options: &[&str]) -> Result<u64, &'static str> {
    options
        .iter()
        .zip(0..)
        .find(|(option, _)| **option == text)
        .map(|(_, number)| number)
        .ok_or("it is none of the choices")
}

/// RFC 9110 5.1: a token.
fn header_name(name: &str) -> Result<(), &'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return Err("its name is no header name");
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("sec-websocket-") {
        return Err("the library writes this header itself");
    }
    Ok(())
}

/// RFC 9110 5.5, without obsolete forms.
fn header_value(value: &str) -> Result<(), &'static str> {
    if value.len() > 8_192 {
        return Err("it is too long");
    }
    if value.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
        return Err("it holds a character that is not printable ASCII");
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return Err("it begins or ends with a blank");
    }
    Ok(())
}
