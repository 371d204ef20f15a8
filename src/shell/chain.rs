//! Seals the audit records of a client, and keeps what the next run goes on with.
//!
//! *What is kept* is never older than the log by more than an epoch: the key of an epoch is on disk, synced, before the
//! first record of that epoch is handed out, and the key before it is not there any more. A run begins a new epoch
//! whatever was kept, so that no key ever seals two versions of a record. That nothing came after the last checkpoint, and
//! the sinks have everything, is written when the client goes: who is killed leaves it out.
//!
//! *What was kept before* is overwritten with zeros where it lay, when what follows is in its place.
//!
//! *When it cannot be kept* the records go on in the epoch that is, and every checkpoint tries again: a recorder that
//! stops is worse than a key that lives too long.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::private_file::{Lock, PrivateFile};
use super::random::Entropy;
use crate::audit::chain::{Chain, Key, Link, Log, Mac, Mode};
use crate::audit::seal::{hex, unhex, Seal};
use crate::audit::verify::k0;
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::secret::Secret;
use crate::sys::process;

/// The layout of the file.
const VERSION: u64 = 1;

/// The chain of a client.
#[derive(Debug)]
pub struct Sealer {
    chain: Chain,
    kept: Option<Kept>,
    /// How the run before ended.
    before: &'static str,
    /// Records were sealed in this epoch.
    is_used: bool,
    /// Its checkpoint was: the next record belongs to the next one.
    is_over: bool,
    /// Records were made that not every sink was given: whatever is written at the end, this run was not closed.
    is_short: bool,
    /// A child of `fork` keeps nothing.
    process: u32,
}

/// Where it is kept. Nobody else has it meanwhile.
#[derive(Debug)]
struct Kept {
    file: PrivateFile,
    _lock: Lock,
}

impl Sealer {
    /// The chain that the settings ask for, at the start of a run.
    ///
    /// # Errors
    /// `Store` when the file cannot be used, or another client has it; `MissingKey` when there is none yet, and no K0;
    /// `BadValue` when there is one, and K0 is here all the same.
    pub fn open(settings: &mut Settings) -> Result<Option<Self>, Error> {
        // It goes no further.
        let key = settings.chain.key.take();
        if !settings.chain.state.is_empty() {
            return Self::resume(&settings.chain.state, key.as_ref()).map(Some);
        }
        let Some(key) = key else { return Ok(None) };
        let fresh = Chain::new(Mode::Run, &*k0(&key)?);
        Ok(Some(Self::new(&fresh, "unknown", None)))
    }

    fn resume(path: &str, key: Option<&Secret>) -> Result<Self, Error> {
        let file = PrivateFile::new(path, "chain state");
        let Some(lock) = file.lock()? else { return Err(file.refused("is used by another client")) };
        let (last, before) = match (file.read()?, key) {
            (Some(_), Some(_)) => return Err(forbidden(&file)),
            (Some(text), None) => {
                let chain = parse(&text).map_err(|why| file.refused(why))?;
                let before = if chain.is_closed { "closed" } else { "crashed" };
                (chain, before)
            }
            (None, Some(key)) => (Chain::new(Mode::State, &*k0(key)?), "none"),
            (None, None) => return Err(missing(&file)),
        };
        let sealer = Self::new(&last, before, Some(Kept { file, _lock: lock }));
        sealer.keep(&sealer.chain)?;
        Ok(sealer)
    }

    fn new(last: &Chain, before: &'static str, kept: Option<Kept>) -> Self {
        Self {
            chain: last.resumed(),
            kept,
            before,
            is_used: false,
            is_over: false,
            is_short: false,
            process: process(),
        }
    }

    /// What the chain may be called.
    pub fn promise(&self) -> &'static str {
        self.chain.mode.promise()
    }

    /// How the run before ended: `closed`, `crashed`, `none`, or `unknown` without a file.
    pub fn before(&self) -> &'static str {
        self.before
    }

    /// What the renderer of the next record has to write.
    pub fn seal(&self) -> Seal {
        self.chain.seal()
    }

    /// Fills in the seal of a record.
    pub fn fill(&mut self, log: Log, text: &mut String) {
        self.is_used |= self.chain.fill(log, text);
    }

    /// The sink has refused the record that was filled in last: the next one follows the one before it.
    pub fn take_back(&mut self, log: Log) {
        self.chain.take_back(log);
    }

    /// The checkpoint of the epoch has been through all sinks.
    pub fn end_epoch(&mut self) {
        self.is_over = self.is_used && self.chain.may_turn();
    }

    /// The run ends, and records are left that a sink was not given.
    pub fn leave_open(&mut self) {
        self.is_short = true;
    }

    /// Begins the next epoch if this one is over, else `None`. After an error it goes on, to the next checkpoint.
    pub fn turn(&mut self) -> Option<Result<(), Error>> {
        if !std::mem::take(&mut self.is_over) {
            return None;
        }
        let next = self.chain.turned();
        let outcome = self.keep(&next);
        if outcome.is_ok() || self.is_kept(next.epoch) {
            self.chain = next;
            self.is_used = false;
        }
        Some(outcome)
    }

    fn keep(&self, chain: &Chain) -> Result<(), Error> {
        let Some(kept) = &self.kept else { return Ok(()) };
        kept.file.replace_and_wipe(&text(chain), &Entropy::new().uuid_v4())
    }

    /// Whether the file has this epoch in spite of an error: what could not be synced may be there.
    fn is_kept(&self, epoch: u64) -> bool {
        let text = self.kept.as_ref().and_then(|kept| kept.file.read().ok().flatten());
        text.and_then(|text| parse(&text).ok()).is_some_and(|chain| chain.epoch == epoch)
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        // Whatever is left open, the key of an epoch that is over goes.
        let is_kept = |kept: Option<Result<(), Error>>| kept.is_none_or(|kept| kept.is_ok());
        if self.process != process() || !is_kept(self.turn()) || self.is_used || self.is_short {
            return;
        }
        self.chain.is_closed = true;
        // Nobody is left to be told. The next run says that this one was not closed.
        let _ = self.keep(&self.chain);
    }
}

fn text(chain: &Chain) -> Zeroizing<Vec<u8>> {
    // Room for all of it: growing would leave an unwiped copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(1_024));
    let Chain { epoch, is_closed, .. } = chain;
    text.extend_from_slice(format!("{{\"version\":{VERSION},\"epoch\":{epoch},\"closed\":{is_closed}").as_bytes());
    for (log, link) in [(Log::Audit, &chain.audit), (Log::Siem, &chain.siem)] {
        let key = Zeroizing::new(hex(link.key.bytes()));
        text.extend_from_slice(format!(",\"{}\":{{\"mac\":\"{}\",\"key\":\"", log.name(), hex(&link.mac)).as_bytes());
        text.extend_from_slice(key.as_bytes());
        text.extend_from_slice(b"\"}");
    }
    text.extend_from_slice(b"}\n");
    text
}

fn parse(text: &[u8]) -> Result<Chain, &'static str> {
    let broken = "is no chain state, or not a whole one";
    let Ok(Value::Object(mut content)) = serde_json::from_slice(text) else { return Err(broken) };
    let links = (link(&mut content, Log::Audit), link(&mut content, Log::Siem));
    if content.get("version").and_then(Value::as_u64) != Some(VERSION) {
        return Err("has a layout of another version");
    }
    let epoch = content.get("epoch").and_then(Value::as_u64).ok_or(broken)?;
    let is_closed = content.get("closed").and_then(Value::as_bool).ok_or(broken)?;
    let (Some(audit), Some(siem)) = links else { return Err(broken) };
    Ok(Chain { mode: Mode::State, epoch, is_closed, audit, siem })
}

fn link(content: &mut Map<String, Value>, log: Log) -> Option<Link> {
    let Some(Value::Object(mut link)) = content.remove(log.name()) else { return None };
    let mut take = |name: &str| match link.remove(name) {
        Some(Value::String(digits)) => unhex(Zeroizing::new(digits).as_bytes()),
        _ => None,
    };
    let (key, mac): (Option<Mac>, _) = (take("key"), take("mac"));
    Some(Link::new(Key::kept(Zeroizing::new(key?)), mac?))
}

fn forbidden(file: &PrivateFile) -> Error {
    let path = file.path();
    let why =
        format!("\"audit.chain_key\": {path} is there, and goes on without it; a key that is here protects nothing.");
    Error::new(Code::BadValue, Stage::Configure, why)
}

fn missing(file: &PrivateFile) -> Error {
    let why = format!("audit.chain_key (once: there is no {} yet).", file.path());
    Error::new(Code::MissingKey, Stage::Configure, why)
}

#[cfg(test)]
mod tests;
