//! Real logs that somebody has been at: what is found, by both verifiers, and by the program an auditor runs.

use std::fs;

use ffi_tests::cprog::Variant;
use ffi_tests::sim::Sim;
use genesys_ws_auth::audit::verify::{Verdict, Verifier};
use genesys_ws_auth::Secret;

use super::place::{verify, Place, Sink, K0};

pub type Lines = Vec<Vec<u8>>;

pub fn lines(text: &[u8]) -> Lines {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

pub fn joined(lines: &Lines) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// Two runs, and the logs of another client with the same key.
fn logs() -> (Place, Lines, Lines, Lines) {
    let sim = Sim::start(Variant::Plain.options());
    let (place, other) = (Place::new("tampered"), Place::new("tampered-other"));
    for run in 0..2 {
        place.program(&sim, Variant::Plain, "4", if run == 0 { K0 } else { "" }).run().passed();
    }
    other.program(&sim, Variant::Plain, "20", K0).run().passed();
    let (audit, siem) = (lines(&place.text(Sink::Audit)), lines(&place.text(Sink::Siem)));
    let other = lines(&other.text(Sink::Audit));
    (place, audit, siem, other)
}

#[test]
fn both_verifiers_name_the_first_bad_record() {
    let (place, audit, siem, other) = logs();
    let (middle, last) = (audit.len() / 2, audit.len() - 1);
    assert!(middle > 6 && other.len() > last && siem.len() > middle);
    // What was done, the log, and its first bad line.
    let mut cases: Vec<(String, Lines, u64)> = Vec::new();
    for at in [0, 1, middle, last] {
        let bad = at as u64 + 1;
        let mut case = |what: &str, bad: u64, change: &dyn Fn(&mut Lines)| {
            let mut log = audit.clone();
            change(&mut log);
            cases.push((format!("{what} {at}"), log, bad));
        };
        let text = String::from_utf8(audit[at].clone()).unwrap();
        let edits = [
            ("the time edited", text.replacen("\"timestamp\":\"2", "\"timestamp\":\"1", 1)),
            ("the epoch edited", text.replacen("\"mac_epoch\":", "\"mac_epoch\":1", 1)),
            ("the seal edited", text.replacen("\"mac\":\"", "\"mac\":\"0", 1)),
            ("the seal removed", text.split(",\"mac_epoch\"").next().unwrap().to_owned() + "}"),
        ];
        for (what, edited) in edits {
            assert_ne!(edited, text);
            case(what, bad, &|log| log[at] = edited.clone().into_bytes());
        }
        if at < last {
            case("deleted", bad, &|log| drop(log.remove(at)));
            case("swapped", bad, &|log| log.swap(at, at + 1));
        }
        case("doubled", bad + 1, &|log| log.insert(at, audit[at].clone()));
        if at > 0 {
            case("of the other sink", bad, &|log| log[at].clone_from(&siem[at.min(siem.len() - 1)]));
            case("of another log", bad, &|log| log[at].clone_from(&other[at]));
            case("of another place", bad, &|log| log[at].clone_from(&audit[(at + middle) % last]));
        }
    }
    cases.push(("read twice".into(), [audit.clone(), audit.clone()].concat(), last as u64 + 2));
    cases.push(("both sinks".into(), [audit.clone(), siem].concat(), last as u64 + 2));
    for (what, log, bad) in cases {
        let log = joined(&log);
        let report = verify(&log, None);
        assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(bad)), "{what}: {report:?}");
        assert_eq!(report.verified, bad - 1, "{what}");
        place.agrees_on(&log, None, &report);
    }
}

#[test]
fn an_end_that_is_missing_is_found_with_a_checkpoint_from_elsewhere() {
    let (place, audit, ..) = logs();
    let checkpoint = audit.last().unwrap();
    for kept in [0, 1, audit.len() / 2, audit.len() - 1] {
        let log = joined(&audit[..kept].to_vec());
        let report = verify(&log, Some(checkpoint));
        assert_eq!((report.verdict, report.last_line), (Verdict::Truncated, kept as u64));
        place.agrees_on(&log, Some(checkpoint), &report);
        let without = verify(&log, None);
        assert_eq!(without.verdict, if kept == 0 { Verdict::NotAChain } else { Verdict::Intact });
        place.agrees_on(&log, None, &without);
    }
    let whole = joined(&audit);
    let report = verify(&whole, Some(checkpoint));
    assert_eq!(report.verdict, Verdict::Intact);
    place.agrees_on(&whole, Some(checkpoint), &report);
}

#[test]
fn a_file_that_begins_before_the_known_checkpoint_is_verified_from_there_on() {
    let (place, audit, ..) = logs();
    let is_checkpoint = |line: &Vec<u8>| String::from_utf8_lossy(line).contains("audit_checkpoint");
    for at in (0..audit.len()).filter(|at| is_checkpoint(&audit[*at])) {
        for (first, until) in [(0, audit.len()), (at / 2, audit.len()), (at + 1, audit.len()), (0, audit.len() - 1)] {
            let (last, log) = (audit.last().unwrap(), joined(&audit[first.min(until)..until].to_vec()));
            let mut verifier = Verifier::new(&Secret::new(K0.into())).unwrap();
            verifier.begin_after(&audit[at]).unwrap();
            verifier.expect(last).unwrap();
            verifier.feed(&log);
            let report = verifier.finish();
            // Behind the last there is nothing, and nothing is expected.
            let verdict = match at + 1 == audit.len() {
                true if first > 0 || until == audit.len() => Verdict::NotAChain,
                true => Verdict::Tampered,
                false if until < audit.len() => Verdict::Truncated,
                false => Verdict::Intact,
            };
            assert_eq!(report.verdict, verdict, "{at} in {first}..{until}: {report:?}");
            place.agrees_with(&log, &[("--after", &audit[at]), ("--expect", last)], &report);
        }
    }
}

#[test]
fn the_program_tells_them_apart_by_its_exit() {
    let (place, audit, ..) = logs();
    let (file, record) = (place.0.join("a-log"), place.0.join("a-checkpoint"));
    let run = |log: &Lines, options: &[&str]| {
        fs::write(&file, joined(log)).unwrap();
        place.by_hand(Variant::Plain, options, K0, std::slice::from_ref(&file))
    };
    assert_eq!(run(&audit, &[]).code, Some(0));
    let mut edited = audit.clone();
    edited[3][20] ^= 1;
    let told = run(&edited, &[]);
    assert_eq!(told.code, Some(4));
    assert!(told.text.contains("\"bad\":{\"line\":4,\"seq\":4}"), "{}", told.text);
    fs::write(&record, joined(&vec![audit.last().unwrap().clone()])).unwrap();
    let path = record.display().to_string();
    assert_eq!(run(&audit, &["--expect", &path]).code, Some(0));
    assert_eq!(run(&audit[..5].to_vec(), &["--expect", &path]).code, Some(3));
    // From the first checkpoint on, without what was before.
    fs::write(&record, joined(&vec![audit[0].clone()])).unwrap();
    assert_eq!(run(&audit[1..].to_vec(), &["--after", &path]).code, Some(0));
    assert_eq!(run(&audit[2..].to_vec(), &["--after", &path]).code, Some(4));
    // A file that begins before it, and ends before the record that is expected.
    let last = place.0.join("the-last");
    fs::write(&last, audit.last().unwrap()).unwrap();
    let both = ["--after", &path, "--expect", &last.display().to_string()];
    let told = run(&audit, &both);
    assert_eq!(told.code, Some(0), "{}", told.text);
    assert!(told.text.contains("\"skipped\":1,"), "{}", told.text);
    assert_eq!(run(&audit[..6].to_vec(), &[both[2], both[3], both[0], both[1]]).code, Some(3));
    assert_eq!(run(&vec![b"{}".to_vec()], &[]).code, Some(5));
    assert_eq!(place.by_hand(Variant::Plain, &[], "short", std::slice::from_ref(&file)).code, Some(1));
    let (one, other) = (place.new_key(), place.new_key());
    assert_ne!(one, other);
    for key in [one, other] {
        assert_eq!(key.len(), 65, "{key}");
        assert_eq!(place.by_hand(Variant::Plain, &[], key.trim(), std::slice::from_ref(&file)).code, Some(5));
    }
}
