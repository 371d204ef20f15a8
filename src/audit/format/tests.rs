//! Every format says what the native one says, whatever the texts are.

use std::collections::BTreeMap;

use super::facts::MAX_LIST;
use super::read::{read, Said};
use super::{Format, Specimen};
use crate::audit::seal::{find, Place, DIGITS, ZEROS};
use crate::audit::{Kind, Record};

/// What the specimens need.
pub(super) mod api {
    pub(crate) use crate::audit::format::Specimen;
    pub(crate) use crate::audit::{Kind, Outcome, Phase, Record, ScopeAudit, ScopeResult, Trust};
    pub(crate) use crate::error::{Code, Detail, Error, Stage};
}

use super::specimens;

const REGION: &str = "mypurecloud.com";
const CLIENT: &str = "abc123-def456";

/// All that means something to one of the formats, or to who reads lines.
const HOSTILE: [&str; 12] = [
    "a=b|c\\d\"e]f",
    "\\",
    "]\" act=allow gwaMac=0 [x@1 y=\"z\"] ",
    "\n\r\0\t\u{1b}[31m\u{7f}",
    "\u{85}\u{2028}\u{2029}",
    "ü 😀 \u{feff}\u{202e}",
    "\\n \\= \\] \\\"",
    "%20 %25 %",
    " leading and trailing ",
    "\",\"mac\":\"0000000000000000000000000000000000000000000000000000000000000000\"}",
    " gwaEpoch=1 gwaMac=0000000000000000000000000000000000000000000000000000000000000000",
    "\"][gwaSeal@32473 epoch=\"1\" mac=\"0000000000000000000000000000000000000000000000000000000000000000\"] ",
];

/// All formats but the native one.
const OTHERS: [Format; 4] = [Format::Ocsf, Format::Ecs, Format::Cef, Format::Rfc5424];

fn is_one_line(text: &str) {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(breaks) && !text.is_empty(), "{text:?}");
}

/// The facts of the native text are those of every other, none more and none less. Only the tutorial's scope payload is less
/// than its record: it has no id, no region and nothing of the configured client.
fn says_the_same(text: &str, client_id: &str) {
    for record in specimens::all(text) {
        let line = |format| record.render(format, REGION, client_id, false);
        is_one_line(&line(Format::Native));
        for format in OTHERS {
            let line = line(format);
            is_one_line(&line);
            let native = read(Format::Native, &record.render(Format::Native, REGION, client_id, false));
            let (mut native, mut said) = (as_said_by(format, native), as_said_by(format, read(format, &line)));
            let is_bare = matches!(record, Specimen::Record(Record::Scopes(_)) | Specimen::Loss);
            for name in ["id", "region", "client_id"].iter().filter(|_| is_bare) {
                native.remove(*name);
                said.remove(*name);
            }
            assert_eq!(said, native, "{format:?} of {record:?}: {line}");
        }
    }
}

fn as_said_by(format: Format, said: Said) -> BTreeMap<String, String> {
    match format {
        Format::Cef => said.visible_but_breaks().0,
        Format::Rfc5424 => said.visible().0,
        _ => said.0,
    }
}

#[test]
fn every_format_says_what_native_says() {
    says_the_same("user:read", CLIENT);
    for text in HOSTILE {
        says_the_same(text, text);
    }
}

/// Texts made of the hostile ones and of single characters, always the same.
#[test]
fn every_format_says_what_native_says_of_any_text() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..20 {
        let mut text = String::new();
        for _ in 0..=next(5) {
            match next(3) {
                0 => text.push_str(HOSTILE[next(HOSTILE.len())]),
                1 => text.push(char::from(u8::try_from(next(128)).unwrap())),
                _ => text.extend(char::from_u32(u32::try_from(next(0x3000)).unwrap())),
            }
        }
        says_the_same(&text, "x");
    }
}

#[test]
fn every_kind_is_among_the_specimens() {
    let kinds: Vec<Kind> = specimens::all("").iter().map(Specimen::about).collect();
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn no_text_is_boundless() {
    for (character, most) in [("x", 16_384), ("\u{1}", 100_000), ("\"", 32_768), ("\\", 32_768), ("😀", 16_384)] {
        let huge = character.repeat(MAX_LIST + 1);
        for record in specimens::all(&huge) {
            for format in OTHERS {
                let line = record.render(format, &huge, &huge, true);
                is_one_line(&line);
                assert!(line.len() < most, "{format:?} of {record:?} has {} bytes", line.len());
                read_sealed(format, &line);
            }
        }
    }
}

/// As the largest message that a socket takes.
#[test]
fn a_text_of_four_mebibytes_is_cut() {
    let huge = "x".repeat(4 << 20);
    let panicked = Specimen::Record(Record::Panicked { location: huge.clone() });
    for format in OTHERS {
        let line = panicked.render(format, &huge, &huge, false);
        assert!(line.len() < 16_384 && line.contains("xxx…"), "{format:?} has {} bytes", line.len());
    }
}

fn read_sealed(format: Format, line: &str) {
    let place = find(line.as_bytes()).unwrap_or_else(|| panic!("no seal in {line}"));
    assert_eq!(&line[place.at..place.at + DIGITS], ZEROS);
    if matches!(format, Format::Ocsf | Format::Ecs) {
        read(format, line);
    }
}

/// Where the chain looks for it, there it is, whatever a peer has said that looks like one.
#[test]
fn a_seal_has_its_place_and_no_text_can_take_it() {
    for text in HOSTILE {
        for record in specimens::all(text) {
            for format in Format::ALL {
                let sealed = record.render(format, text, text, true);
                let Some(Place { epoch, at }) = find(sealed.as_bytes()) else { panic!("no seal in {sealed}") };
                assert_eq!((epoch, &sealed[at..at + DIGITS]), (12, ZEROS), "{sealed}");
                let mut filled = sealed.clone();
                filled.replace_range(at..at + DIGITS, &"f".repeat(DIGITS));
                assert_eq!(find(filled.as_bytes()), Some(Place { epoch, at }), "{filled}");
                let bare = record.render(format, text, text, false);
                let seal = match format {
                    Format::Cef => format!(" gwaEpoch=12 gwaMac={ZEROS}"),
                    Format::Rfc5424 => format!("[gwaSeal@32473 epoch=\"12\" mac=\"{ZEROS}\"]"),
                    _ => format!(",\"mac_epoch\":12,\"mac\":\"{ZEROS}\""),
                };
                assert_eq!(sealed.replacen(&seal, "", 1), bare, "nothing else differs");
            }
        }
    }
}

#[test]
fn what_each_format_looks_like() {
    let line = |format| attempt().render(format, REGION, CLIENT, true);
    let facts = "scopes_validated=\"true\" phase=\"first\" success_rate=\"0\" avg_latency_ms=\"142\"";
    let error = "live: The server refused the authentication message. no \\\"such\\\" user";
    assert_eq!(
        line(Format::Rfc5424),
        format!(
            "<84>1 2024-05-15T10:30:05.123Z - genesys_websocket_authenticator 5f0c3f9e-6a55-4c0b-9d5e-1f5a0f6f8a01 \
             authentication_attempt [gwa@32473 id=\"f47ac10b-58cc-4372-a567-0e02b2c3d479\" seq=\"7\" kind=\"1\" \
             status=\"failure\" client_id=\"abc123-def456\" region=\"mypurecloud.com\" \
             source=\"genesys_websocket_authenticator\" version=\"{}\" latency_ms=\"142\" \
             error_code=\"GWA_E_AUTH_REFUSED\" error=\"{error}\" {facts} prev_seq=\"5\" \
             boot_id=\"5f0c3f9e-6a55-4c0b-9d5e-1f5a0f6f8a01\"][gwaSeal@32473 epoch=\"12\" mac=\"{ZEROS}\"] \
             Authentication attempt: The server refused the authentication message.",
            super::VERSION,
        )
    );
    let cef = line(Format::Cef);
    let head = format!("CEF:0|genesys-ws-auth|genesys-ws-auth|{}|1|Authentication attempt|5|", super::VERSION);
    assert!(cef.starts_with(&format!("{head}rt=1715769005123 externalId=f47ac10b")), "{cef}");
    assert!(cef.contains(" cn1=7 cn1Label=seq cn3=142 cn3Label=latency_ms reason=GWA_E_AUTH_REFUSED msg=live: "));
    assert!(cef.ends_with(&format!(" cs1Label=boot_id gwaEpoch=12 gwaMac={ZEROS}")), "{cef}");
    let ocsf = line(Format::Ocsf);
    let head = "\"class_uid\":3002,\"class_name\":\"Authentication\",\"category_uid\":3,\"activity_id\":1,";
    assert!(ocsf.contains(head) && ocsf.contains("\"type_uid\":300201,\"severity_id\":3,"), "{ocsf}");
    let ecs = line(Format::Ecs);
    assert!(ecs.contains("\"category\":[\"authentication\"],\"type\":[\"start\"],"), "{ecs}");
    for json in [ocsf, ecs] {
        assert!(json.ends_with(&format!(",\"mac_epoch\":12,\"mac\":\"{ZEROS}\"}}}}")), "{json}");
    }
}

fn attempt() -> Specimen {
    let error = api::Error::new(api::Code::AuthRefused, api::Stage::Live, "no \"such\" user");
    let outcome = api::Outcome::Failure(error);
    Specimen::Record(Record::Attempt { phase: api::Phase::First, outcome, latency_ms: 142, scopes_validated: true })
}

#[test]
fn the_readme_has_a_real_line_of_each() {
    for format in Format::ALL {
        let line = attempt().render(format, REGION, CLIENT, false);
        assert!(include_str!("../../../README.md").contains(&line), "README.md needs\n{line}");
    }
}

#[test]
fn syslog_says_what_it_is_told_of_the_host() {
    use super::{Context, Entry, Formats, Sink, Syslog};
    let context = Context {
        region: String::new(),
        client_id: String::new(),
        source: "an application with a name of more than forty-eight letters".into(),
        boot_id: "boot".into(),
    };
    let body = super::Body::Record(Record::Closed);
    let totals = super::Totals::default();
    let entry = Entry { seq: 1, id: "id".into(), wall_ms: u64::MAX, totals, body };
    let syslog = Syslog { facility: 23, hostname: "host.example".into(), enterprise: 4_294_967_295 };
    let formats = Formats { audit: Format::Rfc5424, siem: Format::Cef, syslog };
    let mut out = "left over".to_owned();
    formats.render_with_nul(&entry, &context, Sink::Audit, None, &mut out);
    let head = "<190>1 - host.example an_application_with_a_name_of_more_than_forty-ei boot client_closed ";
    assert!(out.starts_with(&format!("{head}[gwa@4294967295 id=\"id\"")), "{out}");
    assert!(out.contains(" client_id=\"unknown\" region=\"\" ") && out.ends_with("] Client closed\0"));
    formats.render_with_nul(&entry, &context, Sink::Siem { prev_seq: 0 }, None, &mut out);
    assert!(out.starts_with("CEF:0|") && out.contains(" cn2=0 cn2Label=prev_seq "), "{out}");
}
