//! What a verifier has found, and how it is told.

use super::super::chain::Mac;
use super::super::seal;
use super::super::writer::Object;

/// The result in one word.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verdict {
    /// Every record is as it was made, and none is missing.
    Intact,
    /// So it is, but the log itself says that records are missing, and where.
    DeclaredGap,
    /// The log ends before the record that was expected, or within a record.
    Truncated,
    /// A record is not as it was made, or not where it was.
    Tampered,
    /// Nothing here was made with this key.
    #[default]
    NotAChain,
}

impl Verdict {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::DeclaredGap => "declared_gap",
            Self::Truncated => "truncated",
            Self::Tampered => "tampered",
            Self::NotAChain => "not_a_chain",
        }
    }
}

/// Why records are missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GapKind {
    /// The queue was full.
    Lost,
    /// A run ended without being closed: what it made after its last proven checkpoint, or without a state file after its
    /// last record, may be missing.
    Crashed,
    /// A run was closed, or says so, and begins more epochs later than that takes: starts without a record, or records that
    /// are not there any more.
    Skipped,
    /// A run without a state file begins: what was before it, and whether, nobody knows.
    Unlinked,
}

impl GapKind {
    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Crashed => "crashed",
            Self::Skipped => "skipped",
            Self::Unlinked => "unlinked",
        }
    }
}

/// Records that are missing, as the log itself says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gap {
    /// Why.
    pub kind: GapKind,
    /// The line that says so.
    pub line: u64,
    /// `seq` of the record before that line.
    pub after_seq: Option<u64>,
    /// The epochs of which records may be missing, for `Crashed` and `Skipped`; with a state file they are known.
    pub epochs: Option<(u64, u64)>,
    /// The first and last number lost, for `Lost`.
    pub lost: Option<(u64, u64)>,
    /// A line before it that is no record, as a crash leaves it.
    pub torn_line: Option<u64>,
}

/// What was found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// Lines read.
    pub lines: u64,
    /// Of these, those up to the record that the log begins after: they were not verified.
    pub skipped: u64,
    /// Of all, those that are not empty.
    pub records: u64,
    /// Of these, good ones.
    pub verified: u64,
    /// Which sink's log it is, once known.
    pub sink: &'static str,
    /// `forward-secure`, or what it is without a state file.
    pub promise: &'static str,
    /// The first record that is not as it should be, counted from 1 over all lines.
    pub bad_line: Option<u64>,
    /// Its number, as it says.
    pub bad_seq: Option<u64>,
    /// What is wrong with it.
    pub why: Option<&'static str>,
    /// The last line, if it is the beginning of a record.
    pub torn_line: Option<u64>,
    /// Declared gaps, the first thousand.
    pub gaps: Vec<Gap>,
    /// All of them.
    pub gap_count: u64,
    /// The run of the first good record: who keeps reports can tell that a log begins where the one before ended.
    pub first_boot_id: Option<String>,
    /// The run of the last good record.
    pub last_boot_id: Option<String>,
    /// The last good line.
    pub last_line: u64,
    /// Its number.
    pub last_seq: Option<u64>,
    /// Its epoch and MAC: what a later log has to go on from.
    pub last: Option<(u64, Mac)>,
}

impl Report {
    /// As one JSON object.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        let mut object = Object::begin(&mut out);
        object.text("result", self.verdict.name()).plain("lines", self.lines).plain("records", self.records);
        if self.skipped > 0 {
            object.plain("skipped", self.skipped);
        }
        object.plain("verified", self.verified).text("sink", self.sink).text("chain", self.promise);
        if let Some(line) = self.bad_line {
            object.object("bad", |bad| {
                bad.plain("line", line);
                number(bad, "seq", self.bad_seq);
            });
        }
        if let Some(why) = self.why {
            object.text("why", why);
        }
        if let Some(boot_id) = &self.first_boot_id {
            object.object("first", |first| _ = first.text("boot_id", boot_id));
        }
        object.object("last", |last| {
            last.plain("line", self.last_line);
            number(last, "seq", self.last_seq);
            if let Some(boot_id) = &self.last_boot_id {
                last.text("boot_id", boot_id);
            }
            if let Some((epoch, mac)) = &self.last {
                last.plain("epoch", epoch).text("mac", &seal::hex(mac));
            }
        });
        number(&mut object, "torn_line", self.torn_line);
        object.plain("gap_count", self.gap_count);
        object.objects("gaps", &self.gaps, Gap::write);
        object.end();
        out
    }
}

impl Gap {
    fn write(&self, object: &mut Object<'_>) {
        object.text("kind", self.kind.name()).plain("line", self.line);
        number(object, "after_seq", self.after_seq);
        if let Some((first, last)) = self.lost {
            object.plain("first_lost", first).plain("last_lost", last);
        }
        if let Some((first, last)) = self.epochs {
            object.plain("first_epoch", first).plain("last_epoch", last);
        }
        number(object, "torn_line", self.torn_line);
    }
}

fn number(object: &mut Object<'_>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        object.plain(name, value);
    }
}
