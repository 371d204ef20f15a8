//! Logs without a state file: every run is a chain of its own, and what can be said of the row of them.

use super::tests::{run, verifier, verify, Writer};
use super::*;

/// So many runs of four records, each closed.
fn runs(count: usize) -> Writer {
    let mut writer = Writer::new(Mode::Run);
    let fresh = writer.kept.clone();
    for _ in 0..count {
        writer.kept = fresh.clone();
        writer.start();
        writer.records(2);
        writer.close();
    }
    writer
}

fn kinds(report: &Report) -> Vec<(GapKind, u64)> {
    report.gaps.iter().map(|gap| (gap.kind, gap.line)).collect()
}

#[track_caller]
fn assert_tampered(lines: &[String], line: u64) {
    let report = verify(lines);
    assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(line)), "{report:?}");
}

#[test]
fn without_a_state_every_run_is_a_chain_of_its_own() {
    let lines = runs(2).audit;
    let report = verify(&lines);
    assert_eq!((report.verdict, report.promise), (Verdict::DeclaredGap, "tamper-evident, not forward-secure"));
    assert_eq!(kinds(&report), [(GapKind::Unlinked, 5)]);
    assert_eq!((report.first_boot_id.as_deref(), report.last_boot_id.as_deref()), (Some("b1"), Some("b2")));
    let json = report.to_json();
    assert!(
        json.contains("\"first\":{\"boot_id\":\"b1\"},\"last\":{\"line\":8,\"seq\":4,\"boot_id\":\"b2\","),
        "{json}"
    );
    for line in 0..8 {
        let mut left = lines.clone();
        left.remove(line);
        match line {
            3 => assert_eq!(kinds(&verify(&left)), [(GapKind::Crashed, 4), (GapKind::Unlinked, 4)]),
            // What ended the log is missed by nobody.
            7 => assert_eq!(kinds(&verify(&left)), [(GapKind::Unlinked, 5)]),
            _ => assert_tampered(&left, line as u64 + 1),
        }
    }
}

#[test]
fn a_run_is_there_once() {
    let lines = runs(3).audit;
    let (a, b, c) = (&lines[..4], &lines[4..8], &lines[8..]);
    assert_tampered(&[a, a].concat(), 5);
    assert_tampered(&[a, b, a].concat(), 9);
    assert_tampered(&[a, b, c, b].concat(), 13);
    let report = verify(&[a, &a[..2]].concat());
    assert_eq!(report.why, Some("it begins a run that was there before"));
    let mut later = verifier();
    later.begin_after(a[3].as_bytes()).unwrap();
    assert_eq!(run(later, &[&a[..2], b].concat()).verdict, Verdict::Tampered);
    let mut later = verifier();
    later.begin_after(a[3].as_bytes()).unwrap();
    assert_eq!(run(later, &[b, c].concat()).verdict, Verdict::DeclaredGap);
}

#[test]
fn a_run_that_is_cut_short_is_declared() {
    let lines = runs(3).audit;
    for kept in 1..4 {
        let report = verify(&[&lines[..kept], &lines[4..]].concat());
        let (second, third) = (kept as u64 + 1, kept as u64 + 5);
        let expected = [(GapKind::Crashed, second), (GapKind::Unlinked, second), (GapKind::Unlinked, third)];
        assert_eq!((report.verdict, kinds(&report)), (Verdict::DeclaredGap, expected.to_vec()), "{report:?}");
        let torn = [&lines[..kept], &["{\"event_ty".to_owned()], &lines[4..]].concat();
        let torn = verify(&torn);
        assert_eq!((torn.verdict, torn.gaps[0].torn_line), (Verdict::DeclaredGap, Some(second)));
        assert_eq!(torn.gaps[1].torn_line, None);
    }
}

/// The epochs of every run begin with 1.
#[test]
fn an_expected_record_is_one_of_its_run() {
    let lines = runs(3).audit;
    let expecting = |record: &String, left: &[String]| {
        let mut expecting = verifier();
        expecting.expect(record.as_bytes()).unwrap();
        run(expecting, left).verdict
    };
    for kept in 1..lines.len() {
        for expected in [3, 7, 8, 11] {
            let found = expecting(&lines[expected], &lines[..kept]);
            let verdict = match kept {
                _ if kept <= expected => Verdict::Truncated,
                ..=4 => Verdict::Intact,
                _ => Verdict::DeclaredGap,
            };
            assert_eq!(found, verdict, "record {expected} of the first {kept}");
        }
    }
    // The end of the run that it is of was taken out, and another run follows.
    let cut = [&lines[..2], &lines[4..]].concat();
    assert_eq!(expecting(&lines[3], &cut), Verdict::Tampered);
    // The whole run was: whether it should be here nobody knows.
    let out = [&lines[..4], &lines[8..]].concat();
    assert_eq!(expecting(&lines[7], &out), Verdict::Truncated);
}
