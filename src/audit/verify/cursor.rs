//! Where in a chain a verifier is, and which records may come next.

use super::super::chain::{End, Key, Log, Mac, Mode, NOTHING};
use super::super::seal::Place;
use super::report::GapKind;
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
}

/// How a record follows the one before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Right behind it.
    Next,
    /// It begins a run, after one that was closed.
    Closed,
    /// It begins a run, after one that was not: of these epochs records may be missing.
    Crashed(u64, u64),
    /// It begins a run, and nobody knows what was before.
    Unlinked,
}

impl Step {
    pub(super) fn is_a_new_run(self) -> bool {
        self != Self::Next
    }

    /// What it declares, and the epochs that it is about.
    pub(super) fn gap(self) -> Option<(GapKind, (u64, u64))> {
        match self {
            Self::Next | Self::Closed => None,
            Self::Crashed(from, to) => Some((GapKind::Crashed, (from, to))),
            Self::Unlinked => Some((GapKind::Unlinked, (0, 0))),
        }
    }
}

impl Cursor {
    /// Before the first record.
    pub(super) fn begin(mode: Mode, log: Log, root: &Key, after: Option<Known>) -> Option<Self> {
        let (epoch, start, last) = match after {
            // It ended its epoch, if it is a checkpoint; how the epoch began does not matter then.
            Some(known) => (known.epoch, None, known.mac),
            None => (0, Some(NOTHING), NOTHING),
        };
        let key = evolved(root, 0, epoch)?;
        let root = (mode == Mode::Run).then(|| root.clone());
        Some(Self { mode, log, epoch, key, root, start, last })
    }

    pub(super) fn last(&self) -> Mac {
        self.last
    }

    /// Goes on to this record, if it may come next.
    pub(super) fn step(&mut self, text: &[u8], place: Place, mac: &Mac) -> Option<Step> {
        let follows = |key: &Key, prev: &Mac| key.mac(prev, text, place) == *mac;
        // No record is made in the epoch 0.
        if place.epoch == self.epoch && self.epoch > 0 && follows(&self.key, &self.last) {
            self.last = *mac;
            return Some(Step::Next);
        }
        if place.epoch > self.epoch {
            if let Some(key) = evolved(&self.key, self.epoch, place.epoch) {
                if let Some((step, start)) = self.begins(&key, place.epoch, follows) {
                    (self.epoch, self.key, self.start, self.last) = (place.epoch, key, Some(start), *mac);
                    return Some(step);
                }
            }
        }
        // Every run begins anew where there is no state.
        let key = self.root.as_ref().filter(|_| place.epoch == 1)?.next();
        if !follows(&key, &key.link(End::Closed, &NOTHING)) {
            return None;
        }
        (self.epoch, self.key, self.start, self.last) = (1, key, Some(NOTHING), *mac);
        Some(Step::Unlinked)
    }

    /// How the first record of a later epoch follows, and what the state held then.
    fn begins(&self, key: &Key, epoch: u64, follows: impl Fn(&Key, &Mac) -> bool) -> Option<(Step, Mac)> {
        let Self { epoch: from, last, start, .. } = self;
        if epoch == from + 1 && *from > 0 && follows(key, last) {
            return Some((Step::Next, *last));
        }
        if follows(key, &key.link(End::Closed, last)) {
            return Some((Step::Closed, *last));
        }
        // The checkpoint is here, and the run went on, or could have.
        if epoch > from + 1 && follows(key, &key.link(End::Crashed, last)) {
            return Some((Step::Crashed(from + 1, epoch - 1), *last));
        }
        let start = start.as_ref().filter(|_| *from > 0)?;
        follows(key, &key.link(End::Crashed, start)).then_some((Step::Crashed(*from, epoch - 1), *start))
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
