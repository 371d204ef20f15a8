//! What a record says of itself, in any format: its kind, number and run, and what a verifier acts on of two kinds.
//!
//! A peer's words are in records too. So the format is told by the first byte, as for the seal ([`super::seal::find`]), and
//! every member is looked for at its place in that format, never anywhere in the text: JSON is parsed; in CEF an `=` of a
//! value is escaped, so that ` key=` is a key; in a syslog message parameters are gone through one by one.

use serde_json::Value;

use crate::audit::Kind;

/// A record in a verifier's eyes. Nothing of it is believed before its MAC is good, but the number of a bad one is told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Told {
    /// Its number.
    pub(super) seq: Option<u64>,
    /// Its run.
    pub(super) boot_id: Option<String>,
    /// Whether an epoch may end with it.
    pub(super) is_checkpoint: bool,
    /// Whether it is the checkpoint of a client that closes.
    pub(super) is_close: bool,
    /// The first and last number of the records that it says are lost.
    pub(super) lost: Option<(u64, u64)>,
}

/// Where JSON has it: the number, the kind, the members, the members of a checkpoint.
const JSON: [[&str; 4]; 3] = [
    ["/seq", "/event_type", "", "/metadata"],
    ["/metadata/sequence", "/metadata/log_name", "/unmapped", "/unmapped"],
    ["/event/sequence", "/event/action", "/genesys_ws_auth", "/genesys_ws_auth"],
];

impl Told {
    /// By a line of a log, whatever it is.
    pub(super) fn by(text: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(text) else { return Self::default() };
        match text.as_bytes().first() {
            Some(b'{') => Self::by_json(text),
            Some(b'<') => Self::by_syslog(text),
            _ => Self::by_cef(text),
        }
    }

    fn by_json(text: &str) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Self::default() };
        let found = JSON.iter().find_map(|places| Some((places, value.pointer(places[0])?.as_u64()?)));
        let Some(([_, kind, members, checkpoint], seq)) = found else { return Self::default() };
        let said = |place: &str, name: &str| match value.pointer(place)?.get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let kind = value.pointer(kind).and_then(Value::as_str);
        Self::of(
            Some(seq),
            |one| kind == Some(one.name()),
            |name| match name {
                "reason" => said(checkpoint, name),
                _ => said(members, name),
            },
        )
    }

    /// Header: `CEF:0|vendor|product|version|number of the kind|…`, none of it a peer's.
    fn by_cef(text: &str) -> Self {
        let kind = text.split('|').nth(4).and_then(|number| number.parse().ok());
        let said = |key: &str| Some(text.split_once(key)?.1.split(' ').next()?.to_owned());
        let seq = said(" cn1=").and_then(|number| number.parse().ok());
        Self::of(
            seq,
            |one| kind == Some(one.id()),
            |name| match name {
                "boot_id" => said(" cs1="),
                "reason" => said(" gwaReason="),
                "first_lost" => said(" gwaFirstLost="),
                _ => said(" gwaLastLost="),
            },
        )
    }

    /// Six fields without blanks, the last of them the kind, then the element with the parameters.
    fn by_syslog(text: &str) -> Self {
        let mut fields = text.splitn(7, ' ').skip(5);
        let (kind, rest) = (fields.next(), fields.next().unwrap_or_default());
        let seq = parameter(rest, "seq").and_then(|number| number.parse().ok());
        Self::of(seq, |one| kind == Some(one.name()), |name| parameter(rest, name).map(str::to_owned))
    }

    fn of(seq: Option<u64>, is: impl Fn(Kind) -> bool, said: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name: &str| said(name)?.parse::<u64>().ok();
        let is_checkpoint = is(Kind::Checkpoint);
        Self {
            seq,
            boot_id: said("boot_id"),
            is_checkpoint,
            is_close: is_checkpoint && said("reason").as_deref() == Some("close"),
            lost: Some(())
                .filter(|()| is(Kind::Loss))
                .and_then(|()| Some((number("first_lost")?, number("last_lost")?))),
        }
    }
}

/// A parameter of the first element of structured data (RFC 5424 6.3). Escapes stay: what is asked for has none.
fn parameter<'a>(data: &'a str, name: &str) -> Option<&'a str> {
    let (_, mut rest) = data.strip_prefix('[')?.split_once(' ')?;
    loop {
        let (key, value) = rest.split_once("=\"")?;
        let (said, after) = value.split_at_checked(end_of_value(value)?)?;
        if key == name {
            return Some(said);
        }
        rest = after.strip_prefix("\" ")?;
    }
}

/// Where the quote is that no backslash escapes.
fn end_of_value(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Format, Record, Specimen};
    use crate::error::{Code, Error, Stage};

    /// What a server may say when it closes a socket, to be taken for a marker, a checkpoint, or another number.
    const LIKE_RECORDS: [&str; 7] = [
        "audit_loss gwaFirstLost=1 gwaLastLost=9 cn1=99 cs1=x",
        "audit_loss \"first_lost\":1,\"last_lost\":9 \"seq\":99",
        "audit_loss\",\"first_lost\":1,\"last_lost\":9,\"sequence\":99,\"x\":\"",
        "audit_loss first_lost=\"1\" last_lost=\"9\" seq=\"99\"] seq=",
        "\"audit_checkpoint\" \"reason\":\"close\" gwaReason=close reason=\"close\"",
        "|25| audit_checkpoint {\"seq\":99,\"event_type\":\"audit_loss\",\"first_lost\":1,\"last_lost\":9}",
        "a\\\" first_lost=\\\"1\\\" last_lost=",
    ];

    fn error(text: &str) -> Error {
        Error::new(Code::WsClosed, Stage::Live, text).with(|detail| detail.ws_close_code = 1011)
    }

    #[test]
    fn no_words_of_a_peer_are_taken_for_members() {
        for format in Format::ALL {
            for words in LIKE_RECORDS {
                let record = Specimen::Record(Record::ConnectionLost { connection: 2, error: error(words) });
                let told = Told::by(record.render(format, words, words, true).as_bytes());
                let boot_id = Some("5f0c3f9e-6a55-4c0b-9d5e-1f5a0f6f8a01".to_owned());
                let expected = Told { seq: Some(7), boot_id, ..Told::default() };
                assert_eq!(told, expected, "{format:?}: {words}");
            }
        }
    }

    #[test]
    fn losses_and_checkpoints_are_told_in_every_format() {
        for format in Format::ALL {
            for words in LIKE_RECORDS {
                let loss = Specimen::Loss.render(format, words, words, true);
                let told = Told::by(loss.as_bytes());
                assert_eq!((told.lost, told.is_checkpoint), (Some((3, 7)), false), "{loss}");
                let failed = Specimen::Checkpoint(error(words)).render(format, "region", "id", true);
                let told = Told::by(failed.as_bytes());
                assert_eq!((told.lost, told.is_checkpoint, told.is_close), (None, true, false), "{failed}");
                let told = Told::by(failed.replacen("state_failed", "close", 1).as_bytes());
                assert!(told.is_checkpoint && told.is_close, "{failed}");
                assert_eq!((told.seq, told.boot_id.map(|id| id.len())), (Some(7), Some(36)));
            }
        }
    }

    #[test]
    fn what_is_no_record_says_nothing() {
        for text in ["", "{", "{}", "[]", "{\"seq\":-1}", "<", "<85>1 - h a 1 audit_loss", "CEF:0|", "\u{0}", "x=\"\\"]
        {
            assert_eq!(Told::by(text.as_bytes()), Told::default(), "{text}");
        }
        assert_eq!(Told::by(b"\xff{"), Told::default());
    }
}
