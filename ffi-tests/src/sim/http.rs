//! HTTP/1.1 as far as the simulator needs it: requests in, with caps, and answers out.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

const HEAD_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
const BODY_MAX: usize = 1024 * 1024;

/// A request as read from the wire.
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) keep_alive: bool,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// A comma-separated header contains `token`, in any case.
    pub(crate) fn header_has(&self, name: &str, token: &str) -> bool {
        let value = self.header(name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
    }
}

/// Why there is no request.
pub(crate) enum Fault {
    /// The connection ended, between requests or within one.
    Gone,
    /// The client sent something else; the status to answer with.
    Bad(u16),
}

impl From<io::Error> for Fault {
    fn from(_: io::Error) -> Self {
        Fault::Gone
    }
}

/// Reads one request; what follows it stays in `held`.
pub(crate) fn read_request(input: &mut impl Read, held: &mut Vec<u8>) -> Result<Incoming, Fault> {
    let (mut request, head_len) = loop {
        if let Some(done) = parse_head(held)? {
            break done;
        }
        if held.len() > HEAD_MAX {
            return Err(Fault::Bad(431));
        }
        read_more(input, held)?;
    };
    let body_len = body_len(&request)?;
    while held.len() < head_len + body_len {
        read_more(input, held)?;
    }
    request.body = held[head_len..head_len + body_len].to_vec();
    held.drain(..head_len + body_len);
    Ok(request)
}

fn read_more(input: &mut impl Read, held: &mut Vec<u8>) -> Result<(), Fault> {
    let mut chunk = [0; 4096];
    match input.read(&mut chunk)? {
        0 => Err(Fault::Gone),
        n => {
            held.extend_from_slice(&chunk[..n]);
            Ok(())
        }
    }
}

fn parse_head(held: &[u8]) -> Result<Option<(Incoming, usize)>, Fault> {
    let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    let status = parsed.parse(held).map_err(|_| Fault::Bad(400))?;
    let httparse::Status::Complete(len) = status else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = parsed.headers.iter().map(|h| (h.name.to_owned(), text(h.value)));
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Incoming {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        keep_alive: parsed.version == Some(1),
    };
    request.keep_alive &= !request.header_has("connection", "close");
    Ok(Some((request, len)))
}

fn body_len(request: &Incoming) -> Result<usize, Fault> {
    if request.header("transfer-encoding").is_some() {
        return Err(Fault::Bad(411));
    }
    let Some(value) = request.header("content-length") else {
        return Ok(0);
    };
    match value.parse() {
        Ok(len) if len <= BODY_MAX => Ok(len),
        Ok(_) => Err(Fault::Bad(413)),
        Err(_) => Err(Fault::Bad(400)),
    }
}

/// An answer, before it is bytes.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.into() }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        let plain = Self::new(status, "application/json", value.to_string());
        plain.with("Cache-Control", "no-store")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Head and body apart, so that a fault can cut between them.
    pub(crate) fn head(&self, framing: &str) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        if !self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("date")) {
            let _ = write!(out, "Date: {}\r\n", http_date(SystemTime::now()));
        }
        for (name, value) in &self.headers {
            let _ = write!(out, "{name}: {value}\r\n");
        }
        out.push_str(framing);
        out.push_str("\r\n");
        out.into_bytes()
    }

    /// The whole answer with a Content-Length.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.head(&format!("Content-Length: {}\r\n", self.body.len()));
        out.extend_from_slice(&self.body);
        out
    }

    /// The answer to a HEAD, or one that has no body.
    pub(crate) fn bytes_without_body(&self) -> Vec<u8> {
        let length =
            if self.status == 204 { String::new() } else { format!("Content-Length: {}\r\n", self.body.len()) };
        self.head(&length)
    }

    /// The whole answer in chunks of `size` bytes.
    pub(crate) fn chunked(&self, size: usize) -> Vec<u8> {
        let mut out = self.head("Transfer-Encoding: chunked\r\n");
        for chunk in self.body.chunks(size.max(1)) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Scripted",
    }
}

/// The first field of that name in a form-url-encoded body, decoded.
pub(crate) fn form_field(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(key, _)| form_decode(key).as_deref() == Some(name));
    named.next().and_then(|(_, value)| form_decode(value))
}

/// One form-url-encoded value, decoded; `None` when it is not one.
pub(crate) fn form_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

/// A moment as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`. For Retry-After and Date in scripts.
pub fn http_date(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let secs = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, clock) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month],
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

/// A moment as JSON has it: `1994-11-06T08:49:37.000Z` (RFC 3339).
pub(crate) fn iso_date(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, clock) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (month, ms) = (month + 1, since.subsec_millis());
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month from 0 and day from 1 of a day since 1970 (Hinnant's algorithm: the year begins in March).
fn civil(days: u64) -> (u64, usize, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    (year + era * 400 + u64::from(month < 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates_are_written_as_rfc_9110_has_them() {
        let at = |secs| http_date(UNIX_EPOCH + Duration::from_secs(secs));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        let exact = UNIX_EPOCH + Duration::from_millis(1_597_236_114_707);
        assert_eq!(iso_date(exact), "2020-08-12T12:41:54.707Z");
    }

    #[test]
    fn form_fields_are_decoded() {
        let body = b"grant_type=refresh_token&refresh_token=a%2Bb+c%3D";
        assert_eq!(form_field(body, "refresh_token").as_deref(), Some("a+b c="));
        assert_eq!(form_field(body, "code"), None);
    }
}
