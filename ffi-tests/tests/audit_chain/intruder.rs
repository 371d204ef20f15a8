//! What somebody can do with all that is on the host, the state file and its key, or as a server with the words it sends: both
//! verifiers agree on what is found.

use std::fs;

use ffi_tests::cprog::Variant;
use ffi_tests::sim::Sim;
use genesys_ws_auth::audit::verify::{GapKind, Verdict};
use genesys_ws_auth::audit::{Format, Record, Specimen};
use genesys_ws_auth::error::{Code, Error, Stage};
use ring::hmac;
use serde_json::Value;

use super::place::{verify, Place, Sink, K0};
use super::tampered::{joined, lines, Lines};

type Mac = [u8; 32];

const LABEL: &[u8] = b"gwa audit chain 1: ";
const NOTHING: Mac = [0; 32];

fn sign(key: &[u8], parts: &[&[u8]]) -> Mac {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &parts.concat()).as_ref().try_into().unwrap()
}

fn unhex(digits: &str) -> Mac {
    let bytes = (0..32).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap());
    bytes.collect::<Vec<_>>().try_into().unwrap()
}

fn linked(key: &Mac, end: &str, mac: &Mac) -> Mac {
    sign(key, &[LABEL, end.as_bytes(), mac])
}

/// The MAC in a record.
fn mac_of(line: &[u8]) -> Mac {
    let record: Value = serde_json::from_slice(line).unwrap();
    unhex(record["mac"].as_str().unwrap())
}

/// With its digits for the last zeros.
fn sealed(key: &Mac, prev: &Mac, blank: &str) -> (Vec<u8>, Mac) {
    let mac = sign(key, &[prev, blank.as_bytes()]);
    let digits: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let at = blank.rfind(&"0".repeat(64)).unwrap();
    ([&blank[..at], &digits, &blank[at + 64..]].concat().into_bytes(), mac)
}

#[test]
fn with_the_state_file_nothing_that_was_before_is_taken_out_unseen() {
    let (sim, place) = (Sim::start(Variant::Plain.options()), Place::new("intruder"));
    for key in [K0, ""] {
        place.program(&sim, Variant::Plain, "2", key).run().passed();
    }
    let audit = lines(&place.text(Sink::Audit));
    let state: Value = serde_json::from_slice(&fs::read(place.state().join("chain")).unwrap()).unwrap();
    let (epoch, key) = (&state["epoch"], unhex(state["audit"]["key"].as_str().unwrap()));
    let blank = format!(
        "{{\"event_type\":\"audit_checkpoint\",\"metadata\":{{\"reason\":\"start\"}},\"seq\":1,\"boot_id\":\"x\",\
         \"mac_epoch\":{epoch},\"mac\":\"{}\"}}",
        "0".repeat(64)
    );
    let mut gaps = 0;
    for cut in 0..audit.len() {
        let before = cut.checked_sub(1).map_or(NOTHING, |at| mac_of(&audit[at]));
        for prev in [before, linked(&key, "closed", &before), linked(&key, "crashed", &before)] {
            let log: Lines = audit[..cut].iter().cloned().chain([sealed(&key, &prev, &blank).0]).collect();
            let report = verify(&joined(&log), None);
            assert_ne!(report.verdict, Verdict::Intact, "{cut} of {}: {report:?}", audit.len());
            gaps += report.gap_count;
            place.agrees_on(&joined(&log), None, &report);
        }
    }
    assert!(gaps > 0, "some of them are what a crash may leave");
}

#[test]
fn words_of_a_server_declare_no_gap_in_any_format() {
    let place = Place::new("words");
    let words = [
        "audit_loss gwaFirstLost=1 gwaLastLost=9",
        "audit_loss \"first_lost\":1,\"last_lost\":9",
        "audit_loss first_lost=\"1\" last_lost=\"9\"",
    ];
    let key = sign(&unhex(K0), &[LABEL, b"run siem"]);
    let key = sign(&key, &[LABEL, b"evolve"]);
    for format in Format::ALL {
        let (mut log, mut prev) = (Vec::new(), linked(&key, "closed", &NOTHING));
        let lost = |words: &str| {
            let error = Error::new(Code::WsClosed, Stage::Live, words);
            Specimen::Record(Record::ConnectionLost { connection: 2, error })
        };
        for specimen in words.map(lost).into_iter().chain([Specimen::Loss]) {
            let text = specimen.render(format, "region", "id", true);
            let at = text.rfind("12").unwrap();
            let (line, mac) = sealed(&key, &prev, &(text[..at].to_owned() + "1" + &text[at + 2..]));
            log.push(line);
            prev = mac;
        }
        let report = verify(&joined(&log[..3].to_vec()), None);
        assert_eq!(report.verdict, Verdict::Intact, "{format:?}: {report:?}");
        place.agrees_on(&joined(&log[..3].to_vec()), None, &report);
        let report = verify(&joined(&log), None);
        assert_eq!((report.gap_count, report.gaps[0].kind, report.gaps[0].line), (1, GapKind::Lost, 4), "{format:?}");
        place.agrees_on(&joined(&log), None, &report);
    }
}

#[test]
fn without_a_state_runs_are_there_once_and_whole_or_declared() {
    let (sim, place) = (Sim::start(Variant::Plain.options()), Place::new("runs-without"));
    let mut ends = Vec::new();
    for _ in 0..2 {
        place.program(&sim, Variant::Plain, "2", K0).set("audit.chain_state", "").run().passed();
        ends.push(lines(&place.text(Sink::Audit)).len());
    }
    let audit = lines(&place.text(Sink::Audit));
    let (first, second) = audit.split_at(ends[0]);
    let told = |log: &[&[Vec<u8>]], expected: Option<&[u8]>| {
        let log = joined(&log.concat());
        let report = verify(&log, expected);
        place.agrees_on(&log, expected, &report);
        report
    };
    assert_eq!(told(&[first, second], None).gap_count, 1);
    assert_eq!(told(&[first, first], None).verdict, Verdict::Tampered);
    assert_eq!(told(&[first, second, first], None).verdict, Verdict::Tampered);
    let cut = told(&[&first[..3], second], None);
    assert_eq!((cut.verdict, cut.gaps[0].kind, cut.gap_count), (Verdict::DeclaredGap, GapKind::Crashed, 2));
    // The epochs of a run begin with 1: what is expected is a record of its run.
    let (end_of_first, end_of_second) = (first.last().unwrap(), second.last().unwrap());
    assert_eq!(told(&[first, second], Some(end_of_first)).verdict, Verdict::DeclaredGap);
    assert_eq!(told(&[first, &second[..2]], Some(end_of_second)).verdict, Verdict::Truncated);
    assert_eq!(told(&[first], Some(end_of_second)).verdict, Verdict::Truncated);
    assert_eq!(told(&[&first[..3], second], Some(end_of_first)).verdict, Verdict::Tampered);
    // The last line has no end, and is none.
    let torn = [joined(&first.to_vec()), second[0][..50].to_vec()].concat();
    let report = verify(&torn, None);
    assert_eq!((report.verdict, report.torn_line), (Verdict::Truncated, Some(first.len() as u64 + 1)));
    place.agrees_on(&torn, None, &report);
}
