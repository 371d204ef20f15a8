//! An intruder who has the state file, and so the key of the epoch that is: what they cannot take out of a log unseen.

use super::super::chain::{End, NOTHING};
use super::super::seal::ZEROS;
use super::tests::{verify, Writer};
use super::*;

/// What is appended to a log that was cut, in how many epochs from the one of the key.
fn forged(key: &Key, epoch: u64, prev: &Mac) -> Vec<String> {
    let (mut prev, mut lines) = (*prev, Vec::new());
    for seq in 1..3 {
        let members =
            format!("\"event_type\":\"audit_checkpoint\",\"metadata\":{{\"reason\":\"start\"}},\"seq\":{seq}");
        let mut text = format!("{{{members},\"boot_id\":\"forged\",\"mac_epoch\":{epoch},\"mac\":\"{ZEROS}\"}}");
        let place = seal::find(text.as_bytes()).unwrap();
        prev = key.mac(&prev, text.as_bytes(), place);
        seal::fill(&mut text, place, &prev);
        lines.push(text);
    }
    lines
}

/// The MACs of a log's records, and zeros before them.
fn macs(lines: &[String]) -> Vec<Mac> {
    let of = |line: &String| mac_of(line.as_bytes(), seal::find(line.as_bytes()).unwrap()).unwrap();
    [NOTHING].into_iter().chain(lines.iter().map(of)).collect()
}

/// With what the state holds now: the log is cut anywhere before its epoch, and goes on in every way that a record may follow,
/// in that epoch or a later one. Returns how many of them are taken for declared gaps.
fn nothing_is_taken_out_unseen(writer: &Writer) -> usize {
    let (kept, lines, mut gaps) = (&writer.kept, &writer.audit, 0);
    let epoch_of = |line: &String| seal::find(line.as_bytes()).unwrap().epoch;
    let before = lines.iter().filter(|line| epoch_of(line) < kept.epoch).count();
    let macs = macs(lines);
    for cut in 0..before {
        let held = lines[..cut].iter().rposition(|line| line.contains("audit_checkpoint")).map_or(0, |at| at + 1);
        for later in 0..3 {
            let key = (0..later).fold(kept.audit.key.clone(), |key, _| key.next());
            for prev in [macs[cut], macs[held], macs[macs.len() - 1], NOTHING] {
                for link in [prev, key.link(End::Closed, &prev), key.link(End::Crashed, &prev)] {
                    let log = [&lines[..cut], &forged(&key, kept.epoch + later, &link)].concat();
                    let report = verify(&log);
                    assert_ne!(report.verdict, Verdict::Intact, "after {cut} of {before}, +{later}: {log:#?}");
                    gaps += usize::from(report.verdict == Verdict::DeclaredGap);
                }
            }
        }
    }
    gaps
}

#[test]
fn with_the_state_of_a_run_nothing_before_its_epoch_is_taken_out() {
    let mut writer = Writer::two_runs(Mode::State);
    writer.start();
    writer.records(2);
    writer.checkpoint("records");
    writer.records(1);
    // Where it may have crashed, for all that anybody can tell, is declared.
    assert!(nothing_is_taken_out_unseen(&writer) > 0);
}

#[test]
fn with_the_state_of_a_closed_run_nothing_is_taken_out() {
    assert!(nothing_is_taken_out_unseen(&Writer::two_runs(Mode::State)) > 0);
}

#[test]
fn with_the_state_of_a_run_that_has_just_begun_nothing_is_taken_out() {
    let mut writer = Writer::two_runs(Mode::State);
    writer.kept = writer.kept.resumed();
    assert!(nothing_is_taken_out_unseen(&writer) > 0);
}

#[test]
fn what_is_missing_is_named_by_its_epochs() {
    let writer = Writer::two_runs(Mode::State);
    let (kept, macs) = (&writer.kept, macs(&writer.audit));
    let key = &kept.audit.key;
    assert_eq!(kept.epoch, 8);
    // The whole history; then all but the first run, whose close cannot be moved; then from a checkpoint on.
    for (cut, first) in [(0, 1), (8, 5), (5, 3)] {
        let closed = forged(key, 8, &key.link(End::Closed, &macs[cut]));
        let report = verify(&[&writer.audit[..cut], &closed].concat());
        assert_eq!(report.verdict, Verdict::DeclaredGap, "{cut}: {report:?}");
        let gap = &report.gaps[0];
        assert_eq!((gap.kind, gap.line, gap.epochs), (GapKind::Skipped, cut as u64 + 1, Some((first, 7))));
    }
    // After a record that ends no epoch nothing goes on, and no run was closed; that one crashed there is declared.
    for link in [macs[3], key.link(End::Closed, &macs[3])] {
        let report = verify(&[&writer.audit[..3], &forged(key, 8, &link)].concat());
        assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(4)));
    }
    let report = verify(&[&writer.audit[..3], &forged(key, 8, &key.link(End::Crashed, &macs[3]))].concat());
    let gap = &report.gaps[0];
    assert_eq!((gap.kind, gap.line, gap.epochs), (GapKind::Crashed, 4, Some((2, 7))), "{report:?}");
}

#[test]
fn an_epoch_ends_with_a_checkpoint_or_not_at_all() {
    let mut writer = Writer::new(Mode::State);
    writer.start();
    writer.records(2);
    writer.chain = writer.chain.turned();
    writer.records(1);
    let report = verify(&writer.audit);
    assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(4)));
}

#[test]
fn a_run_whose_state_could_not_be_kept_at_first_is_closed_all_the_same() {
    let mut writer = Writer::new(Mode::State);
    writer.start();
    let chain = writer.chain.clone();
    writer.close();
    // The key is used on, for one record more.
    (writer.chain.epoch, writer.chain.audit.key, writer.chain.siem.key) =
        (chain.epoch, chain.audit.key, chain.siem.key);
    writer.checkpoint("state_failed");
    writer.kept.is_closed = true;
    writer.start();
    let report = verify(&writer.audit);
    assert_eq!((report.verdict, report.verified), (Verdict::Intact, 4), "{report:?}");
}

#[test]
fn a_line_that_is_no_record_is_not_explained_by_a_run_that_was_closed() {
    let mut lines = Writer::two_runs(Mode::State).audit;
    lines.insert(8, "{\"event_ty".to_owned());
    let report = verify(&lines);
    assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(9)), "{report:?}");
}
