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
            (self.last, self.tail) = (*mac, Tail::of(told));
            return Some(Step::Next);
        }
        let (step, key, start) =
            self.in_a_later_epoch(place.epoch, follows).or_else(|| self.anew(place.epoch, follows))?;
        (self.epoch, self.key, self.start, self.last, self.tail) =
            (place.epoch, key, Some(start), *mac, Tail::of(told));
        Some(step)
    }

    /// How the first record of a later epoch follows, its key, and what the state held then.
    fn in_a_later_epoch(&self, epoch: u64, follows: impl Fn(&Key, &Mac) -> bool) -> Option<(Step, Key, Mac)> {
        let Self { epoch: from, last, start, tail, .. } = self;
        if epoch <= *from || (self.mode == Mode::Run && epoch > from + 1) {
            return None;
        }
        let key = evolved(&self.key, *from, epoch)?;
        let is_linked = |end, mac| follows(&key, &key.link(end, mac));
        if *tail != Tail::Record {
            if epoch == from + 1 && *from > 0 && follows(&key, last) {
                return Some((Step::Next, key, *last));
            }
            if is_linked(End::Closed, last) {
                return self.closed(epoch).map(|step| (step, key, *last));
            }
            // The checkpoint is here, and the run went on, or could have.
            if epoch > from + 1 && is_linked(End::Crashed, last) {
                return Some((Step::Crashed(from + 1, epoch - 1), key, *last));
            }
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
        follows(&key, &key.link(End::Closed, &NOTHING)).then(|| (Step::Unlinked { is_after_close }, key, NOTHING))
    }
}

/// Finds out whether a log was made with this key although its first record is bad.
#[derive(Debug)]
pub(super) struct Probe {
    /// Each chain that could have been made with it, and the epoch of its key.
    keys: Vec<(u64, Key)>,
    /// Epoch and MAC of the record before, as it says.
    before: Option<(u64, Mac)>,
}

impl Probe {
    pub(super) fn new(roots: &[(Mode, Log, Key)]) -> Self {
        Self { keys: roots.iter().map(|(_, _, root)| (0, root.clone())).collect(), before: None }
    }

    /// Whether this record follows what the one before it says of itself. Epochs are gone through forward only.
    pub(super) fn meets(&mut self, text: &[u8], place: Option<Place>) -> bool {
        let Some((place, mac)) = place.and_then(|place| Some((place, mac_of(text, place)?))) else {
            self.before = None;
            return false;
        };
        let before = self.before.replace((place.epoch, mac));
        let Some((epoch, prev)) = before else { return false };
        if place.epoch < epoch || place.epoch > epoch + 1 {
            return false;
        }
        self.keys.iter_mut().any(|(at, key)| {
            let Some(next) = evolved(key, *at, place.epoch) else { return false };
            (*at, *key) = (place.epoch, next);
            key.mac(&prev, text, place) == mac
        })
    }
}

/// The key of a later epoch, if that is not too far away.
fn evolved(key: &Key, from: u64, to: u64) -> Option<Key> {
    let steps = to.checked_sub(from).filter(|steps| *steps <= MAX_STEPS)?;
    Some((0..steps).fold(key.clone(), |key, _| key.next()))
}
