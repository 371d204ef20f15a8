//! Logs that somebody has been at, and what the verifier says of them.

use super::super::chain::Chain;
use super::super::seal::ZEROS;
use super::*;

const K0: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What a client with a chain does, without a client: records go to both logs.
pub(super) struct Writer {
    pub(super) chain: Chain,
    /// What the state file holds.
    pub(super) kept: Chain,
    boot: u64,
    seq: u64,
    pub(super) audit: Vec<String>,
    siem: Vec<String>,
}

impl Writer {
    pub(super) fn new(mode: Mode) -> Self {
        let chain = Chain::new(mode, &seal::unhex(K0.as_bytes()).unwrap());
        let kept = chain.clone();
        Self { chain, kept, boot: 0, seq: 0, audit: Vec::new(), siem: Vec::new() }
    }

    /// A run begins: its first record ends its first epoch.
    pub(super) fn start(&mut self) {
        self.chain = self.kept.resumed();
        self.kept = self.chain.clone();
        (self.boot, self.seq) = (self.boot + 1, 0);
        self.checkpoint("start");
    }

    pub(super) fn record(&mut self, what: &str) {
        self.write(&format!("\"event_type\":\"{what}\""));
    }

    fn write(&mut self, members: &str) {
        self.seq += 1;
        let Self { boot, seq, .. } = self;
        let epoch = self.chain.epoch;
        let text =
            format!("{{{members},\"seq\":{seq},\"boot_id\":\"b{boot}\",\"mac_epoch\":{epoch},\"mac\":\"{ZEROS}\"}}");
        for (log, lines) in [(Log::Audit, &mut self.audit), (Log::Siem, &mut self.siem)] {
            let mut text = text.clone();
            assert!(self.chain.fill(log, &mut text));
            lines.push(text);
        }
    }

    pub(super) fn records(&mut self, count: usize) {
        (0..count).for_each(|_| self.record("closed"));
    }

    pub(super) fn checkpoint(&mut self, reason: &str) {
        self.write(&format!("\"event_type\":\"audit_checkpoint\",\"metadata\":{{\"reason\":\"{reason}\"}}"));
        self.chain = self.chain.turned();
        self.kept = self.chain.clone();
    }

    pub(super) fn close(&mut self) {
        self.checkpoint("close");
        self.kept.is_closed = true;
    }

    /// Two runs of two epochs each, both closed.
    pub(super) fn two_runs(mode: Mode) -> Self {
        let mut writer = Self::new(mode);
        for _ in 0..2 {
            writer.start();
            writer.records(3);
            writer.checkpoint("records");
            writer.records(2);
            writer.close();
        }
        writer
    }
}

pub(super) fn verifier() -> Verifier {
    Verifier::new(&Secret::new(K0.into())).unwrap()
}

pub(super) fn verify<T: AsRef<[u8]>>(lines: &[T]) -> Report {
    run(verifier(), lines)
}

pub(super) fn run<T: AsRef<[u8]>>(mut verifier: Verifier, lines: &[T]) -> Report {
    for line in lines {
        verifier.feed(line.as_ref());
        verifier.feed(b"\n");
    }
    verifier.finish()
}

/// Found, at this line.
#[track_caller]
fn assert_tampered<T: AsRef<[u8]>>(lines: &[T], line: usize) {
    let report = verify(lines);
    assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(line as u64)), "{report:?}");
    assert_eq!(report.verified, line as u64 - 1);
}

#[test]
fn a_whole_log_is_intact_over_restarts() {
    let writer = Writer::two_runs(Mode::State);
    for (lines, sink) in [(&writer.audit, "audit"), (&writer.siem, "siem")] {
        let report = verify(lines);
        assert_eq!((report.verdict, report.verified), (Verdict::Intact, 16), "{report:?}");
        assert_eq!((report.sink, report.promise, report.last_seq), (sink, "forward-secure", Some(8)));
        assert!(report.to_json().starts_with("{\"result\":\"intact\",\"lines\":16,"), "{}", report.to_json());
    }
    assert_ne!(writer.audit, writer.siem);
}

#[test]
fn it_makes_no_difference_how_the_bytes_come() {
    let text = Writer::two_runs(Mode::State).audit.join("\n");
    for size in [1, 7, 64, 100_000] {
        let mut verifier = verifier();
        text.as_bytes().chunks(size).for_each(|piece| verifier.feed(piece));
        let report = verifier.finish();
        assert_eq!((report.verdict, report.lines), (Verdict::Intact, 16), "{size}");
    }
    let mut verifier = verifier();
    verifier.feed(&vec![b'x'; MAX_LINE + 1]);
    verifier.feed(b"\n");
    verifier.feed(text.as_bytes());
    let report = verifier.finish();
    assert_eq!((report.verdict, report.bad_line, report.lines), (Verdict::Tampered, Some(1), 17));
}

#[test]
fn every_edited_byte_is_found_where_it_is() {
    let lines: Vec<Vec<u8>> = Writer::two_runs(Mode::State).audit.into_iter().map(String::into_bytes).collect();
    for line in [0, 1, 4, 5, 8, 15] {
        for at in 0..lines[line].len() {
            for flip in [1, 0x20, 0x80] {
                let mut edited = lines.clone();
                edited[line][at] ^= flip;
                // A byte that becomes a line's end makes two lines of one, bad where the first is.
                assert_tampered(&edited, line + 1);
            }
        }
    }
}

#[test]
fn what_is_added_to_a_line_or_cut_from_it_is_found() {
    let lines = Writer::two_runs(Mode::State).audit;
    for line in 0..lines.len() {
        for edited_line in [format!("{} ", lines[line]), format!(" {}", lines[line]), lines[line][1..].to_owned()] {
            let mut edited = lines.clone();
            edited[line] = edited_line;
            assert_tampered(&edited, line + 1);
        }
    }
}

#[test]
fn deleted_records_are_found_and_all_but_the_last_without_a_checkpoint() {
    let lines = Writer::two_runs(Mode::State).audit;
    for line in 0..lines.len() - 1 {
        let mut left = lines.clone();
        left.remove(line);
        assert_tampered(&left, line + 1);
    }
    for kept in 1..lines.len() {
        let left = &lines[..kept];
        assert_eq!(verify(left).verdict, Verdict::Intact, "a log says nothing of what is to come");
        let mut with_checkpoint = verifier();
        with_checkpoint.expect(lines[15].as_bytes()).unwrap();
        let report = run(with_checkpoint, left);
        assert_eq!((report.verdict, report.last_line), (Verdict::Truncated, kept as u64));
    }
    let mut with_checkpoint = verifier();
    with_checkpoint.expect(lines[15].as_bytes()).unwrap();
    assert_eq!(run(with_checkpoint, &lines).verdict, Verdict::Intact);
}

#[test]
fn a_whole_run_that_is_missing_is_found() {
    let mut writer = Writer::two_runs(Mode::State);
    writer.start();
    writer.records(1);
    let left = [&writer.audit[..8], &writer.audit[16..]].concat();
    assert_tampered(&left, 9);
    // The same when it was killed.
    let mut killed = Writer::two_runs(Mode::State);
    killed.start();
    killed.records(1);
    killed.start();
    assert_eq!(verify(&killed.audit).verdict, Verdict::DeclaredGap);
    let left = [&killed.audit[..16], &killed.audit[18..]].concat();
    assert_tampered(&left, 17);
}

#[test]
fn reordered_duplicated_and_spliced_records_are_found() {
    let (lines, siem) = (Writer::two_runs(Mode::State).audit, Writer::two_runs(Mode::State).siem);
    let other = {
        let mut other = Writer::new(Mode::State);
        other.start();
        other.records(30);
        other.audit
    };
    for line in 0..lines.len() - 1 {
        let mut swapped = lines.clone();
        swapped.swap(line, line + 1);
        assert_tampered(&swapped, line + 1);
        let mut doubled = lines.clone();
        doubled.insert(line + 1, lines[line].clone());
        assert_tampered(&doubled, line + 2);
        // Of the other sink, of another log, of another run and epoch.
        for foreign in [&siem[line], &other[line + 3], &lines[(line + 8) % 16], &lines[(line + 3) % 16]] {
            let mut spliced = lines.clone();
            spliced[line].clone_from(foreign);
            // The first record says which sink's log it is.
            let is_another_log = line == 0 && foreign == &siem[0];
            assert_tampered(&spliced, if is_another_log { 2 } else { line + 1 });
        }
    }
    // Two sinks in one file, and a file that is read twice.
    assert_tampered(&[&lines[..], &siem[..]].concat(), 17);
    assert_tampered(&[&lines[..], &lines[..]].concat(), 17);
    assert_tampered(&[&lines[..8], &lines[..]].concat(), 9);
}

#[test]
fn another_key_and_no_chain_are_told_from_a_bad_first_record() {
    let lines = Writer::two_runs(Mode::State).audit;
    let other = Verifier::new(&Secret::new("f".repeat(64))).unwrap();
    assert_eq!(run(other, &lines).verdict, Verdict::NotAChain);
    assert_eq!(verify(&["{\"seq\":1}", "{\"seq\":2}"]).verdict, Verdict::NotAChain);
    assert_eq!(verify::<&str>(&[]).verdict, Verdict::NotAChain);
    // One alone that is bad may be of another key as well; of two, the second shows whose the first is.
    let edited = lines[0].replace("start", "sturt");
    let alone = verify(&[&edited]);
    assert_eq!(alone.why, Some("no record was made with this key, or too few are left to tell"));
    assert_eq!((alone.verdict, alone.bad_line), (Verdict::NotAChain, None));
    assert_tampered(&[&edited, &lines[1]], 1);
    let mut expecting = verifier();
    expecting.expect(lines[0].as_bytes()).unwrap();
    assert_eq!(run::<&str>(expecting, &[]).verdict, Verdict::Truncated);
    for wrong in ["", "00", &K0.replace('0', "g")] {
        assert_eq!(Verifier::new(&Secret::new(wrong.into())).unwrap_err().code(), Code::BadValue);
    }
    assert_eq!(verifier().expect(b"{}").unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn a_crash_declares_its_gap_and_no_other() {
    let mut writer = Writer::new(Mode::State);
    writer.start();
    writer.records(3);
    writer.checkpoint("records");
    let at = writer.audit.len();
    writer.records(4);
    // Killed: the state knows of the checkpoint alone.
    writer.start();
    writer.records(1);
    let end = at + 4;
    for kept in at..=end {
        // What the application had not written yet, or somebody has taken: nobody can tell.
        let lines = [&writer.audit[..kept], &writer.audit[end..]].concat();
        let report = verify(&lines);
        assert_eq!(report.verdict, Verdict::DeclaredGap, "{kept}: {report:?}");
        let gap = &report.gaps[0];
        assert_eq!((gap.kind, gap.line, gap.epochs), (GapKind::Crashed, kept as u64 + 1, Some((3, 3))));
        assert_eq!(gap.after_seq, Some(kept as u64));
    }
    // But never what is before the last checkpoint.
    let lines = [&writer.audit[..at - 1], &writer.audit[end..]].concat();
    assert_tampered(&lines, at);
    // And what it has torn belongs to it.
    let torn = [&writer.audit[..at], &["{\"event_ty".to_owned()], &writer.audit[end..]].concat();
    let report = verify(&torn);
    assert_eq!((report.verdict, report.gaps[0].torn_line), (Verdict::DeclaredGap, Some(at as u64 + 1)));
    let torn = [&writer.audit[..2], &["{\"event_ty".to_owned()], &writer.audit[2..]].concat();
    assert_tampered(&torn, 3);
    assert_tampered(&[&writer.audit[..2], &["{\"event_ty".to_owned()]].concat(), 3);
}

/// As after a crash without another run, or in a copy of a log that is being written.
#[test]
fn a_log_that_ends_within_a_line_is_truncated() {
    let lines = Writer::two_runs(Mode::State).audit;
    let syslog = format!("<85>1 - h a 1 closed [s@1 seq=\"9\"][s@1 epoch=\"8\" mac=\"{ZEROS}\"] Clo");
    for last in [&lines[15][..1], &lines[15][..40], &lines[15][..lines[15].len() - 1], "CEF:0|a|b", &syslog] {
        let text = lines[..15].join("\n") + "\n" + last;
        let mut whole = verifier();
        whole.feed(text.as_bytes());
        let report = whole.finish();
        assert_eq!((report.verdict, report.torn_line, report.bad_line), (Verdict::Truncated, Some(16), None), "{last}");
        assert_eq!((report.verified, report.last_line), (15, 15));
        assert!(report.to_json().contains("\"why\":\"the log ends within a line\""), "{}", report.to_json());
        // With an end it is a line that somebody has written.
        let mut ended = verifier();
        ended.feed((text + "\n").as_bytes());
        assert_eq!(ended.finish().verdict, Verdict::Tampered, "{last}");
    }
    // A record that is whole is not torn, but altered.
    let mut altered = verifier();
    altered.feed((lines[..15].join("\n") + "\n" + &lines[15].replace("close", "clone")).as_bytes());
    assert_eq!(altered.finish().verdict, Verdict::Tampered);
}

#[test]
fn starts_that_made_no_record_are_declared() {
    let mut writer = Writer::new(Mode::State);
    for _ in 0..3 {
        writer.kept = writer.kept.resumed();
    }
    writer.start();
    writer.records(1);
    let report = verify(&writer.audit);
    assert_eq!((report.verdict, report.gaps[0].epochs), (Verdict::DeclaredGap, Some((1, 3))), "{report:?}");
    // So are those that were closed: who has the key of the next epoch can say so of starts that made records.
    let mut closed = Writer::two_runs(Mode::State);
    closed.kept = closed.kept.resumed();
    closed.kept.is_closed = true;
    closed.start();
    let report = verify(&closed.audit);
    let gap = &report.gaps[0];
    assert_eq!((report.verdict, gap.kind, gap.line), (Verdict::DeclaredGap, GapKind::Skipped, 17), "{report:?}");
    assert_eq!((gap.epochs, gap.after_seq), (Some((9, 9)), Some(8)));
}

#[test]
fn a_marker_of_lost_records_is_a_declared_gap() {
    let mut writer = Writer::new(Mode::State);
    writer.start();
    writer.seq = 8;
    writer.write("\"event_type\":\"audit_loss\",\"first_lost\":2,\"last_lost\":9,\"count\":8");
    writer.records(1);
    let report = verify(&writer.audit);
    assert_eq!(report.verdict, Verdict::DeclaredGap);
    let gap = &report.gaps[0];
    assert_eq!((gap.kind, gap.line, gap.after_seq, gap.lost), (GapKind::Lost, 2, Some(1), Some((2, 9))));
    assert!(report.to_json().contains("\"first_lost\":2,\"last_lost\":9"), "{}", report.to_json());
}

#[test]
fn a_later_file_goes_on_from_a_checkpoint() {
    let mut writer = Writer::two_runs(Mode::State);
    writer.start();
    for checkpoint in [0, 4, 7, 8, 15, 16] {
        let mut later = verifier();
        later.begin_after(writer.audit[checkpoint].as_bytes()).unwrap();
        let report = run(later, &writer.audit[checkpoint + 1..]);
        let rest = writer.audit.len() - checkpoint - 1;
        let whole = if rest == 0 { Verdict::NotAChain } else { Verdict::Intact };
        assert_eq!((report.verdict, report.verified), (whole, rest as u64), "{checkpoint}");
        let mut skipping = verifier();
        skipping.begin_after(writer.audit[checkpoint].as_bytes()).unwrap();
        if let Some(left) = writer.audit.get(checkpoint + 2..).filter(|left| left.len() > 1) {
            let report = run(skipping, left);
            assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(1)), "{checkpoint}");
        }
    }
    let mut late = verifier();
    late.feed(b"\n");
    assert_eq!(late.begin_after(writer.audit[0].as_bytes()).unwrap_err().code(), Code::BadState);
}

#[test]
fn a_file_that_begins_before_the_known_checkpoint_is_verified_from_there_on() {
    let mut writer = Writer::two_runs(Mode::State);
    writer.start();
    let lines = &writer.audit;
    let after = |checkpoint: usize, log: &[String]| {
        let (mut later, last) = (verifier(), lines.last().unwrap());
        later.begin_after(lines[checkpoint].as_bytes()).unwrap();
        later.expect(last.as_bytes()).unwrap();
        run(later, log)
    };
    for checkpoint in [0, 4, 7, 8, 15] {
        for first in 0..=checkpoint {
            let report = after(checkpoint, &lines[first..]);
            let skipped = (checkpoint - first + 1) as u64;
            assert_eq!((report.verdict, report.skipped), (Verdict::Intact, skipped), "{report:?}");
            assert_eq!((report.verified, report.why), ((lines.len() - checkpoint - 1) as u64, None));
            assert!(report.to_json().contains(&format!("\"skipped\":{skipped},\"verified\":")), "{}", report.to_json());
        }
    }
    // What is skipped is not looked at; what comes behind it is.
    let mut edited = lines.clone();
    edited[2] = "{}".into();
    assert_eq!(after(7, &edited).verdict, Verdict::Intact);
    edited[9].push(' ');
    let report = after(7, &edited);
    assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, Some(10)), "{report:?}");
    // A record that only says that it is the one is none.
    let mut forged = lines.clone();
    forged[7] = forged[7].replace("close", "clone");
    assert_eq!((after(7, &forged).verdict, after(7, &forged).bad_line), (Verdict::Tampered, Some(1)));
    assert_eq!(after(7, &lines[..6]).verdict, Verdict::Tampered);
    // Nothing behind it; and what is expected may be older than it.
    let report = after(15, &lines[..16]);
    assert_eq!((report.skipped, report.verified, report.verdict), (16, 0, Verdict::Truncated));
    let mut older = verifier();
    older.begin_after(lines[7].as_bytes()).unwrap();
    older.expect(lines[4].as_bytes()).unwrap();
    assert_eq!(run(older, &lines[8..]).verdict, Verdict::Intact);
}

#[test]
fn an_expected_record_that_was_never_there_is_no_mere_end() {
    let (mut writer, foreign) = (Writer::two_runs(Mode::State), Writer::two_runs(Mode::State).siem);
    writer.start();
    let mut expecting = verifier();
    expecting.expect(foreign[4].as_bytes()).unwrap();
    let report = run(expecting, &writer.audit);
    assert_eq!((report.verdict, report.bad_line), (Verdict::Tampered, None), "{report:?}");
}

#[test]
fn a_state_that_was_put_back_is_found() {
    let mut writer = Writer::new(Mode::State);
    writer.start();
    writer.records(2);
    let old = writer.kept.clone();
    writer.checkpoint("records");
    writer.close();
    writer.kept = old;
    writer.start();
    assert_tampered(&writer.audit, 6);
}
