//! Where in a chain a verifier is, and which records may come next.

use super::super::chain::{End, Key, Log, Mac, Mode, NOTHING};
use super::super::seal::Place;
use super::report::GapKind;
use super::told::Told;
use super::{mac_of, Known};

/// Epochs that are gone through for one record: 36 years of checkpoints every five minutes take 3.8 million.
const MAX_STEPS: u64 = 1 << 22;

/// After a record that is good.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub(super) mode: Mode,
    pub(super) log: Log,
    pub(super) epoch: u64,
    /// Of the epoch.
    key: Key,
    /// Of the epoch 0, where every run begins with it.
    root: Option<Key>,
    /// What the state held at the start of the epoch, unless that was never seen.
    start: Option<Mac>,
    last: Mac,
    tail: Tail,
}

/// What the last record was, which says what may follow. It is sealed: who has the key of a later epoch cannot make it
/// what it is not, and so cannot cut a log where its owner did not end an epoch or a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tail {
    /// There is none.
    Nothing,
    /// Its epoch goes on.
    Record,
    /// Its epoch may end.
    Checkpoint,
    /// Its run may end.
    Close,
}

/// How a record follows the one before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Right behind it.
    Next,
    /// It begins the run after one that was closed.
    Closed,
    /// It begins a run, and says that the one before was closed; but of these epochs there is no record, and the run before
    /// does not say that it has none.
    Skipped(u64, u64),
    /// It begins a run, after one that was not closed: of these epochs records may be missing.
    Crashed(u64, u64),
    /// It begins a run, and nobody knows what was before; the run before is shown to have ended, or is not.
    Unlinked { is_after_close: bool },
}

impl Step {
    /// Whether a line before it may be one that a crash has torn.
    pub(super) fn is_after_a_crash(self) -> bool {
        matches!(self, Self::Skipped(..) | Self::Crashed(..) | Self::Unlinked { .. })
    }

    /// What it declares, and the epochs that it is about.
    pub(super) fn gaps(self) -> impl Iterator<Item = (GapKind, Option<(u64, u64)>)> {
        let (first, second) = match self {
            Self::Next | Self::Closed => (None, None),
            Self::Skipped(from, to) => (Some((GapKind::Skipped, Some((from, to)))), None),
            Self::Crashed(from, to) => (Some((GapKind::Crashed, Some((from, to)))), None),
            Self::Unlinked { is_after_close: true } => (None, Some((GapKind::Unlinked, None))),
            // How many epochs it had nobody knows.
            Self::Unlinked { is_after_close: false } => {
                (Some((GapKind::Crashed, None)), Some((GapKind::Unlinked, None)))
            }
        };
        first.into_iter().chain(second)
    }
}

impl Tail {
    fn of(told: &Told) -> Self {
        match told {
            Told { is_close: true, .. } => Self::Close,
            Told { is_checkpoint: true, .. } => Self::Checkpoint,
            _ => Self::Record,
        }
    }

    /// Within a run. One that closes has one more checkpoint if the state could not be kept: it closes all the same.
    fn then(self, told: &Told) -> Self {
        match self {
            Self::Close if told.is_checkpoint => Self::Close,
            _ => Self::of(told),
        }
    }
}

impl Cursor {
    /// Before the first record.
    pub(super) fn begin(mode: Mode, log: Log, root: &Key, after: Option<&Known>) -> Option<Self> {
        let (epoch, start, last, tail) = match after {
            // It ended its epoch, if it is a checkpoint; how the epoch began does not matter then.
            Some(known) => (known.epoch, None, known.mac, Tail::of(&known.told)),
            None => (0, Some(NOTHING), NOTHING, Tail::Nothing),
        };
        let key = evolved(root, 0, epoch)?;
        let root = (mode == Mode::Run).then(|| root.clone());
        Some(Self { mode, log, epoch, key, root, start, last, tail })
    }

    pub(super) fn last(&self) -> Mac {
        self.last
    }

    /// Goes on to this record, if it may come next.
    pub(super) fn step(&mut self, text: &[u8], place: Place, mac: &Mac, told: &Told) -> Option<Step> {
        let follows = |key: &Key, prev: &Mac| key.mac(prev, text, place) == *mac;
        // No record is made in the epoch 0.
        if place.epoch == self.epoch && self.epoch > 0 && follows(&self.key, &self.last) {
            (self.last, self.tail) = (*mac, self.tail.then(told));
            return Some(Step::Next);
        }
        let (step, key, start) =
            self.in_a_later_epoch(place.epoch, told, follows).or_else(|| self.anew(place.epoch, follows))?;
        self.tail = if step == Step::Next { self.tail.then(told) } else { Tail::of(told) };
        (self.epoch, self.key, self.start, self.last) = (place.epoch, key, Some(start), *mac);
        Some(step)
    }

    /// How the first record of a later epoch follows, its key, and what the state held then.
    fn in_a_later_epoch(
        &self,
        epoch: u64,
        told: &Told,
        follows: impl Fn(&Key, &Mac) -> bool,
    ) -> Option<(Step, Key, Mac)> {
        let Self { epoch: from, last, start, tail, .. } = self;
        let is_marker = told.lost.is_some();
        if epoch <= *from || (self.mode == Mode::Run && epoch > from + 1 && !is_marker) {
            return None;
        }
        let key = evolved(&self.key, *from, epoch)?;
        let is_linked = |end, mac| follows(&key, &key.link(end, mac));
        // A sink that refused checkpoints has a marker in their place: it declares what is missing, as a crash does.
        let may_end = *tail != Tail::Record && epoch == from + 1;
        if (may_end || is_marker) && *from > 0 && follows(&key, last) {
            return Some((Step::Next, key, *last));
        }
        if *tail != Tail::Record && is_linked(End::Closed, last) {
            return self.closed(epoch).map(|step| (step, key, *last));
        }
        // The run went on, or could have: after a checkpoint with the next epoch, else within this one, if a sink refused its
        // last checkpoint.
        if epoch > from + 1 && is_linked(End::Crashed, last) {
            let first = if *tail == Tail::Record { *from } else { from + 1 };
            return Some((Step::Crashed(first, epoch - 1), key, *last));
        }
        let start = start.as_ref().filter(|_| *from > 0)?;
        is_linked(End::Crashed, start).then(|| (Step::Crashed(*from, epoch - 1), key, *start))
    }

    /// What a link to a closed run is worth. The run begins with the epoch after the one that its close began; whoever has
    /// that key, and no key before it, can forge the link, but not the close that it is about.
    fn closed(&self, epoch: u64) -> Option<Step> {
        let (first, is_closed) = match self.tail {
            Tail::Nothing => (self.epoch + 1, true),
            Tail::Close => (self.epoch + 2, true),
            Tail::Checkpoint | Tail::Record => (self.epoch + 1, false),
        };
        match epoch {
            _ if epoch == first && is_closed => Some(Step::Closed),
            _ if epoch > first => Some(Step::Skipped(first, epoch - 1)),
            _ => None,
        }
    }

    /// Every run begins anew where there is no state.
    fn anew(&self, epoch: u64, follows: impl Fn(&Key, &Mac) -> bool) -> Option<(Step, Key, Mac)> {
        let key = self.root.as_ref().filter(|_| epoch == 1)?.next();
        let is_after_close = self.tail == Tail::Close;
        follows(&key, &key.link(End::Closed, &NOTHING)).then_some((Step::Unlinked { is_after_close }, key, NOTHING))
    }
}

/// Finds out whether a log was made with this key although its first record is bad.
#[derive(Debug)]
pub(super) struct Probe {
    /// Each chain that could have been made with it.
    keys: Vec<Tried>,
    /// Epoch and MAC of the record before, as it says.
    before: Option<(u64, Mac)>,
    /// Epochs that may still be gone through, of all chains and for the whole log: nothing it says was proven.
    left: u64,
}

/// A chain's key, as far as it was evolved.
#[derive(Debug)]
struct Tried {
    root: Key,
    epoch: u64,
    key: Key,
}

impl Tried {
    /// Epochs to go through up to this one.
    fn steps(&self, epoch: u64) -> u64 {
        epoch.checked_sub(self.epoch).unwrap_or(epoch)
    }

    fn at(&mut self, epoch: u64) -> Option<&Key> {
        let (key, from) = if epoch < self.epoch { (&self.root, 0) } else { (&self.key, self.epoch) };
        (self.key, self.epoch) = (evolved(key, from, epoch)?, epoch);
        Some(&self.key)
    }
}

impl Probe {
    pub(super) fn new(roots: &[(Mode, Log, Key)]) -> Self {
        let tried = |root: &Key| Tried { root: root.clone(), epoch: 0, key: root.clone() };
        Self { keys: roots.iter().map(|(_, _, root)| tried(root)).collect(), before: None, left: MAX_STEPS }
    }

    /// Whether this record follows what the one before it says of itself.
    pub(super) fn meets(&mut self, text: &[u8], place: Option<Place>) -> bool {
        let Some((place, mac)) = place.and_then(|place| Some((place, mac_of(text, place)?))) else {
            self.before = None;
            return false;
        };
        let before = self.before.replace((place.epoch, mac));
        let Some((epoch, prev)) = before else { return false };
        if place.epoch < epoch || place.epoch > epoch.saturating_add(1) {
            return false;
        }
        let steps = self.keys.iter().fold(0_u64, |sum, tried| sum.saturating_add(tried.steps(place.epoch)));
        let Some(left) = self.left.checked_sub(steps) else { return false };
        self.left = left;
        self.keys.iter_mut().any(|tried| tried.at(place.epoch).is_some_and(|key| key.mac(&prev, text, place) == mac))
    }
}

/// The key of a later epoch, if that is not too far away.
fn evolved(key: &Key, from: u64, to: u64) -> Option<Key> {
    let steps = to.checked_sub(from).filter(|steps| *steps <= MAX_STEPS)?;
    Some((0..steps).fold(key.clone(), |key, _| key.next()))
}

#[cfg(test)]
mod tests {
    use super::super::super::seal::{self, ZEROS};
    use super::*;

    fn line(epoch: u64, seq: u64) -> String {
        format!("{{\"seq\":{seq},\"mac_epoch\":{epoch},\"mac\":\"{ZEROS}\"}}")
    }

    fn meets(probe: &mut Probe, line: &str) -> bool {
        probe.meets(line.as_bytes(), seal::find(line.as_bytes()))
    }

    #[test]
    fn a_log_cannot_ask_for_more_work_than_its_honest_life_takes() {
        let roots = Mode::ALL.map(|mode| (mode, Log::Audit, Key::root(b"k0", mode, Log::Audit)));
        let mut probe = Probe::new(&roots);
        probe.left = 100_000;
        for pair in 1..2_000 {
            for seq in 0..2 {
                assert!(!meets(&mut probe, &line(pair * MAX_STEPS, seq)));
                assert!(!meets(&mut probe, &line(u64::MAX - pair, seq)));
            }
        }
        assert_eq!(probe.left, 100_000, "what is too far away is not begun with");
        for pair in 0..96 {
            for seq in 0..2 {
                meets(&mut probe, &line(if pair % 2 == 0 { 1_000 } else { 1 }, seq));
            }
        }
        assert!(probe.left < 10_000, "{}", probe.left);
        // What is left is enough for a pair that was made with the key.
        let (_, _, root) = &roots[0];
        let key = evolved(root, 0, 7).unwrap();
        let mut log = [line(7, 1), line(7, 2)];
        let mut prev = NOTHING;
        for text in &mut log {
            let place = seal::find(text.as_bytes()).unwrap();
            prev = key.mac(&prev, text.as_bytes(), place);
            seal::fill(text, place, &prev);
        }
        assert!(!meets(&mut probe, &log[0]));
        assert!(meets(&mut probe, &log[1]));
    }
}
