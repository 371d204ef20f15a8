//! What is on record, compared with what the machines did, after every step: nothing is left out, and nothing is told
//! twice. A log that is complete can be added up: its counts are those of the machines.

use std::collections::BTreeSet;

use crate::audit::{Kind, Outcome, Phase, Record};
use crate::error::Code;
use crate::event::{Notice, Question, State};
use crate::metrics::{Tally, Totals};
use crate::proto::http::Method;
use crate::proto::refresher::{self, News};
use crate::proto::session;

/// What the machines did.
#[derive(Debug, Default, Eq, PartialEq)]
struct Done {
    requests: u64,
    tokens: u64,
    opened: u64,
    renewals: u64,
    sleeps: u64,
    steps: u64,
    closed: u64,
}

#[derive(Default)]
pub struct RecordLaws {
    totals: Totals,
    tally: Tally,
    done: Done,
    // Of tokens.
    /// A request is on record that has not left yet.
    announced: Option<&'static str>,
    /// What was asked for has no outcome on record.
    open: bool,
    /// Something that comes before a request may fail.
    prepares: bool,
    /// A token on record that is not published yet.
    issued: Option<(u64, u64)>,
    newest: u64,
    /// The application is asked to keep a refresh token: how often it is on record that it did, or did not.
    keeps: Option<u32>,
    /// The attempts that failed without a request.
    unsent: u64,
    /// Those that came to nothing because the client was closed.
    cancelled: u64,
    failed: bool,
    // Of sockets.
    opened: BTreeSet<u64>,
    live: Option<u64>,
    renewals: u64,
    displaced: (bool, bool),
    channels: BTreeSet<u64>,
    over: bool,
}

impl RecordLaws {
    // ---- the refresher --------------------------------------------------------------------------------------

    pub fn refresher_said(&mut self, output: &refresher::Output) {
        use refresher::Output as O;
        match output {
            O::Audit(record) => self.of_token(record),
            O::Http { request, .. } if request.body.text().starts_with("grant_type=") => {
                assert_eq!(request.method, Method::Post);
                self.leaves(request.body.text());
            }
            O::Ask { question: Question::AccessToken, .. } => self.leaves("grant_type=application"),
            O::Ask { question: Question::PersistRefreshToken(_), .. } => self.keeps = Some(0),
            O::Sign { .. } | O::LoadStore { .. } => self.prepares = true,
            O::Publish(token) if token.serial > self.newest => {
                let known = self.issued.take();
                assert_eq!(known, Some((token.serial, token.lifetime_ms)), "a token in force that is not on record");
                (self.newest, self.done.tokens) = (token.serial, self.done.tokens + 1);
            }
            O::Publish(_) => assert_eq!(self.issued, None, "an old token is on record as new"),
            O::News(News::Waiting | News::RoundFailed { .. } | News::Blocked { .. }) | O::Stopped => {
                assert!(!self.open, "what was asked for has no outcome on record");
                let waits = matches!(output, O::News(News::Waiting));
                assert!(!waits || std::mem::take(&mut self.failed), "an attempt that failed is not on record");
            }
            _ => {}
        }
    }

    fn leaves(&mut self, form: &str) {
        let grant = self.announced.take().expect("a request that is not on record");
        let sent = form.strip_prefix("grant_type=").and_then(|rest| rest.split('&').next()).unwrap_or_default();
        assert!(sent == grant || grant == "saml2_bearer" && sent.ends_with("saml2-bearer"), "{sent} is not {grant}");
        self.done.requests += 1;
    }

    fn of_token(&mut self, record: &Record) {
        self.totals = self.totals.after(record);
        self.tally = self.tally.after(record.about(), record.level());
        match record {
            Record::TokenRequested { grant, .. } => {
                assert!(!self.open, "two requests are open on record");
                (self.open, self.prepares, self.announced, self.failed) = (true, false, Some(*grant), false);
            }
            Record::TokenIssued { serial, lifetime_ms, .. } => {
                assert!(self.open, "a token that nobody asked for is on record");
                assert_eq!(self.issued, None, "two tokens are on record at once");
                let keeps = self.keeps.take().unwrap_or(1);
                assert_eq!(keeps, 1, "whether a refresh token is kept is on record {keeps} times");
                (self.open, self.issued) = (false, Some((*serial, *lifetime_ms)));
            }
            Record::TokenRefused { error } => {
                assert!(self.open || self.prepares, "a failure of nothing is on record: {error}");
                self.unsent += u64::from(!self.open);
                self.cancelled += u64::from(error.code() == Code::Cancelled);
                // That its refresh token is to be kept was said before, and nobody waits for the answer.
                (self.open, self.prepares, self.failed, self.keeps) = (false, false, true, None);
            }
            Record::RefreshTokenStored { by: "application" } | Record::RefreshTokenNotPersisted { .. } => {
                self.keeps = self.keeps.map(|times| times + 1);
            }
            _ => {}
        }
    }

    /// `failed`: attempts, as the machine counts them.
    pub fn after_refresher(&self, failed: u64) {
        assert_eq!(self.announced, None, "a request is on record that was not made");
        assert_eq!(self.issued, None, "a token is on record that is not in force");
        let tally = self.tally;
        assert_eq!(tally.of(Kind::TokenRequested), self.done.requests, "requests");
        assert_eq!(tally.of(Kind::TokenIssued), self.done.tokens, "tokens");
        let ended = tally.of(Kind::TokenIssued) + tally.of(Kind::TokenRefused) - self.unsent;
        assert_eq!(ended + u64::from(self.open), self.done.requests, "every request ends once");
        assert_eq!(tally.of(Kind::TokenRefused) - self.cancelled, failed, "failed attempts");
    }

    // ---- the session ----------------------------------------------------------------------------------------

    pub fn before_session(&mut self, input: &session::Input) {
        self.displaced = (false, false);
        self.over |= matches!(input, session::Input::Close);
    }

    pub fn session_said(&mut self, output: &session::Output) {
        use session::Output as O;
        let may_follow = matches!(output, O::Notice(_) | O::Stopped { .. });
        assert!(self.done.closed == 0 || may_follow, "after the end on record: {output:?}");
        match output {
            O::Audit(record) => self.of_socket(record),
            O::SendAuth { epoch, .. } | O::SendOn(Some(epoch)) => {
                assert!(self.opened.contains(epoch), "socket {epoch} is in use and not on record");
                if matches!(output, O::SendOn(_)) {
                    self.live = Some(*epoch);
                }
            }
            O::Renewed { .. } => self.done.renewals += 1,
            O::Notice(Notice::Resumed(_)) => self.done.sleeps += 1,
            O::Notice(Notice::ClockStep(_)) => self.done.steps += 1,
            O::Notice(Notice::Handover(pair)) => {
                assert!(!self.opened.contains(&pair.from_connection), "handed over by a socket that is open on record");
            }
            O::Notice(Notice::State(change)) => self.displaced.0 |= change.to == State::Displaced && !self.over,
            O::Failed { .. } => self.over = true,
            O::Stopped { .. } => assert!(self.opened.is_empty(), "open on record at the end: {:?}", self.opened),
            _ => {}
        }
    }

    fn of_socket(&mut self, record: &Record) {
        self.totals = self.totals.after(record);
        self.tally = self.tally.after(record.about(), record.level());
        match record {
            Record::SocketOpened { connection } => {
                assert!(self.opened.insert(*connection), "socket {connection} is on record twice");
            }
            Record::SocketClosed { connection, .. } => {
                assert!(self.opened.remove(connection), "a socket ends on record that is not open: {connection}");
            }
            Record::ConnectionLost { connection, .. } => {
                assert!(self.opened.remove(connection), "a socket is lost on record that is not open: {connection}");
                assert_eq!(self.live, Some(*connection), "what was lost was not live");
            }
            Record::Attempt { phase: Phase::Renewal, outcome: Outcome::Success { .. }, .. } => self.renewals += 1,
            Record::Displaced { .. } => self.displaced.1 = true,
            Record::Closed => self.done.closed += 1,
            _ => {}
        }
    }

    /// `dead`: whether this socket has ended.
    pub fn after_session(&mut self, dead: impl Fn(u64) -> bool) {
        let lost: Vec<_> = self.opened.iter().filter(|epoch| dead(**epoch)).collect();
        assert!(lost.is_empty(), "sockets whose end is not on record: {lost:?}");
        let tally = self.tally;
        let ended = tally.of(Kind::SocketClosed) + tally.of(Kind::ConnectionLost);
        assert_eq!(ended + self.opened.len() as u64, tally.of(Kind::SocketOpened), "every socket ends once");
        let told = (tally.of(Kind::Resumed), tally.of(Kind::ClockStepped), self.renewals, tally.of(Kind::Closed));
        let done = (self.done.sleeps, self.done.steps, self.done.renewals, self.done.closed);
        assert_eq!(told, done, "sleeps, steps, renewals and ends on record");
        assert!(self.displaced.1 || !self.displaced.0, "displaced, and not on record");
    }

    /// A channel is dialled: it was made, and subscribed, on record.
    pub fn dials_channel(&mut self, channel: u64) {
        self.channels.insert(channel);
        let (made, tally) = (self.channels.len() as u64, self.tally);
        assert!(tally.of(Kind::ChannelMade) >= made, "a channel is used whose making is not on record");
        assert!(tally.of(Kind::Subscribed) >= made, "a channel is used whose topics are not on record");
    }
}
