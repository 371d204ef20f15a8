//! What a client told its hooks, and waiting for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use genesys_ws_auth::event::{Notice, State};
use genesys_ws_auth::hooks::Hooks;
use genesys_ws_auth::{Code, Stage};
use serde_json::Value;

/// Everything told so far.
#[derive(Default)]
pub struct Told {
    /// Numbers of the pumped messages, and where gaps were announced (`None`).
    pub stream: Vec<Option<u64>>,
    pub states: Vec<State>,
    pub gaps: usize,
    /// Of clocks.
    pub clocks: Vec<Notice>,
    pub records: Vec<Value>,
    /// Code and stage of every error on record.
    pub errors: Vec<(Code, Stage)>,
    /// For whoever has to find out what happened.
    pub story: Vec<String>,
}

/// Collects what hooks are told.
pub struct Watch {
    started: Instant,
    told: Mutex<Told>,
    changed: Condvar,
}

impl Watch {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), told: Mutex::default(), changed: Condvar::new() })
    }

    pub fn read<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until `wanted`, at most `bound`; says whether it came.
    pub fn comes(&self, bound: Duration, wanted: impl Fn(&Told) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), bound, |told| !wanted(told));
        let (told, _) = waited.unwrap_or_else(PoisonError::into_inner);
        wanted(&told)
    }

    /// As [`Watch::comes`]; shows what came instead.
    #[track_caller]
    pub fn wait(&self, bound: Duration, what: &str, wanted: impl Fn(&Told) -> bool) {
        assert!(self.comes(bound, wanted), "no {what} within {bound:?}; but\n{}", self.story());
    }

    pub fn story(&self) -> String {
        self.read(|told| told.story.join("\n"))
    }

    /// A line of the story that is not the client's.
    pub fn say(&self, line: &str) {
        self.note(format!("-- {line}"), |_| ());
    }

    /// Hooks that tell it all.
    pub fn hooks(self: &Arc<Self>) -> Hooks {
        let mut hooks = Hooks::default();
        let watch = Arc::clone(self);
        hooks.on_message = Some(Arc::new(move |message| {
            let parsed: Option<Value> = serde_json::from_slice(message.data()).ok();
            let seq = parsed.and_then(|value| value["seq"].as_u64());
            seq.into_iter().for_each(|seq| watch.silently(|told| told.stream.push(Some(seq))));
        }));
        let watch = Arc::clone(self);
        hooks.on_state = Some(Arc::new(move |notice| watch.notice(notice)));
        let watch = Arc::clone(self);
        hooks.on_audit = Some(Arc::new(move |view| {
            let record = serde_json::from_str(view.json_with_nul.trim_end_matches('\0')).expect("JSON");
            watch.record(record);
            Ok(())
        }));
        hooks
    }

    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::State(change) => {
                let line = format!("{:?} ({}) {}", change.to, change.reason, show(change.error.as_ref()));
                self.note(line, |told| told.states.push(change.to));
            }
            Notice::GapBegin(gap) => self.note(format!("gap {} begins", gap.number), |told| {
                told.gaps += 1;
                told.stream.push(None);
            }),
            Notice::GapEnd(gap) => self.note(format!("gap {} ends", gap.number), |told| told.stream.push(None)),
            Notice::Resumed(_) | Notice::ClockStep(_) => {
                self.note(format!("{notice:?}"), |told| told.clocks.push(notice.clone()));
            }
            _ => {}
        }
    }

    fn record(&self, record: Value) {
        let metadata = &record["metadata"];
        let named = |name: &str| Code::ALL.iter().copied().find(|code| code.name() == name);
        let text = metadata["error"].as_str().unwrap_or_default().to_owned();
        let code = metadata["error_code"].as_str().and_then(named);
        let stage = STAGES.iter().copied().find(|stage| text.starts_with(&format!("{}: ", stage.name())));
        let (kind, phase) = (&record["event_type"], &metadata["phase"]);
        let line = format!("audit {kind} {} {phase} {} {text}", record["status"], metadata["error_code"]);
        self.note(line, |told| {
            told.errors.extend(code.zip(stage));
            told.records.push(record);
        });
    }

    fn note(&self, line: String, change: impl FnOnce(&mut Told)) {
        let line = format!("{:9.3}  {line}", self.started.elapsed().as_secs_f64());
        self.silently(|told| {
            told.story.push(line);
            change(told);
        });
    }

    fn silently(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn show(error: Option<&genesys_ws_auth::Error>) -> String {
    error.map_or(String::new(), |error| format!("{} {error}", error.code().name()))
}

const STAGES: [Stage; 14] = [
    Stage::Call,
    Stage::Configure,
    Stage::Resolve,
    Stage::Connect,
    Stage::Proxy,
    Stage::Tls,
    Stage::Token,
    Stage::Scopes,
    Stage::Upgrade,
    Stage::Authenticate,
    Stage::Renew,
    Stage::Live,
    Stage::Callback,
    Stage::Close,
];

impl Told {
    /// How often this error was told.
    pub fn count(&self, code: Code, stage: Stage) -> usize {
        self.errors.iter().filter(|known| **known == (code, stage)).count()
    }

    pub fn entered(&self, state: State) -> usize {
        self.states.iter().filter(|known| **known == state).count()
    }

    /// The promise of gaps: numbers rise, and what is missing was announced between its neighbours. `carrier` says
    /// which connection a number was sent on: what the server goes on sending on one that was given up counts as
    /// announced with that loss, and in a hand-over, when it sends on two, the old one comes first.
    pub fn check_order(&self, carrier: impl Fn(u64) -> Option<usize>) -> Result<(), String> {
        let (mut last, mut covered) = (0, true);
        for seq in &self.stream {
            match seq {
                None => covered = true,
                Some(seq) => {
                    let (old, new) = (carrier(last), carrier(*seq));
                    if (new, *seq) <= (old, last) {
                        return Err(format!("message {seq} of {new:?} after {last} of {old:?}"));
                    }
                    let from = if old == new { last + 1 } else { 1 };
                    let lost = |seq: &u64| carrier(*seq) == new || *seq > last && carrier(*seq) == old;
                    let missing = (from..*seq).find(lost);
                    if let Some(missing) = missing.filter(|_| !covered) {
                        return Err(format!("message {missing} missing without a gap, between {last} and {seq}"));
                    }
                    (last, covered) = (*seq, false);
                }
            }
        }
        Ok(())
    }

    /// Records are numbered from 1 without a hole.
    pub fn check_audit(&self) -> Result<(), String> {
        let numbers: Vec<u64> = self.records.iter().filter_map(|record| record["seq"].as_u64()).collect();
        let whole = numbers.iter().copied().eq(1..=numbers.len() as u64);
        if whole && numbers.len() == self.records.len() {
            Ok(())
        } else {
            Err(format!("records numbered {numbers:?}"))
        }
    }
}

#[test]
fn the_check_of_order_knows_connections_and_gaps() {
    // The first of two connections carries 1 to 3 and, while the second takes over, 5.
    let carrier = |seq| Some(usize::from(seq == 4 || seq > 5));
    let check = |stream: &[Option<u64>]| {
        let stream = std::iter::once(None).chain(stream.iter().copied()).collect();
        Told { stream, ..Told::default() }.check_order(carrier)
    };
    let seen = |numbers: &[u64]| check(&numbers.iter().copied().map(Some).collect::<Vec<_>>());
    assert_eq!(seen(&[1, 2, 3, 5, 4, 6, 7]), Ok(()));
    assert_eq!(check(&[Some(1), None, Some(4)]), Ok(()));
    for wrong in [&[1, 3][..], &[2, 1], &[1, 1], &[1, 2, 3, 4, 5], &[1, 2, 3, 5, 6], &[1, 4], &[4, 7]] {
        assert!(seen(wrong).is_err(), "{wrong:?}");
    }
}
