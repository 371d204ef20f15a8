//! Stories of the session by itself, fed by hand: what the world seldom gets to.

use std::sync::Arc;

use super::stories::settings;
use crate::config::settings::{CloseClass, Settings};
use crate::error::{Code, Error, Stage};
use crate::event::{Notice, State};
use crate::proto::dice::Dice;
use crate::proto::refresher::News;
use crate::proto::session::{Input, Output, Rounds, Session};
use crate::proto::time::Now;
use crate::proto::token::{Schedule, Token};
use crate::secret::Secret;

/// All of them, for the mutants.
pub const ALL: &[fn()] = &[
    near_the_end_a_dial_waits_for_the_request_in_flight,
    a_dial_waits_at_most_five_seconds,
    a_dial_that_waited_in_vain_does_not_spin,
    facts_about_a_socket_that_is_gone_are_ignored,
    a_token_that_was_seen_is_not_taken_again,
    an_old_token_is_never_presented,
    nothing_happens_before_start,
    drained_twice_is_senseless,
    a_blocked_connect_fails_when_its_token_ends,
    what_a_person_has_to_see_to_is_named_at_the_end,
    an_endpoint_known_to_be_unable_gets_a_second_socket_at_once,
    a_forbidden_upgrade_needs_the_application,
    a_password_of_a_proxy_that_was_replaced_meanwhile_is_tried,
    a_missing_address_ends_a_client_that_never_was_ready,
    a_close_code_may_be_made_final,
    a_final_close_of_a_replacement_leaves_the_live_socket_and_says_so,
    a_close_code_may_be_made_ordinary,
    a_drain_notice_replaces_the_socket_without_a_gap,
    steps_of_the_wall_clock_and_suspends_are_told,
];

pub(super) struct Lone {
    pub(super) session: Session,
    pub(super) at_ms: u64,
    pub(super) said: Vec<String>,
    /// What is on record of sockets, channels and clocks, in words.
    pub(super) recorded: Vec<String>,
}

pub(super) fn token(serial: u64, lifetime_ms: u64) -> Arc<Token> {
    Arc::new(Token {
        access_token: Secret::new(format!("hush-{serial}")),
        token_type: "bearer".into(),
        lifetime_ms,
        refresh_token: None,
        scope: String::new(),
        granted_at_wall_ms: 0,
        serial,
        schedule: Schedule::new(0, lifetime_ms, None, &mut Dice::new(1)),
        scopes: Some(vec!["a:read".into()]),
        trust: crate::audit::Trust::Unverified,
    })
}

pub(super) fn error(code: Code) -> Error {
    Error::new(code, Stage::Live, "")
}

impl Lone {
    pub(super) fn new() -> Self {
        Self::with(settings())
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self { session: Session::new(Arc::new(settings), None), at_ms: 0, said: Vec::new(), recorded: Vec::new() }
    }

    /// Live on socket 1 with a token of 10 minutes (`t_mandatory` 540 s, `t_usable` 590 s).
    pub(super) fn live() -> Self {
        Self::new().become_live()
    }

    pub(super) fn become_live(self) -> Self {
        let mut lone = self;
        lone.feed(Input::Start(Rounds::Forever));
        lone.feed(Input::Publish(token(1, 600_000)));
        lone.feed(Input::Connected { epoch: 1 });
        lone.feed(Input::Opened { epoch: 1 });
        lone.feed(Input::Reply { epoch: 1, text: br#"{"type":"auth","status":"ok"}"#.to_vec() });
        assert_eq!(lone.session.state(), State::Ready);
        lone
    }

    pub(super) fn feed(&mut self, input: Input) {
        let now = Now { boot_ms: self.at_ms, awake_ms: self.at_ms, wall_ms: self.at_ms };
        self.session.heard(now, 1);
        self.session.handle(now, 7, input);
        self.said.clear();
        while let Some(output) = self.session.poll() {
            if let Some(words) = super::step_on_record(&output) {
                self.recorded.push(words);
                continue;
            }
            self.said.push(match output {
                Output::Dial { epoch, hold, .. } => format!("dial {epoch} {hold}"),
                Output::SendAuth { epoch, frame } => format!("auth {epoch} {}", frame.expose()),
                Output::Notice(Notice::State(change)) => format!("{:?}", change.to),
                Output::Failed { error, .. } => format!("failed {:?}", error.code()),
                other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
            });
        }
        assert!(self.session.next_timeout().is_none_or(|at| at > self.at_ms), "a deadline in the past");
    }

    /// Time passes, and the timers that fall into it are served.
    pub(super) fn until(&mut self, at_ms: u64) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(next) = self.session.next_timeout().filter(|next| *next <= at_ms) {
            self.at_ms = next;
            self.feed(Input::Timeout);
            said.extend(self.said.iter().cloned());
        }
        self.at_ms = at_ms;
        said
    }

    pub(super) fn drop_socket(&mut self) {
        self.feed(Input::Dropped { epoch: 1, error: error(Code::Dropped) });
    }
}

#[test]
fn near_the_end_a_dial_waits_for_the_request_in_flight() {
    let mut lone = Lone::live();
    lone.until(545_000);
    lone.feed(Input::News(News::Fetching));
    lone.drop_socket();
    // The delay of the reconnect is over after 1 s at most.
    assert!(lone.until(548_000).is_empty());
    lone.feed(Input::Publish(token(2, 1_200_000)));
    assert!(lone.said.contains(&"dial 2 false".into()), "{:?}", lone.said);
    // When the request fails, the old token serves.
    let mut lone = Lone::live();
    lone.until(545_000);
    lone.feed(Input::News(News::Fetching));
    lone.drop_socket();
    lone.until(548_000);
    lone.feed(Input::News(News::Waiting));
    assert!(lone.said.contains(&"dial 2 false".into()), "{:?}", lone.said);
}

#[test]
fn a_dial_waits_at_most_five_seconds() {
    let mut lone = Lone::live();
    lone.until(545_000);
    lone.feed(Input::News(News::Fetching));
    lone.drop_socket();
    assert!(!lone.until(550_400).contains(&"dial 2 false".into()));
    assert!(lone.until(551_001).contains(&"dial 2 false".into()));
}

#[test]
fn a_dial_that_waited_in_vain_does_not_spin() {
    let mut lone = Lone::with(Settings { overlap: false, ..settings() }).become_live();
    lone.until(587_000);
    lone.feed(Input::News(News::Fetching));
    lone.drop_socket();
    // The token ends while the dial waits; then the request fails.
    lone.until(590_500);
    lone.feed(Input::News(News::Waiting));
    assert!(lone.until(700_000).iter().all(|said| !said.starts_with("dial")));
    lone.feed(Input::Publish(token(2, 1_200_000)));
    assert!(lone.said.contains(&"dial 2 false".into()));
}

#[test]
fn facts_about_a_socket_that_is_gone_are_ignored() {
    let mut lone = Lone::live();
    lone.drop_socket();
    lone.until(10_000);
    lone.feed(Input::Connected { epoch: 2 });
    lone.feed(Input::Opened { epoch: 2 });
    for late in [
        Input::Dropped { epoch: 1, error: error(Code::Dropped) },
        Input::Closed { epoch: 1, code: 1008, reason: String::new() },
        Input::Failed { epoch: 1, error: error(Code::Connect) },
        Input::Opened { epoch: 1 },
        Input::Reply { epoch: 1, text: br#"{"type":"auth","status":"ok"}"#.to_vec() },
        Input::Drained { epoch: 1, clean: true },
        Input::Stalled { epoch: 1 },
        Input::Resumed { epoch: 1 },
    ] {
        let senseless = lone.session.senseless();
        lone.feed(late);
        assert_eq!((lone.said.len(), lone.session.senseless()), (0, senseless + 1));
    }
    assert_eq!(lone.session.state(), State::Authenticating);
}

#[test]
fn a_token_that_was_seen_is_not_taken_again() {
    let mut lone = Lone::live();
    lone.feed(Input::Closed { epoch: 1, code: 1008, reason: String::new() });
    assert!(lone.said.contains(&"Refused".into()));
    lone.feed(Input::Publish(token(1, 600_000)));
    assert!(lone.until(60_000).iter().all(|said| !said.starts_with("dial")));
    lone.feed(Input::Publish(token(2, 600_000)));
    assert!(lone.said.contains(&"dial 2 false".into()));
}

#[test]
fn an_old_token_is_never_presented() {
    let mut lone = Lone::live();
    lone.drop_socket();
    lone.until(589_990);
    let mut lone = Lone { session: lone.session, at_ms: 590_000, said: Vec::new(), recorded: Vec::new() };
    lone.feed(Input::Connected { epoch: 2 });
    assert!(lone.said.contains(&"Abort".into()), "{:?}", lone.said);
    assert!(lone.until(700_000).iter().all(|said| !said.starts_with("dial") && !said.starts_with("auth")));
}

#[test]
fn nothing_happens_before_start() {
    let mut lone = Lone::new();
    lone.feed(Input::Publish(token(1, 600_000)));
    assert_eq!((lone.said.len(), lone.session.next_timeout()), (0, None));
    lone.feed(Input::Start(Rounds::Once));
    assert!(lone.said.contains(&"dial 1 false".into()));
}

#[test]
fn drained_twice_is_senseless() {
    let mut lone = Lone::live();
    lone.feed(Input::Close);
    lone.feed(Input::Drained { epoch: 1, clean: true });
    assert_eq!(lone.said, ["Audit", "Closed", "Stopped"]);
    lone.feed(Input::Drained { epoch: 1, clean: true });
    lone.feed(Input::Close);
    assert!(lone.said.is_empty() && lone.session.senseless() == 2);
}

#[test]
fn a_blocked_connect_fails_when_its_token_ends() {
    let mut lone = Lone::new();
    lone.feed(Input::Start(Rounds::Once));
    lone.feed(Input::Publish(token(1, 1_000)));
    let blocked = News::Blocked { error: error(Code::Forbidden), started_ms: 0 };
    lone.feed(Input::News(blocked));
    assert!(!lone.said.iter().any(|said| said.starts_with("failed")));
    lone.feed(Input::Failed { epoch: 1, error: error(Code::Connect) });
    let said = lone.until(2_000);
    let failed = said.iter().chain(&lone.said).any(|said| said == "failed Forbidden");
    assert!(failed, "{said:?}");
}

#[test]
fn what_a_person_has_to_see_to_is_named_at_the_end() {
    let mut lone = Lone::live();
    lone.feed(Input::News(News::Blocked { error: error(Code::InvalidGrant), started_ms: 0 }));
    // The socket outlives its token for a while; its end is no news of the credentials.
    let mut named = None;
    while let Some(at_ms) = lone.session.next_timeout() {
        lone.at_ms = at_ms;
        let now = Now { boot_ms: at_ms, awake_ms: at_ms, wall_ms: at_ms };
        lone.session.heard(now, 1);
        lone.session.handle(now, 7, Input::Timeout);
        while let Some(output) = lone.session.poll() {
            if let Output::Notice(Notice::State(change)) = output {
                named = Some((change.to, change.error.map(|error| error.code())));
            }
        }
        if named.is_some_and(|(to, _)| to == State::ReauthRequired) {
            break;
        }
    }
    assert_eq!(named, Some((State::ReauthRequired, Some(Code::InvalidGrant))));
}

#[test]
fn an_endpoint_known_to_be_unable_gets_a_second_socket_at_once() {
    let mut lone = Lone::live();
    lone.feed(Input::InBandUnable { until_ms: 1_000_000 });
    lone.feed(Input::Publish(token(2, 600_000)));
    assert!(lone.said.contains(&"dial 2 true".into()), "{:?}", lone.said);
    lone.feed(Input::Publish(token(3, 600_000)));
    assert!(lone.said.is_empty(), "{:?}", lone.said);
}

/// Started, its token on the way, and socket 1 dialled ahead of it.
pub(super) fn ahead() -> Lone {
    let mut lone = Lone::new();
    lone.feed(Input::Start(Rounds::Forever));
    lone.feed(Input::News(News::Fetching));
    assert_eq!(lone.said, ["dial 1 false"]);
    assert_eq!(lone.session.state(), State::AcquiringToken);
    lone
}

#[test]
fn a_forbidden_upgrade_needs_the_application() {
    let mut lone = Lone::live();
    lone.drop_socket();
    lone.until(10_000);
    lone.feed(Input::Connected { epoch: 2 });
    lone.feed(Input::Failed { epoch: 2, error: error(Code::UpgradeForbidden) });
    assert_eq!(lone.said, ["GiveUp", "Audit", "ReauthRequired"]);
    assert!(lone.until(300_000).is_empty());
    lone.feed(Input::Publish(token(2, 600_000)));
    assert!(lone.until(400_000).contains(&"dial 3 false".into()) || lone.said.contains(&"dial 3 false".into()));
}

#[test]
fn a_password_of_a_proxy_that_was_replaced_meanwhile_is_tried() {
    let opening = || {
        let mut lone = Lone::new();
        lone.feed(Input::Start(Rounds::Forever));
        lone.feed(Input::Publish(token(1, 600_000)));
        assert!(lone.said.contains(&"dial 1 false".into()), "{:?}", lone.said);
        lone
    };
    // Refused for the one before.
    let mut lone = opening();
    lone.feed(Input::ProxyPassword);
    lone.feed(Input::Failed { epoch: 1, error: error(Code::ProxyAuth) });
    assert!(!lone.said.contains(&"GiveUp".into()), "{:?}", lone.said);
    assert!(lone.until(60_000).contains(&"dial 2 false".into()));
    lone.feed(Input::Failed { epoch: 2, error: error(Code::ProxyAuth) });
    assert!(lone.said.contains(&"GiveUp".into()), "the new one is wrong too: {:?}", lone.said);
    lone.feed(Input::ProxyPassword);
    assert_eq!(lone.said, ["TryAgain"]);
    // Refused before, for something else.
    let mut lone = opening();
    lone.feed(Input::Failed { epoch: 1, error: error(Code::UpgradeForbidden) });
    lone.feed(Input::ProxyPassword);
    assert!(lone.said.is_empty(), "{:?}", lone.said);
}

#[test]
fn a_missing_address_ends_a_client_that_never_was_ready() {
    let mut lone = ahead();
    lone.feed(Input::Connected { epoch: 1 });
    lone.feed(Input::Failed { epoch: 1, error: error(Code::UpgradeNotFound) });
    assert_eq!(lone.said, ["Audit", "failed UpgradeNotFound", "Failed"]);
    lone.feed(Input::Close);
    assert_eq!((lone.session.state(), lone.said.last().map(String::as_str)), (State::Failed, Some("Stopped")));
    // Where there was a WebSocket, it is an outage.
    let mut lone = Lone::live();
    lone.drop_socket();
    lone.until(10_000);
    lone.feed(Input::Failed { epoch: 2, error: error(Code::UpgradeNotFound) });
    assert!(lone.until(60_000).contains(&"dial 3 false".into()));
}

fn with_class(code: u16, class: CloseClass) -> Lone {
    Lone::with(Settings { close_codes: vec![(code, class)], ..settings() }).become_live()
}

#[test]
fn a_close_code_may_be_made_final() {
    let mut lone = with_class(4_001, CloseClass::Final);
    lone.feed(Input::Closed { epoch: 1, code: 4_001, reason: "gone".into() });
    assert!(lone.said.ends_with(&["failed WsClosed".into(), "Failed".into()]), "{:?}", lone.said);
    assert!(lone.until(600_000).is_empty());
}

#[test]
fn a_final_close_of_a_replacement_leaves_the_live_socket_and_says_so() {
    let mut lone = with_class(4_001, CloseClass::Final);
    lone.feed(Input::DrainNotice);
    lone.until(5_000);
    lone.feed(Input::Connected { epoch: 2 });
    lone.feed(Input::Opened { epoch: 2 });
    lone.feed(Input::Closed { epoch: 2, code: 4_001, reason: "gone".into() });
    let end = ["SendOn", "Notice", "Leave", "failed WsClosed", "Failed"].map(String::from);
    assert!(lone.said.ends_with(&end), "{:?}", lone.said);
}

#[test]
fn a_close_code_may_be_made_ordinary() {
    let mut lone = with_class(1_008, CloseClass::Retry);
    lone.feed(Input::Closed { epoch: 1, code: 1_008, reason: String::new() });
    assert!(!lone.said.contains(&"Refused".into()), "{:?}", lone.said);
    assert!(lone.until(2_000).contains(&"dial 2 false".into()));
}

#[test]
fn a_drain_notice_replaces_the_socket_without_a_gap() {
    let mut lone = Lone::live();
    lone.feed(Input::DrainNotice);
    assert_eq!(lone.said, ["Draining"]);
    lone.feed(Input::DrainNotice);
    assert!(lone.said.is_empty());
    assert!(lone.until(5_000).contains(&"dial 2 true".into()));
    lone.feed(Input::Connected { epoch: 2 });
    lone.feed(Input::Opened { epoch: 2 });
    lone.feed(Input::Reply { epoch: 2, text: br#"{"type":"auth","status":"ok"}"#.to_vec() });
    // The same token on another socket is no renewal.
    assert_eq!(lone.said, ["Audit", "SendOn", "Leave", "Ready"]);
    lone.feed(Input::Drained { epoch: 1, clean: true });
    assert_eq!(lone.said, ["Notice", "Release"]);
}

#[test]
fn steps_of_the_wall_clock_and_suspends_are_told() {
    let mut lone = Lone::live();
    let told = |lone: &mut Lone, now: Now| {
        lone.session.handle(now, 7, Input::Timeout);
        let mut told = Vec::new();
        while let Some(output) = lone.session.poll() {
            match output {
                Output::Notice(Notice::Resumed(resumed)) => told.push(resumed.slept_ms as i64),
                Output::Notice(Notice::ClockStep(step)) => told.push(step.by_ms),
                _ => {}
            }
        }
        told
    };
    let now = Now { boot_ms: 10_000, awake_ms: 10_000, wall_ms: 10_000 };
    assert!(told(&mut lone, Now { wall_ms: 12_000, ..now }).is_empty());
    assert_eq!(told(&mut lone, Now { wall_ms: 3_612_000, ..now }), [3_600_000]);
    assert_eq!(told(&mut lone, Now { wall_ms: 12_000, ..now }), [-3_600_000]);
    let later = Now { boot_ms: 70_000, awake_ms: 10_000, wall_ms: 72_000 };
    assert_eq!(told(&mut lone, later), [60_000]);
    assert!(told(&mut lone, later).is_empty());
}
