//! The chain of MACs over the records of a sink, with keys that are evolved and forgotten (forward security).
//!
//! With `HMAC` for HMAC-SHA256 (RFC 2104), `||` for one after the other, and every label in ASCII:
//!
//! ```text
//! K[0]    = HMAC(K0, "gwa audit chain 1: " || mode || " " || sink)     mode: state, run; sink: audit, siem
//! K[e+1]  = HMAC(K[e], "gwa audit chain 1: evolve")
//! mac     = HMAC(K[e], prev || text)          text: the record as delivered, its 64 digits zeros
//! prev    = the mac of the record before      and for the first record of a run, M being the mac that the state holds:
//!           HMAC(K[e], "gwa audit chain 1: closed" || M)     the run before was closed, and M is of its last record
//!           HMAC(K[e], "gwa audit chain 1: crashed" || M)    it was not: records after M may be missing
//! ```
//!
//! The first run begins after epoch 0 with a M of zeros, closed. Each run begins a new epoch; each checkpoint ends one.
//! Nothing of a key can be had from its successor. Labels do not meet texts: a `prev` is a MAC.

use ring::hmac;
use zeroize::Zeroizing;

use super::seal::{self, Place, Seal, DIGITS, ZEROS};

/// A MAC, as bytes.
pub(crate) type Mac = [u8; 32];

/// What the first record of the first run follows.
pub(crate) const NOTHING: Mac = [0; 32];

/// Whether the key outlives the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// The evolved key is kept in a file, and K0 is elsewhere.
    State,
    /// Each run begins with K0 anew, and is a chain of its own.
    Run,
}

/// Which of the two logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Log {
    /// What `on_audit` is given.
    Audit,
    /// What `on_siem` is given.
    Siem,
}

/// How a run ended, as the next one knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// After its last checkpoint no record was made.
    Closed,
    /// Nobody can tell what was made after the checkpoint.
    Crashed,
}

impl Mode {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::State, Self::Run];

    /// What such a chain may be called.
    pub(crate) fn promise(self) -> &'static str {
        match self {
            Self::State => "forward-secure",
            Self::Run => "tamper-evident, not forward-secure",
        }
    }

    fn label(self) -> &'static [u8] {
        match self {
            Self::State => b"gwa audit chain 1: state ",
            Self::Run => b"gwa audit chain 1: run ",
        }
    }
}

impl Log {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Audit, Self::Siem];

    /// In a label and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Siem => "siem",
        }
    }
}

/// The key of one epoch.
#[derive(Clone)]
pub(crate) struct Key {
    bytes: Zeroizing<Mac>,
    expanded: hmac::Key,
}

impl Key {
    /// Of the epoch 0, from K0.
    pub(crate) fn root(k0: &[u8], mode: Mode, log: Log) -> Self {
        let given = hmac::Key::new(hmac::HMAC_SHA256, k0);
        Self::of(&given, &[mode.label(), log.name().as_bytes()])
    }

    /// One that was kept.
    pub(crate) fn kept(bytes: Zeroizing<Mac>) -> Self {
        Self { expanded: hmac::Key::new(hmac::HMAC_SHA256, &*bytes), bytes }
    }

    /// Of the next epoch.
    pub(crate) fn next(&self) -> Self {
        Self::of(&self.expanded, &[b"gwa audit chain 1: evolve"])
    }

    /// What is kept.
    pub(crate) fn bytes(&self) -> &Mac {
        &self.bytes
    }

    /// The MAC of a text whose seal is at this place.
    pub(crate) fn mac(&self, prev: &Mac, text: &[u8], place: Place) -> Mac {
        let (head, rest) = text.split_at_checked(place.at).unwrap_or((text, b""));
        let tail = rest.get(DIGITS..).unwrap_or_default();
        sign(&self.expanded, &[prev, head, ZEROS.as_bytes(), tail])
    }

    /// What the first record of a run follows.
    pub(crate) fn link(&self, end: End, mac: &Mac) -> Mac {
        let label: &[u8] = match end {
            End::Closed => b"gwa audit chain 1: closed",
            End::Crashed => b"gwa audit chain 1: crashed",
        };
        sign(&self.expanded, &[label, mac])
    }

    fn of(key: &hmac::Key, parts: &[&[u8]]) -> Self {
        Self::kept(Zeroizing::new(sign(key, parts)))
    }
}

impl Drop for Key {
    /// The bytes wipe themselves; the form that ring works with cannot be wiped, only overwritten.
    fn drop(&mut self) {
        self.expanded = hmac::Key::new(hmac::HMAC_SHA256, &NOTHING);
        std::hint::black_box(&self.expanded);
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

fn sign(key: &hmac::Key, parts: &[&[u8]]) -> Mac {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    let mut out = NOTHING;
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    out
}

/// The chains of a client's two logs, which share their epochs.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) mode: Mode,
    pub(crate) epoch: u64,
    /// No record was made in this epoch, and none will be.
    pub(crate) is_closed: bool,
    pub(crate) audit: Link,
    pub(crate) siem: Link,
}

/// One log's.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) key: Key,
    /// Of the last record.
    pub(crate) mac: Mac,
    at: At,
    /// The same before the last record, which may be taken back.
    before: Option<(Mac, At)>,
}

/// Where a log is in its run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// Before the first record, after a run that ended so.
    Start { before: End, is_refused: bool },
    /// After the record with the MAC of the link.
    Within,
}

impl Link {
    /// A link with this key, after a record with this MAC.
    pub(crate) fn new(key: Key, mac: Mac) -> Self {
        Self { key, mac, at: At::Within, before: None }
    }

    /// What the next record follows.
    fn prev(&self) -> Mac {
        match self.at {
            At::Start { before, .. } => self.key.link(before, &self.mac),
            At::Within => self.mac,
        }
    }

    fn evolved(&self) -> Self {
        Self { at: self.at, ..Self::new(self.key.next(), self.mac) }
    }

    fn resumed(&self, before: End) -> Self {
        Self { at: At::Start { before, is_refused: false }, ..self.evolved() }
    }

    fn advance(&mut self, mac: Mac) {
        self.before = Some((self.mac, self.at));
        (self.mac, self.at) = (mac, At::Within);
    }

    fn take_back(&mut self) {
        let Some((mac, mut at)) = self.before.take() else { return };
        if let At::Start { is_refused, .. } = &mut at {
            *is_refused = true;
        }
        (self.mac, self.at) = (mac, at);
    }
}

impl Chain {
    /// One that no record was made with.
    pub(crate) fn new(mode: Mode, k0: &[u8]) -> Self {
        let link = |log| Link::new(Key::root(k0, mode, log), NOTHING);
        Self { mode, epoch: 0, is_closed: true, audit: link(Log::Audit), siem: link(Log::Siem) }
    }

    /// As it is in the next epoch of the same run.
    pub(crate) fn turned(&self) -> Self {
        Self {
            mode: self.mode,
            epoch: self.epoch.saturating_add(1),
            is_closed: false,
            audit: self.audit.evolved(),
            siem: self.siem.evolved(),
        }
    }

    /// As it is at the start of another run.
    pub(crate) fn resumed(&self) -> Self {
        let end = if self.is_closed { End::Closed } else { End::Crashed };
        let (audit, siem) = (self.audit.resumed(end), self.siem.resumed(end));
        Self { audit, siem, ..self.turned() }
    }

    /// What a renderer has to write.
    pub(crate) fn seal(&self) -> Seal {
        Seal { epoch: self.epoch }
    }

    /// Fills in the seal of a text; whether there was one.
    pub(crate) fn fill(&mut self, log: Log, text: &mut String) -> bool {
        let Some(place) = seal::find(text.as_bytes()) else { return false };
        let link = self.link(log);
        link.advance(link.key.mac(&link.prev(), text.as_bytes(), place));
        seal::fill(text, place, &link.mac);
        true
    }

    /// The sink has refused the text that was filled in last: the next one follows what was before it.
    pub(crate) fn take_back(&mut self, log: Log) {
        self.link(log).take_back();
    }

    /// Whether the next epoch may begin. Where every run begins with K0 its first record is of the first epoch, or nobody
    /// would know it: a sink that has refused it is waited for.
    pub(crate) fn may_turn(&self) -> bool {
        let waits = |link: &Link| matches!(link.at, At::Start { is_refused: true, .. });
        self.mode == Mode::State || !(waits(&self.audit) || waits(&self.siem))
    }

    fn link(&mut self, log: Log) -> &mut Link {
        match log {
            Log::Audit => &mut self.audit,
            Log::Siem => &mut self.siem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_mode_log_and_epoch_and_repeat_with_k0() {
        let mut seen = Vec::new();
        for mode in Mode::ALL {
            for log in Log::ALL {
                let root = Key::root(b"k0", mode, log);
                assert_eq!(root.bytes(), Key::root(b"k0", mode, log).bytes());
                seen.extend([*root.bytes(), *root.next().bytes(), *Key::root(b"k1", mode, log).bytes()]);
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
        assert!(!format!("{:?}", Key::root(b"k0", Mode::Run, Log::Audit)).contains(char::is_alphanumeric));
    }

    #[test]
    fn a_mac_is_over_what_was_before_and_every_other_byte() {
        let mut chain = Chain::new(Mode::Run, b"k0").resumed();
        let blank = format!("{{\"a\":1,\"mac_epoch\":{},\"mac\":\"{ZEROS}\"}}", chain.epoch);
        let sealed = |chain: &mut Chain, log| {
            let mut text = blank.clone();
            assert!(chain.fill(log, &mut text));
            text
        };
        let (first, second) = (sealed(&mut chain, Log::Audit), sealed(&mut chain, Log::Audit));
        assert_ne!(first, second);
        assert_ne!(first, sealed(&mut chain, Log::Siem), "two logs have two keys");
        assert!(!chain.fill(Log::Audit, &mut "no seal".to_owned()));
        let link = &chain.audit;
        let place = seal::find(second.as_bytes()).unwrap();
        let before = seal::unhex(&first.as_bytes()[place.at..place.at + DIGITS]).unwrap();
        assert_eq!(link.key.mac(&before, second.as_bytes(), place), link.mac);
        for at in (0..second.len()).filter(|at| !(place.at..place.at + DIGITS).contains(at)) {
            let mut edited = second.clone().into_bytes();
            edited[at] ^= 1;
            assert_ne!(link.key.mac(&before, &edited, place), link.mac, "byte {at}");
        }
    }
}
