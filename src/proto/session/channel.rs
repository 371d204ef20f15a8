//! Profile `notifications`: a channel for every socket, made and subscribed before it is dialled.
//!
//! A channel is made with a token and dies with it. It carries one socket at a time; after a loss it is used again, unless
//! it is gone: what says nothing of it is followed by a question.

use std::sync::Arc;

use super::{Link, Output, Session, Stage};
use crate::config::settings::{CloseClass, Profile, Settings};
use crate::error::{Code, Error, Stage as ErrorStage};
use crate::event::{Notice, Topic, Topics};
use crate::proto::http::Outcome;
use crate::proto::mutant::{active, Mutant};
use crate::proto::notifications::rest::{self, Created, Reading};
use crate::proto::notifications::{topics, Last, Pairs};
use crate::proto::time::Now;
use crate::proto::token::Token;
use crate::secret::Secret;

/// What an answer may take beyond the time that its request has: those before it in the lane.
const SLACK_MS: u64 = 15_000;
/// What was refused for good is asked for again after U(w, 2·w), as long as there is a live socket to lose.
pub(super) const REFUSED_MS: u64 = 300_000;
/// A channel that ends within this is not used again.
const LEAST_LIFE_MS: u64 = 60_000;
/// Least time between a subscription and the one that prolongs it.
const LEAST_RENEWAL_MS: u64 = 60_000;

/// A channel of ours.
#[derive(Debug)]
pub(super) struct Channel {
    pub id: Secret,
    uri: Secret,
    /// Serial of the token it was made with.
    serial: u64,
    /// How long a subscription prolongs it by.
    life_ms: u64,
    expires_ms: u64,
    /// When its topics are subscribed to again, which prolongs it.
    pub renew_ms: u64,
    /// How often it was dialled.
    uses: u32,
    pub subscribed: Arc<[String]>,
    /// Its last socket was lost in a way that says nothing of the channel.
    doubtful: bool,
}

/// What is asked of the REST API for a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Whether a channel is still there.
    Probe,
    Create,
    Subscribe,
}

/// A request whose answer is awaited.
#[derive(Debug)]
pub(super) struct Asked {
    pub id: u64,
    pub step: Step,
    pub topics: Arc<[String]>,
    pub by_ms: u64,
}

/// The permit for a second channel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Spare {
    #[default]
    No,
    Asked,
    Held,
}

/// What the API refused for good: asking again makes no sense before the topics, the token or the application's mind change.
#[derive(Debug)]
pub(super) struct Refusal {
    pub error: Error,
    /// It was the next socket's channel or subscription, not that of the socket in use.
    pub bars: bool,
    /// While a socket is in use, the next one's is asked for again then: a role that was taken away may be given back.
    pub again_ms: u64,
}

/// Another client has taken our channel.
#[derive(Debug)]
pub(super) struct Away {
    pub error: Error,
    /// When to come back by itself.
    pub return_ms: Option<u64>,
}

/// All that the profile `notifications` knows beside its links.
#[derive(Debug, Default)]
pub(super) struct Channels {
    requests: u64,
    pub wanted: Arc<[String]>,
    /// The results that the application was told last.
    told: Option<Arc<[Topic]>>,
    /// The channel of a socket that was lost.
    pub kept: Option<Channel>,
    pub spare: Spare,
    pub refusal: Option<Refusal>,
    pub away: Option<Away>,
    /// How often in a row it was displaced, and when it came back last.
    pub displacements: u32,
    pub returned_ms: u64,
    /// A channel was gone at its handshake since a socket was live: no more hurry.
    pub was_gone: bool,
    pub pairs: Pairs,
    pub last: Last,
}

impl Channels {
    /// Nothing yet, but the topics to begin with.
    pub fn new(topics: &[String]) -> Self {
        Self { wanted: topics::wanted(topics).into(), ..Self::default() }
    }
}

impl Channel {
    fn new(created: Created, serial: u64, now: Now) -> Self {
        let Created { id, uri, life_ms } = created;
        let mut channel = Self {
            id,
            uri,
            serial,
            life_ms,
            expires_ms: 0,
            renew_ms: 0,
            uses: 0,
            subscribed: Arc::new([]),
            doubtful: false,
        };
        channel.prolong(now);
        channel
    }

    /// It lives as long again as it did when it was made.
    fn prolong(&mut self, now: Now) {
        self.expires_ms = now.boot_ms + self.life_ms;
        self.renew_ms = now.boot_ms + (self.life_ms / 4 * 3).max(LEAST_RENEWAL_MS);
    }

    /// It is gone.
    pub(super) fn ends(&mut self) {
        self.expires_ms = 0;
    }

    /// Whether it may be dialled, for the first time or again, with this token.
    fn serves(&self, now: Now, token: &Token, settings: &Settings) -> bool {
        let fresh = self.serial == token.serial && self.expires_ms > now.boot_ms + LEAST_LIFE_MS;
        let rested = self.uses <= settings.channel_reuses;
        (fresh || active(Mutant::StaleChannelUsed)) && (rested || active(Mutant::ReusedForEver))
    }
}

impl Session {
    pub(super) fn has_channels(&self) -> bool {
        self.settings.profile == Profile::Notifications
    }

    /// The first step of a link: its channel. The one of the socket before it serves if it can.
    pub(super) fn prepare(&mut self, now: Now, epoch: u64) {
        let settings = Arc::clone(&self.settings);
        if let (Some(primary), true) = (&self.primary, self.is_standby(epoch)) {
            // From the first moment at which the server may know of both.
            self.channels.pairs.begin(primary.epoch, epoch);
        } else {
            // The channel of a second socket that failed may serve now, and bring what the first one had brought.
            self.channels.pairs.adopted(now.boot_ms, epoch);
        }
        let kept = self.channels.kept.take();
        let Some(link) = self.link_mut(epoch) else { return };
        link.stage = Stage::Preparing;
        let Some(token) = link.token.clone() else { return };
        link.channel = kept.filter(|channel| channel.serves(now, &token, &settings));
        match &link.channel {
            Some(channel) if channel.doubtful && !active(Mutant::DoubtIgnored) => self.ask(now, epoch, Step::Probe),
            Some(_) => self.subscribe_or_dial(now, epoch),
            None => self.ask(now, epoch, Step::Create),
        }
    }

    /// Asks the API; what was asked for this link before is of no use any more.
    pub(super) fn ask(&mut self, now: Now, epoch: u64, step: Step) {
        let (settings, topics) = (Arc::clone(&self.settings), Arc::clone(&self.channels.wanted));
        self.channels.requests += 1;
        let id = self.channels.requests;
        let Some(link) = self.link_mut(epoch) else { return };
        let Some(token) = link.token.clone() else { return };
        let is_good = token.is_usable(now.boot_ms) && !link.revoked;
        if !is_good && !active(Mutant::ExpiredPresented) {
            if let Some(channel) = link.channel.as_mut().filter(|_| link.stage == Stage::Live) {
                // The rollover that is due anyway will do.
                return channel.renew_ms = u64::MAX;
            }
            return self.token_is_gone(now, epoch);
        }
        let request = match (step, &link.channel) {
            (Step::Create, _) | (_, None) => rest::create(&settings, &token),
            (Step::Probe, Some(channel)) => rest::probe(&settings, &token, &channel.id),
            (Step::Subscribe, Some(channel)) => rest::subscribe(&settings, &token, &channel.id, &topics),
        };
        let by_ms = now.boot_ms + settings.api_timeout_ms + SLACK_MS;
        let before = link.asked.replace(Asked { id, step, topics, by_ms });
        if let Some(before) = before {
            self.out.push_back(Output::DropRest { id: before.id });
        }
        self.out.push_back(Output::Rest { id, request });
    }

    /// An answer. One that is not awaited any more is ignored.
    pub(super) fn rest(&mut self, now: Now, id: u64, outcome: Outcome) {
        let awaited =
            |link: &&mut Link| link.asked.as_ref().is_some_and(|asked| asked.id == id || active(Mutant::StaleRest));
        let Some(link) = self.primary.iter_mut().chain(&mut self.standby).find(awaited) else { return };
        let epoch = link.epoch;
        let Some(asked) = link.asked.take() else { return };
        let settings = Arc::clone(&self.settings);
        let outdated = asked.step == Step::Subscribe && asked.topics != self.channels.wanted;
        let secrets = self.secrets();
        let reading = Reading { settings: &settings, secrets: &secrets, wall_ms: now.wall_ms };
        let done = match asked.step {
            Step::Create => reading.created(outcome).map(|created| self.created(now, epoch, created)),
            Step::Probe => reading.probed(outcome).map(|()| self.subscribe_or_dial(now, epoch)),
            Step::Subscribe => {
                let results = reading.subscribed(outcome, &asked.topics);
                results.map(|results| self.subscribed(now, epoch, asked.topics, results))
            }
        };
        if let Err(error) = done {
            self.rest_failed(now, epoch, asked.step, error);
            if outdated {
                self.lift(now);
                self.keep_up(now);
            }
        }
    }

    /// Everything that a server could repeat: whatever it says, it may speak of the other socket.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let links = self.primary.iter().chain(&self.standby);
        let channels = links.clone().filter_map(|link| link.channel.as_ref()).chain(&self.channels.kept);
        let of_channels = channels.flat_map(|channel| [channel.uri.clone(), channel.id.clone()]);
        let tokens = links.flat_map(|link| link.token.iter().chain(&link.offered)).chain(&self.token);
        of_channels.chain(tokens.map(|token| token.access_token.clone())).collect()
    }

    fn created(&mut self, now: Now, epoch: u64, created: Created) {
        let Some(link) = self.link_mut(epoch) else { return };
        link.channel = Some(Channel::new(created, link.serial(), now));
        self.record_channel();
        self.subscribe_or_dial(now, epoch);
    }

    /// A channel that has the topics is dialled; the second one not before all that it may bring is noted of the first: an
    /// event that has just come there may be on a longer way here.
    pub(super) fn subscribe_or_dial(&mut self, now: Now, epoch: u64) {
        let is_second = self.is_standby(epoch);
        let hold = is_second && !active(Mutant::NotHeldBack);
        let (wanted, linger_ms) = (Arc::clone(&self.channels.wanted), self.settings.linger_ms);
        let may_ask = now.boot_ms >= self.not_before_ms;
        let Some(link) = self.link_mut(epoch) else { return };
        link.dials_ms = None;
        let Some(channel) = link.channel.as_mut() else { return };
        // What was changed while it waited is subscribed on the live socket, when the API allows it.
        if channel.subscribed != wanted && (may_ask || channel.subscribed.is_empty()) {
            return self.ask(now, epoch, Step::Subscribe);
        }
        let at_ms = link.dialled_ms + linger_ms;
        link.dials_ms = Some(at_ms).filter(|at| is_second && *at > now.boot_ms && !active(Mutant::DialsAtOnce));
        if link.dials_ms.is_some() {
            return;
        }
        channel.uses += 1;
        let uri = Some(channel.uri.clone());
        link.stage = Stage::Dialing;
        self.out.push_back(Output::Dial { epoch, hold, uri });
    }

    fn subscribed(&mut self, now: Now, epoch: u64, topics: Arc<[String]>, results: Vec<Topic>) {
        let is_wanted = topics == self.channels.wanted;
        let Some(link) = self.link_mut(epoch) else { return };
        let live = link.is_live();
        let Some(channel) = link.channel.as_mut() else { return };
        channel.subscribed = topics;
        channel.prolong(now);
        self.record_topics(&results);
        if is_wanted {
            self.tell(results);
        }
        self.channels.refusal = None;
        if live {
            self.keep_up(now);
        } else {
            self.subscribe_or_dial(now, epoch);
        }
    }

    /// The results, if they are others than the application knows.
    fn tell(&mut self, results: Vec<Topic>) {
        let results: Arc<[Topic]> = results.into();
        if self.channels.told.as_ref() != Some(&results) {
            self.channels.told = Some(Arc::clone(&results));
            self.notice(Notice::Topics(Topics { results }));
        }
    }

    /// No answer came in time, although the request has a limit of its own.
    pub(super) fn rest_overdue(&mut self, now: Now, epoch: u64) {
        let Some(asked) = self.link_mut(epoch).and_then(|link| link.asked.take()) else { return };
        self.out.push_back(Output::DropRest { id: asked.id });
        let stage = match asked.step {
            Step::Probe | Step::Create => ErrorStage::Channel,
            Step::Subscribe => ErrorStage::Subscribe,
        };
        self.rest_failed(now, epoch, asked.step, Error::new(Code::HttpTimeout, stage, ""));
    }

    fn rest_failed(&mut self, now: Now, epoch: u64, step: Step, error: Error) {
        let Some(link) = self.link_mut(epoch) else { return };
        let (live, serial) = (link.is_live(), link.serial());
        let was_used = link.channel.as_ref().is_some_and(|channel| channel.uses > 0);
        if error.code() == Code::TokenRevoked {
            self.strike(&error, serial);
        }
        if live {
            return self.upkeep_failed(now, epoch, error);
        }
        if error.code() == Code::ChannelGone && (step == Step::Probe || was_used) {
            // That an older channel has ended is what happens to channels.
            if let Some(link) = self.link_mut(epoch) {
                link.channel = None;
            }
            return self.ask(now, epoch, Step::Create);
        }
        if error.code() == Code::ChannelRefused && !active(Mutant::RefusedChannelInsists) {
            let again_ms = now.boot_ms + REFUSED_MS + self.dice.up_to(REFUSED_MS);
            self.channels.refusal = Some(Refusal { error: error.clone(), bars: true, again_ms });
        }
        self.lost(now, epoch, error);
    }

    // ---- the end of a link ----------------------------------------------------------------------------------

    /// In this profile the address of a socket is its channel's: that there is none says that the channel is gone.
    pub(super) fn of_channel(&self, error: Error) -> Error {
        if self.has_channels() && error.code() == Code::UpgradeNotFound {
            return error.with(|detail| detail.code = Code::ChannelGone);
        }
        error
    }

    /// A handshake was refused because the channel is gone: another one is made at once, the first time.
    pub(super) fn makes_another(&mut self, now: Now, epoch: u64, error: &Error) -> bool {
        if error.code() != Code::ChannelGone || self.channels.was_gone || active(Mutant::StaleChannelUsed) {
            return false;
        }
        let next = self.epoch + 1;
        let Some(link) = self.link_mut(epoch).filter(|link| link.stage == Stage::Upgrading) else { return false };
        let token = link.token.clone();
        *link = Link::new(next, token, link.dialled_ms);
        (self.epoch, self.channels.was_gone) = (next, true);
        self.prepare(now, next);
        true
    }

    /// A link is lost: what was asked for it is of no use, its channel perhaps is.
    pub(super) fn retire(&mut self, link: &mut Link, error: &Error) {
        self.drop_request(link);
        let Some(mut channel) = link.channel.take() else { return };
        let gone = matches!(error.code(), Code::ChannelGone | Code::Displaced);
        if gone && !active(Mutant::StaleChannelUsed) {
            return;
        }
        channel.doubtful = self.class_of(error) != CloseClass::Drain;
        if self.channels.kept.as_ref().is_none_or(|kept| kept.serial <= channel.serial) {
            self.channels.kept = Some(channel);
        }
    }

    pub(super) fn drop_request(&mut self, link: &mut Link) {
        if let Some(asked) = link.asked.take() {
            self.out.push_back(Output::DropRest { id: asked.id });
        }
    }

    /// The socket that took over has the topics: those of the old channel are given back. If that fails, they end with it.
    pub(super) fn unsubscribe(&mut self, now: Now, old: &mut Link) {
        self.drop_request(old);
        let (Some(channel), Some(token)) = (old.channel.take(), old.token.clone()) else { return };
        let nothing = channel.subscribed.is_empty() || !token.is_usable(now.boot_ms) || old.revoked;
        let may_not = now.boot_ms < self.not_before_ms;
        if nothing || may_not || active(Mutant::OldKeepsSubscriptions) {
            return;
        }
        self.channels.requests += 1;
        let request = rest::unsubscribe(&self.settings, &token, &channel.id);
        self.out.push_back(Output::Rest { id: self.channels.requests, request });
    }

    // ---- gaps -----------------------------------------------------------------------------------------------

    pub(super) fn last_correlation_id(&self) -> String {
        if active(Mutant::GapWithoutId) {
            return String::new();
        }
        self.channels.last.correlation_id()
    }

    /// Whether what an old socket still holds came by its successor too: everything that the server had sent before the new
    /// one was open was read.
    pub(super) fn is_covered(&self, old: &Link, successor: Option<u64>) -> bool {
        let new = successor.and_then(|epoch| self.link(epoch)).filter(|_| self.has_channels());
        new.is_some_and(|new| old.read_out_ms > new.opened_ms && old.stalled_ms.is_none())
    }
}
