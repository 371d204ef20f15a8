//! The rules of the refresh thread, told a second time: after every input, in every world, it must have done what
//! this model expects.

mod scopes;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::settings::{Grant, Settings};
use crate::error::{Code, Error};
use crate::event::Question;
use crate::hooks::Answer;
use crate::proto::http;
use crate::proto::oauth;
use crate::proto::refresher::{Credential, Input, News, Output, Refresher};
use crate::proto::time::Now;
use crate::proto::token::Token;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Stopped,
    Holding,
    Fetching,
    Waiting,
    Persisting,
    Blocked,
}

/// What the answer in this step says.
#[derive(Debug)]
enum Said {
    Granted(Option<String>),
    Failed(Code, Option<u64>),
}

#[derive(Debug)]
struct Flight {
    epoch: u64,
    refresh: Option<String>,
    code: Option<String>,
    /// Whether it had one, spent or not.
    by_code: bool,
    replaced: bool,
    since_ms: u64,
}

/// What one input brought, and what it had to bring.
#[derive(Debug, Default)]
struct Step {
    random: u64,
    reply: Option<Said>,
    must_fetch: Option<bool>,
    must_publish: bool,
    must_be_silent: bool,
    must_answer: bool,
    must_ask: bool,
    must_not_ask: bool,
    must_fail: bool,
    must_end_round: bool,
    is_timeout: bool,
    is_reply: bool,
    outputs: u32,
    fetched: bool,
    published: bool,
    answered: u32,
    blocked: bool,
    asked: bool,
    round_failed: bool,
    /// The new token lacks a required scope, and a token is held that can be used meanwhile.
    is_denied: bool,
    is_lost: bool,
    lost: bool,
    failed: bool,
    newer: bool,
    stopped: bool,
}

#[derive(Default)]
pub struct TokenLaws {
    settings: Arc<Settings>,
    can_ask: bool,
    phase: Phase,
    token: Option<Arc<Token>>,
    newest: u64,
    flight: Option<Flight>,
    refresh: Option<String>,
    spent: BTreeSet<String>,
    asked: Option<u64>,
    failures: u32,
    throttles: u32,
    attempts: u32,
    unauthorized: u32,
    not_before_ms: u64,
    last_forced_ms: Option<u64>,
    /// The next request is timed because of a denial.
    waits_for_scope: bool,
    /// A denial was told, and every one since then would say the same: the server of this world takes one scope away.
    denials_told: bool,
    /// When the next request is due, and how long the machine had slept when that was decided.
    due: Option<(u64, u64)>,
    wishes: BTreeMap<u64, (Option<u64>, u64)>,
    closing_ms: Option<u64>,
    closed: bool,
    step: Step,
}

/// The walk of [`super::store_walk`] has one.
const NO_STORE: &str = "no token store is set in this world";
const SOON_MS: u64 = 5_000;
const FLOOR_MS: u64 = 1_000;

fn slept(now: Now) -> u64 {
    now.boot_ms - now.awake_ms
}

impl TokenLaws {
    pub fn new(settings: Arc<Settings>, can_ask: bool, refresh: Option<&str>) -> Self {
        Self { settings, can_ask, refresh: refresh.map(str::to_owned), ..Self::default() }
    }

    fn held(&self, now: Now) -> Option<&Arc<Token>> {
        self.token.as_ref().filter(|token| token.schedule.usable_ms > now.boot_ms)
    }

    fn has_left(&self, now: Now, min_left_ms: u64) -> bool {
        self.held(now).is_some_and(|token| token.schedule.usable_ms - now.boot_ms >= min_left_ms.max(1))
    }

    /// The application provides tokens.
    fn by_application(&self) -> bool {
        self.settings.grant == Grant::Application
    }

    fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::Fetching | Phase::Persisting)
    }

    // ---- what is to be --------------------------------------------------------------------------------------

    pub fn before(&mut self, now: Now, random: u64, input: &Input) {
        self.step = Step { random, ..Step::default() };
        if self.closing_ms.is_some() || self.closed {
            self.step.is_reply = matches!(input, Input::Replied { .. });
            return;
        }
        match input {
            Input::Start if self.phase == Phase::Stopped => self.begin(now),
            Input::Start => self.step.must_be_silent = true,
            Input::Replied { epoch, outcome } => self.reply(now, *epoch, outcome),
            // A second half of the step before it.
            Input::Signed { .. } => {}
            Input::Refused { serial } => self.refused(now, *serial),
            Input::GiveUp { serial, .. } => self.given_up(*serial),
            Input::Wanted { id, min_left_ms } => self.wanted(now, *id, *min_left_ms),
            Input::RefreshNow => self.forced(now),
            Input::Credential(credential) => self.credential(now, credential),
            Input::Answered { id, answer } => self.replied_to(now, *id, answer),
            Input::Close => self.close(now),
            Input::Loaded(_) | Input::Stored(_) => unreachable!("{NO_STORE}"),
            Input::Timeout => self.timeout(now),
        }
    }

    fn reply(&mut self, now: Now, epoch: u64, outcome: &http::Outcome) {
        self.step.is_reply = true;
        let is_mine = self.phase == Phase::Fetching && !self.by_application();
        if !is_mine || self.flight.as_ref().is_none_or(|flight| flight.epoch != epoch) {
            self.step.must_be_silent = true;
            return;
        }
        let read = outcome.clone().and_then(|reply| oauth::read(reply, &self.settings, &[], now.wall_ms));
        let since_ms = self.flight.as_ref().map_or(0, |flight| flight.since_ms);
        let age_ms = now.boot_ms - since_ms;
        self.step.is_denied = read.as_ref().is_ok_and(|granted| self.lacks(granted, age_ms));
        self.step.is_lost = self.step.is_denied && self.held(now).is_some();
        self.step.reply = Some(match read {
            Ok(granted) => Said::Granted(granted.refresh_token.map(|text| text.expose().to_owned())),
            Err(error) => Said::Failed(error.code(), error.retry_after_ms()),
        });
        if let (Some(Said::Granted(Some(new))), Some(flight)) = (&self.step.reply, &self.flight) {
            if self.refresh == flight.refresh {
                self.refresh = Some(new.clone());
            }
        }
    }

    /// The refusal of an older token is answered by the newer one, that of this one by a request.
    fn refused(&mut self, now: Now, serial: u64) {
        match &self.token {
            Some(token) if token.serial > serial && token.schedule.usable_ms > now.boot_ms => {
                (self.step.must_publish, self.step.must_fetch) = (true, Some(false));
            }
            Some(token) if token.serial == serial => {
                let floor = token.forced_floor_ms(self.settings.refresh_floor_ms);
                self.token = None;
                self.force_if_holding(now, floor);
            }
            Some(_) | None => self.force_if_holding(now, FLOOR_MS),
        }
    }

    fn force_if_holding(&mut self, now: Now, floor_ms: u64) {
        self.step.must_fetch = Some(false);
        if self.phase == Phase::Holding || self.phase == Phase::Waiting && self.waits_for_scope {
            self.fetch_after(now, floor_ms);
        }
    }

    fn forced(&mut self, now: Now) {
        let floor = self.token.as_ref().map_or(FLOOR_MS, |token| (token.lifetime_ms / 4).min(20_000));
        self.denials_told = false;
        if self.phase == Phase::Blocked {
            return self.fetch_after(now, FLOOR_MS);
        }
        self.force_if_holding(now, floor);
    }

    fn fetch_after(&mut self, now: Now, floor_ms: u64) {
        let at = self.last_forced_ms.map_or(now.boot_ms, |last| (last + floor_ms).max(now.boot_ms));
        if at <= now.boot_ms {
            self.last_forced_ms = Some(at);
            return self.begin(now);
        }
        let timed = self.phase == Phase::Holding || self.waits_for_scope;
        let planned = self.due.filter(|_| timed).map_or(at, |(due, _)| due.min(at));
        let planned = planned.max(self.not_before_ms);
        self.last_forced_ms = Some(planned);
        (self.phase, self.due, self.waits_for_scope) = (Phase::Waiting, Some((planned, slept(now))), false);
        self.step.must_fetch = Some(false);
    }

    /// A round begins now, or when the server allows it.
    fn begin(&mut self, now: Now) {
        (self.attempts, self.asked) = (0, None);
        let may = now.boot_ms >= self.not_before_ms;
        self.step.must_fetch = Some(may);
        self.phase = Phase::Waiting;
        self.due = Some((self.not_before_ms.max(now.boot_ms), slept(now)));
    }

    fn given_up(&mut self, serial: u64) {
        self.step.must_be_silent = true;
        if matches!(self.phase, Phase::Holding | Phase::Waiting) && self.newest <= serial {
            (self.token, self.phase, self.due, self.asked) = (None, Phase::Blocked, None, None);
            (self.step.must_be_silent, self.step.blocked) = (false, true);
        }
    }

    fn wanted(&mut self, now: Now, id: u64, min_left_ms: u64) {
        self.step.must_fetch = Some(false);
        let busy = self.is_in_flight();
        let late = busy && self.token.as_ref().is_some_and(|token| now.boot_ms >= token.schedule.mandatory_ms);
        self.wishes.insert(id, (busy.then_some(now.boot_ms + SOON_MS), min_left_ms));
        if self.has_left(now, min_left_ms) && !late || matches!(self.phase, Phase::Blocked | Phase::Stopped) {
            self.step.must_answer = true;
        } else if self.phase == Phase::Holding {
            self.forced(now);
        }
    }

    fn credential(&mut self, now: Now, credential: &Credential) {
        if !matches!(credential, Credential::ProxyPassword) {
            self.unauthorized = 0;
        }
        if let Some(flight) = &mut self.flight {
            flight.replaced = true;
        }
        if let Credential::RefreshToken(text) = credential {
            self.refresh = Some(text.expose().to_owned());
        }
        let hurries = self.phase == Phase::Waiting && self.waits_for_scope;
        match self.phase {
            _ if hurries && !matches!(credential, Credential::ProxyPassword) => self.begin(now),
            Phase::Blocked => self.begin(now),
            _ => self.step.must_be_silent = true,
        }
        self.denials_told = false;
    }

    fn replied_to(&mut self, now: Now, id: u64, answer: &Result<Answer, Error>) {
        let mine = self.asked == Some(id);
        let is_code = matches!(answer, Ok(Answer::Code(_)));
        match self.phase {
            Phase::Fetching if mine => {
                self.step.reply = Some(match answer {
                    Ok(_) => Said::Granted(None),
                    Err(error) => Said::Failed(error.code(), None),
                });
            }
            Phase::Persisting if mine => self.step.must_publish = true,
            Phase::Blocked if mine && is_code => self.begin(now),
            Phase::Blocked if mine => (self.asked, self.due) = (None, None),
            _ => self.step.must_be_silent = true,
        }
    }

    fn close(&mut self, now: Now) {
        if self.phase == Phase::Fetching && !self.by_application() {
            self.closing_ms = Some(now.boot_ms + self.settings.close_timeout_ms);
        } else {
            self.closed = true;
        }
    }

    fn timeout(&mut self, now: Now) {
        self.step.is_timeout = true;
        let due = self.due.is_some_and(|(at, _)| at <= now.boot_ms);
        match self.phase {
            Phase::Holding if due => self.begin(now),
            Phase::Waiting => self.step.must_fetch = Some(due),
            Phase::Persisting => {}
            Phase::Blocked if due => (self.asked, self.due) = (None, None),
            Phase::Fetching => self.step.must_fail = due,
            _ => self.step.must_fetch = Some(false),
        }
    }

    // ---- what is --------------------------------------------------------------------------------------------

    pub fn said(&mut self, now: Now, output: &Output) {
        self.step.outputs += 1;
        match output {
            Output::Http { epoch, request } => self.fetched(now, *epoch, request.body.text()),
            Output::Publish(token) => {
                times::renews_in_time(token, self.settings.lead_ms);
                self.step.published = true;
                if token.serial > self.newest {
                    self.step.newer = true;
                    self.newest = token.serial;
                    (self.failures, self.throttles, self.attempts, self.unauthorized) = (0, 0, 0, 0);
                    self.phase = Phase::Holding;
                    self.due = Some((token.schedule.refresh_ms.max(now.boot_ms), slept(now)));
                    self.token = Some(Arc::clone(token));
                    self.denials_told = false;
                    assert!(!self.step.is_denied, "a token is taken that lacks a required scope");
                }
            }
            Output::Ask { id, question } => {
                self.asked = Some(*id);
                match question {
                    Question::AuthorizationCode(_) => {
                        self.step.asked = true;
                        self.due = Some((now.boot_ms + self.settings.authorize_timeout_ms, slept(now)));
                    }
                    Question::AccessToken => {
                        // A question of a number of its own, so no request of any epoch.
                        self.fetched(now, u64::MAX, "");
                        let most = self.settings.provider_timeout_ms;
                        let held = self.held(now).map(|token| token.schedule.usable_ms - now.boot_ms);
                        let wait = held.map_or(most, |left| (left / 4).max(3_000).min(most));
                        self.due = Some((now.boot_ms + wait, slept(now)));
                    }
                    Question::PersistRefreshToken(_) => (self.phase, self.due) = (Phase::Persisting, None),
                }
            }
            Output::Answer { id, .. } => {
                self.step.answered += 1;
                self.wishes.remove(id);
            }
            Output::News(news) => self.news(now, news),
            Output::Stopped => self.step.stopped = true,
            Output::LoadStore { .. } | Output::Store(_) | Output::FreeStore => unreachable!("{NO_STORE}"),
            Output::Audit(_) | Output::Sign { .. } | Output::ServerClock { .. } => {}
        }
    }

    fn fetched(&mut self, now: Now, epoch: u64, form: &str) {
        self.step.fetched = true;
        self.waits_for_scope = false;
        if self.phase == Phase::Fetching {
            // What was refused had been replaced meanwhile: a round of its own.
            self.spend();
            self.attempts = 0;
        }
        assert!(now.boot_ms >= self.not_before_ms, "a request before Retry-After allows it");
        if let Some((due, slept_ms)) = self.due.filter(|_| self.phase == Phase::Waiting) {
            let in_time = now.boot_ms == due || now.boot_ms > due && slept(now) > slept_ms;
            assert!(in_time, "a request at {}, due at {due}", now.boot_ms);
        }
        let code = form.strip_prefix("grant_type=authorization_code&code=");
        let code = code.and_then(|rest| rest.split('&').next()).map(str::to_owned);
        if let Some(code) = &code {
            assert!(!self.spent.contains(code), "an authorization code is sent again");
        } else if let Some(given) = form.strip_prefix("grant_type=refresh_token&refresh_token=") {
            assert_eq!(Some(given), self.refresh.as_deref(), "another refresh token than the newest");
        }
        let by_code = code.is_some();
        self.flight = Some(Flight {
            epoch,
            refresh: self.refresh.clone(),
            code,
            by_code,
            replaced: false,
            since_ms: now.boot_ms,
        });
        (self.phase, self.due) = (Phase::Fetching, None);
    }

    fn news(&mut self, now: Now, news: &News) {
        match news {
            News::Verifying => self.spend(),
            News::Waiting => self.failed(now),
            News::Throttled { until_ms, .. } => {
                assert_eq!(Some(*until_ms), self.due.map(|(at, _)| at), "another time than said");
            }
            News::RoundFailed { .. } => (self.step.round_failed, self.attempts) = (true, 0),
            News::Blocked { .. } => {
                let had_code = self.flight.as_ref().is_some_and(|flight| flight.by_code);
                self.spend();
                self.step.blocked = true;
                (self.phase, self.due, self.asked, self.attempts) = (Phase::Blocked, None, None, 0);
                let replaced = self.flight.as_ref().is_some_and(|flight| flight.replaced);
                if let (Some(Said::Failed(code, _)), false) = (&self.step.reply, replaced) {
                    self.unauthorized += u32::from(*code == Code::Unauthorized);
                    self.step.must_ask = (self.unauthorized >= 2 || *code == Code::InvalidGrant) && !had_code;
                    self.step.must_not_ask = had_code;
                }
            }
            News::Fetching => {}
            News::Declined { .. } => assert!(self.step.is_denied, "what the token grants is enough"),
            News::ScopesLost { .. } => {
                assert!(self.step.is_denied && self.step.failed, "no scope is lost");
                self.step.lost = true;
            }
        }
    }

    fn spend(&mut self) {
        self.spent.extend(self.flight.as_mut().and_then(|flight| flight.code.take()));
    }

    /// An attempt failed and will be repeated: when, follows from the formula.
    fn failed(&mut self, now: Now) {
        (self.failures, self.attempts, self.step.failed) = (self.failures + 1, self.attempts + 1, true);
        let (code, retry_after) = match &self.step.reply {
            Some(Said::Failed(code, retry_after)) => (*code, *retry_after),
            _ => (Code::TokenLifetime, None),
        };
        let throttled = matches!(code, Code::Throttled | Code::ThrottledLong);
        self.throttles = if throttled { self.throttles + 1 } else { 0 };
        let delay = self.delay_ms(now, retry_after.unwrap_or(0));
        self.waits_for_scope = self.step.is_lost;
        let delay = self.denied_ms(now).inspect(|_| self.attempts = 0).unwrap_or(delay);
        self.not_before_ms = now.boot_ms + retry_after.unwrap_or(0);
        (self.phase, self.due) = (Phase::Waiting, Some((now.boot_ms + delay, slept(now))));
        let long = retry_after.is_some_and(|wait| wait > 180_000);
        self.step.must_end_round = long || self.attempts >= self.settings.attempts_per_round;
    }

    // ---- whether they agree ---------------------------------------------------------------------------------

    pub fn after(&mut self, now: Now, refresher: &Refresher) {
        let step = std::mem::take(&mut self.step);
        if self.closing_ms.is_some() || self.closed {
            return self.check_end(now, &step);
        }
        assert!(!step.must_be_silent || step.outputs == 0, "what says nothing changed something: {step:?}");
        if let Some(must) = step.must_fetch {
            assert!(must == step.fetched || must && step.blocked, "a request: {} {:?}", step.fetched, self.phase);
        }
        assert!(!step.must_fail || step.failed, "the application may take its time");
        assert!(!step.must_publish || step.published, "a good token is not published");
        assert!(!step.must_answer || step.answered > 0, "a wish that can be answered is not");
        assert!(step.must_end_round == step.round_failed, "the end of a round: {}", step.round_failed);
        assert!(!step.must_not_ask || !step.asked, "a refused code is asked for again at once");
        assert!(!step.must_ask || !self.can_ask || step.asked, "no authorization code is asked for");
        if self.step_is_lost(&step) {
            assert_eq!(step.lost, !std::mem::replace(&mut self.denials_told, true), "a denial is told once");
        }
        let known = refresher.credentials().refresh_token.as_ref().map(|text| text.expose().to_owned());
        assert_eq!(known, self.refresh, "the refresh token in force");
        self.check_wishes(now, &step);
    }

    fn check_wishes(&self, now: Now, step: &Step) {
        let all = step.newer || step.blocked || step.round_failed || step.is_lost && step.failed;
        for (id, (by, min_left)) in &self.wishes {
            let old = step.failed || step.is_timeout && by.is_some_and(|by| by <= now.boot_ms);
            let overdue = all || old && self.has_left(now, *min_left);
            assert!(!overdue, "wish {id} is forgotten in {:?}", self.phase);
        }
    }

    fn check_end(&mut self, now: Now, step: &Step) {
        assert!(!step.fetched && !step.published, "a request after the end");
        if step.stopped {
            let may = self.closing_ms.is_none_or(|by| step.is_reply || by <= now.boot_ms);
            assert!(may, "the answer that may carry a refresh token is not waited for");
            (self.closing_ms, self.closed) = (None, true);
        }
    }
}
