//! The offline verifier: reads a log line by line with K0 in hand, and says whether it is whole.
//!
//! It knows no format: it finds seals in texts (`seal.rs`), and which record follows which is for the MACs to say
//! (`chain.rs`). Memory does not grow with the log.

mod cursor;
mod report;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_intruder;
#[cfg(test)]
mod tests_runs;
mod told;

use std::collections::HashSet;

use zeroize::Zeroizing;

pub use self::report::{Gap, GapKind, Report, Verdict};

use self::cursor::{Cursor, Probe, Step};
use self::told::Told;
use super::chain::{Key, Log, Mac, Mode};
use super::seal::{self, Place};
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;

/// Longest line that is looked at; what is longer is no record.
const MAX_LINE: usize = 1 << 20;

/// Gaps that a report lists; all are counted.
const MAX_GAPS: usize = 1_000;

/// Runs of a log without a state that are remembered, 3 MB of them. Later ones are known to differ from these and from the
/// one before them.
const MAX_RUNS: usize = 65_536;

/// Verifies a log. Feed it the files of the log, in order.
#[derive(Debug)]
pub struct Verifier {
    roots: Vec<(Mode, Log, Key)>,
    expected: Option<Known>,
    after: Option<Known>,
    runs: Runs,
    state: Progress,
    /// A line without its end, so far.
    part: Vec<u8>,
    part_is_too_long: bool,
    /// The line that is looked at has no end: the log ends within it.
    is_cut: bool,
    report: Report,
}

/// A record that is known from elsewhere.
#[derive(Clone, Debug)]
struct Known {
    epoch: u64,
    mac: Mac,
    text: Vec<u8>,
    told: Told,
    is_met: bool,
}

/// The runs so far, by their `boot_id`: without a state nothing else keeps one from being there twice.
#[derive(Debug, Default)]
struct Runs {
    first: HashSet<String>,
    last: String,
}

/// How far it is.
#[derive(Debug)]
enum Progress {
    /// No record was good yet.
    Fresh,
    /// All are good; a line that is no record may be what a crash has torn, if a crash is declared next.
    Following(Box<Cursor>, Option<Bad>),
    /// The first is not: whether the key or the record is wrong, others show, unless all before a known one are skipped.
    Doubtful(Box<Probe>, Bad),
    /// It was made with this key and is bad, unless it is skipped.
    Proven(Bad),
    /// The first bad record is known.
    Over,
}

/// A record that is not as it was made.
#[derive(Clone, Debug)]
struct Bad {
    line: u64,
    seq: Option<u64>,
    why: &'static str,
}

impl Verifier {
    /// With K0, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// `BadValue` for another text.
    pub fn new(key: &Secret) -> Result<Self, Error> {
        let k0 = k0(key)?;
        let root = |mode| Log::ALL.map(|log| (mode, log, Key::root(&*k0, mode, log)));
        Ok(Self {
            roots: Mode::ALL.into_iter().flat_map(root).collect(),
            expected: None,
            after: None,
            runs: Runs::default(),
            state: Progress::Fresh,
            part: Vec::new(),
            part_is_too_long: false,
            is_cut: false,
            report: Report::default(),
        })
    }

    /// A record, best a checkpoint, that is known to have been made: the log has to go as far as that at least.
    ///
    /// # Errors
    /// `InvalidArgument` for a text without a seal.
    pub fn expect(&mut self, record: &[u8]) -> Result<(), Error> {
        self.expected = Some(known(record)?);
        Ok(())
    }

    /// The log begins right after this record, a checkpoint that was verified before: older files are not at hand. What is
    /// fed may begin earlier: lines up to and with this record are then skipped, and the report says how many.
    ///
    /// # Errors
    /// `InvalidArgument` for a text without a seal; `BadState` when lines were fed already.
    pub fn begin_after(&mut self, record: &[u8]) -> Result<(), Error> {
        if self.report.lines > 0 {
            return Err(Error::new(Code::BadState, Stage::Call, "Lines were fed already."));
        }
        let known = known(record)?;
        self.runs.begin(&known.told);
        self.after = Some(known);
        Ok(())
    }

    /// The next bytes of the log.
    pub fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.part_is_too_long |= self.part.len() + line.len() > MAX_LINE;
            if !self.part_is_too_long {
                self.part.extend_from_slice(line);
            }
            if line.len() < piece.len() {
                self.end_line();
            }
        }
    }

    /// The log ends here.
    pub fn finish(mut self) -> Report {
        if !self.part.is_empty() || self.part_is_too_long {
            self.is_cut = true;
            self.end_line();
        }
        match std::mem::replace(&mut self.state, Progress::Over) {
            Progress::Following(_, Some(bad)) | Progress::Proven(bad) => self.tampered(&bad),
            Progress::Following(cursor, None) => self.conclude(&cursor),
            // Without a record there is nothing to say; but one that has to be there is missing.
            Progress::Fresh if self.is_one_missing() => self.report.verdict = Verdict::Truncated,
            Progress::Fresh | Progress::Doubtful(..) | Progress::Over => {}
        }
        self.report
    }

    fn is_one_missing(&self) -> bool {
        let is_start = |known: &Known| self.after.as_ref().is_some_and(|after| after.mac == known.mac);
        self.expected.as_ref().is_some_and(|known| !is_start(known))
    }

    fn conclude(&mut self, cursor: &Cursor) {
        self.report.verdict = match &self.expected {
            Some(known) if !self.is_met(known, cursor) && self.is_past(known, cursor) => {
                self.report.why = Some("the log goes on past the expected record without it");
                Verdict::Tampered
            }
            Some(known) if !self.is_met(known, cursor) => Verdict::Truncated,
            _ if self.report.torn_line.is_some() => Verdict::Truncated,
            _ if self.report.gap_count > 0 => Verdict::DeclaredGap,
            _ => Verdict::Intact,
        };
    }

    /// Whether a record was there, or is none behind the one that the log begins after.
    fn is_met(&self, known: &Known, cursor: &Cursor) -> bool {
        let is_before = self.after.as_ref().is_some_and(|after| {
            let is_in_order = cursor.mode == Mode::State || known.told.boot_id == after.told.boot_id;
            is_in_order && (known.epoch, known.told.seq) <= (after.epoch, after.told.seq)
        });
        known.is_met || is_before
    }

    /// Whether a record would have been there by now. Without a state epochs begin anew with every run: of a run that is not
    /// there nobody knows whether it should be before the end.
    fn is_past(&self, known: &Known, cursor: &Cursor) -> bool {
        if known.told.boot_id == self.report.last_boot_id {
            return (known.epoch, known.told.seq) <= (cursor.epoch, self.report.last_seq);
        }
        match cursor.mode {
            Mode::State => known.epoch <= cursor.epoch,
            Mode::Run => self.runs.has(&known.told),
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.part);
        self.report.lines += 1;
        if std::mem::take(&mut self.part_is_too_long) || !line.is_empty() {
            self.report.records += 1;
            self.record(&line);
        }
        self.part = line;
        self.part.clear();
    }

    fn record(&mut self, text: &[u8]) {
        if self.is_known_start(text) {
            return self.skip();
        }
        let (place, told) = (seal::find(text), Told::by(text));
        let state = std::mem::replace(&mut self.state, Progress::Over);
        self.state = match state {
            Progress::Fresh => self.first(text, place, &told),
            Progress::Following(cursor, torn) => self.next(cursor, torn, text, (place, &told)),
            Progress::Doubtful(probe, bad) => self.doubt(probe, bad, text, place),
            Progress::Proven(bad) => Progress::Proven(bad),
            Progress::Over => Progress::Over,
        };
        let is_good = self.report.verified > 0 && self.report.last_line == self.report.lines;
        if let (Some(place), Some(known)) = (place.filter(|_| is_good), &mut self.expected) {
            known.is_met |= mac_of(text, place) == Some(known.mac);
        }
    }

    /// Whether this is the record to begin after, and nothing behind it was looked at.
    fn is_known_start(&self, text: &[u8]) -> bool {
        self.may_skip() && self.after.as_ref().is_some_and(|after| after.text == text)
    }

    fn may_skip(&self) -> bool {
        let is_open = matches!(self.state, Progress::Fresh | Progress::Doubtful(..) | Progress::Proven(_));
        is_open && self.after.is_some() && self.report.skipped == 0
    }

    fn skip(&mut self) {
        self.state = Progress::Fresh;
        self.report.skipped = self.report.lines;
        self.report.why = Some("the log ends with the record that it should go on after");
    }

    fn first(&mut self, text: &[u8], place: Option<Place>, told: &Told) -> Progress {
        let starts =
            self.roots.iter().filter_map(|(mode, log, root)| Cursor::begin(*mode, *log, root, self.after.as_ref()));
        let mut starts: Vec<Cursor> = starts.collect();
        if let (Some(place), Some(mac)) = (place, place.and_then(|place| mac_of(text, place))) {
            for cursor in &mut starts {
                let step = cursor.step(text, place, &mac, told);
                if let Some(step) = step.filter(|step| !self.is_repeated(*step, told)) {
                    (self.report.sink, self.report.promise) = (cursor.log.name(), cursor.mode.promise());
                    let cursor = cursor.clone();
                    self.report.why = None;
                    self.good(told, &cursor, &step, None);
                    return Progress::Following(Box::new(cursor), None);
                }
            }
        }
        let why = match self.after {
            None => "it is no start of a chain that this key was used for",
            Some(_) if self.report.skipped > 0 => "it does not follow the record to begin after",
            Some(_) => "it does not follow the record to begin after, which is not here either",
        };
        let bad = self.bad(told, place, why);
        let mut probe = Box::new(Probe::new(&self.roots));
        probe.meets(text, place);
        self.report.verdict = Verdict::NotAChain;
        self.report.why = Some("no record was made with this key, or too few are left to tell");
        Progress::Doubtful(probe, bad)
    }

    fn next(
        &mut self,
        mut cursor: Box<Cursor>,
        torn: Option<Bad>,
        text: &[u8],
        (place, told): (Option<Place>, &Told),
    ) -> Progress {
        let mac = place.and_then(|place| Some((place, mac_of(text, place)?)));
        let step = mac.and_then(|(place, mac)| cursor.step(text, place, &mac, told));
        let is_repeated = step.is_some_and(|step| self.is_repeated(step, told));
        match (step.filter(|_| !is_repeated), torn) {
            (Some(step), None) => self.good(told, &cursor, &step, None),
            // What a crash has torn belongs to what it has declared.
            (Some(step), Some(torn)) if step.is_after_a_crash() => self.good(told, &cursor, &step, Some(&torn)),
            (_, Some(torn)) => return self.over(&torn),
            // Whatever wrote it was stopped, or is still writing.
            (None, None) if self.is_cut && is_torn(text, place, told) => {
                self.report.torn_line = Some(self.report.lines);
                self.report.why = Some("the log ends within a line");
            }
            (None, None) if place.is_none() => {
                let bad = self.bad(told, place, "it has no seal");
                return Progress::Following(cursor, Some(bad));
            }
            (None, None) if is_repeated => {
                let bad = self.bad(told, place, "it begins a run that was there before");
                return self.over(&bad);
            }
            (None, None) => {
                let bad = self.bad(told, place, "it was altered, or does not follow the record before it");
                return self.over(&bad);
            }
        }
        Progress::Following(cursor, None)
    }

    fn is_repeated(&self, step: Step, told: &Told) -> bool {
        matches!(step, Step::Unlinked { .. }) && self.runs.has(told)
    }

    fn doubt(&mut self, mut probe: Box<Probe>, bad: Bad, text: &[u8], place: Option<Place>) -> Progress {
        match probe.meets(text, place) {
            false => Progress::Doubtful(probe, bad),
            true if self.after.is_some() && self.report.skipped == 0 => Progress::Proven(bad),
            true => self.over(&bad),
        }
    }

    fn good(&mut self, told: &Told, cursor: &Cursor, step: &Step, torn: Option<&Bad>) {
        let line = self.report.lines;
        let after_seq = self.report.last_seq;
        let mut torn_line = torn.map(|torn| torn.line);
        for (kind, epochs) in step.gaps() {
            let torn_line = torn_line.take();
            self.gap(Gap { kind, line, after_seq, epochs, lost: None, torn_line });
        }
        if let Some(lost) = told.lost {
            let kind = GapKind::Lost;
            self.gap(Gap { kind, line, after_seq, epochs: None, lost: Some(lost), torn_line: None });
        }
        if cursor.mode == Mode::Run && *step != Step::Next {
            self.runs.begin(told);
        }
        if self.report.verified == 0 {
            self.report.first_boot_id.clone_from(&told.boot_id);
        }
        self.report.last_boot_id.clone_from(&told.boot_id);
        self.report.verified += 1;
        self.report.last_line = line;
        self.report.last_seq = told.seq;
        self.report.last = Some((cursor.epoch, cursor.last()));
    }

    fn gap(&mut self, gap: Gap) {
        self.report.gap_count += 1;
        if self.report.gaps.len() < MAX_GAPS {
            self.report.gaps.push(gap);
        }
    }

    fn bad(&self, told: &Told, place: Option<Place>, why: &'static str) -> Bad {
        let why = if place.is_none() { "it has no seal" } else { why };
        Bad { line: self.report.lines, seq: told.seq, why }
    }

    fn over(&mut self, bad: &Bad) -> Progress {
        self.tampered(bad);
        Progress::Over
    }

    fn tampered(&mut self, bad: &Bad) {
        self.report.verdict = Verdict::Tampered;
        (self.report.bad_line, self.report.bad_seq, self.report.why) = (Some(bad.line), bad.seq, Some(bad.why));
    }
}

impl Runs {
    fn has(&self, told: &Told) -> bool {
        let id = told.boot_id.as_deref().unwrap_or_default();
        self.last == id || self.first.contains(id)
    }

    fn begin(&mut self, told: &Told) {
        self.last = told.boot_id.clone().unwrap_or_default();
        if self.first.len() < MAX_RUNS {
            self.first.insert(self.last.clone());
        }
    }
}

/// K0, from 64 hexadecimal digits in either case.
pub(crate) fn k0(key: &Secret) -> Result<Zeroizing<Mac>, Error> {
    let digits = Zeroizing::new(key.expose().trim().to_ascii_lowercase());
    let wrong = || Error::new(Code::BadValue, Stage::Call, "The key of an audit chain has 64 hexadecimal digits.");
    seal::unhex(digits.as_bytes()).map(Zeroizing::new).ok_or_else(wrong)
}

fn known(record: &[u8]) -> Result<Known, Error> {
    let text = record.strip_suffix(b"\n").unwrap_or(record);
    let none = || Error::new(Code::InvalidArgument, Stage::Call, "The record has no seal.");
    let place = seal::find(text).ok_or_else(none)?;
    let mac = mac_of(text, place).ok_or_else(none)?;
    Ok(Known { epoch: place.epoch, mac, text: text.to_owned(), told: Told::by(text), is_met: false })
}

/// Whether a line without an end may be the beginning of a record: its seal is missing, or what is behind it, which JSON needs
/// to be JSON, and a syslog message may have.
fn is_torn(text: &[u8], place: Option<Place>, told: &Told) -> bool {
    place.is_none() || *told == Told::default() || text.starts_with(b"<")
}

/// The MAC that a text carries.
fn mac_of(text: &[u8], place: Place) -> Option<Mac> {
    seal::unhex(text.get(place.at..place.at + seal::DIGITS)?)
}
