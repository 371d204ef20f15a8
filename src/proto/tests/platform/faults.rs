//! The reviewed list of faults. One with a duration is asked for by [`Weather::on`] at the place where it bites; one
//! without happens once, in [`Platform::strike`].

use super::wires::{End, Wire};
use super::world::{Event, Platform};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What goes wrong on the platform, or between it and a client.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Fault { $($(#[$doc])* $name,)* }
        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    // The token endpoint, while it lasts; `tests::faults` has more of its kind.
    /// 400 `rate limit exceeded`.
    TokenRateLimited,
    /// 503.
    TokenUnavailable,
    /// Answers after up to 20 s.
    TokenSlow,
    /// No answer until the request's time is up.
    TokenHangs,
    /// Tokens without the scope that is needed, where the answer says so.
    TokenScopeMissing,

    // The REST API, while it lasts.
    /// Answers after up to 20 s.
    RestSlow,
    /// 502, 503 or 504.
    RestUnavailable,
    /// No answer until the request's time is up; nothing was done.
    RestHangs,
    /// No connection.
    RestUnreachable,
    /// 200 and a web page.
    RestGarbage,
    /// 401 `bad.credentials`, whatever the token.
    RestUnauthorized,
    /// 403 `not.authorized`.
    RestForbidden,
    /// 429 with `Retry-After` up to 20 s.
    RestThrottled,
    /// 429 with `Retry-After` of hours.
    RestQuota,
    /// Done, and the answer never arrives.
    RestAnswerLost,
    /// No answer ever, not even that the time is up.
    RestSwallowed,
    /// PUT is answered with 404, and the channel is gone.
    SubscribeMissing,
    /// The first topic of every list is rejected.
    TopicsRejected,
    /// `connectUri` leads to another host.
    UriElsewhere,
    /// `connectUri` is of the scheme `ws`.
    UriPlain,
    /// `connectUri` is no URI.
    UriGarbage,
    /// The spare channel is somebody else's.
    SpareTaken,

    // The streaming host, while it lasts.
    /// Connection refused.
    DialRefused,
    /// No answer to the SYN.
    DialHangs,
    /// Handshake answered with 404, and the channel is gone.
    UpgradeMissing,
    /// Handshake answered with 401.
    UpgradeUnauthorized,
    /// Handshake answered with 403.
    UpgradeForbidden,
    /// Handshake answered with 503 and `Retry-After`.
    UpgradeUnavailable,
    /// Our `{"message":"ping"}` is not answered.
    PingUnanswered,
    /// Close frames are not answered.
    CloseUnanswered,
    /// Up to 2 s more, each way.
    NetworkSlow,
    /// Every heartbeat comes twice.
    BeatsTwice,

    // Once.
    /// The sockets of now say nothing any more, and answer pings of WebSocket still.
    Stall,
    /// Nothing passes any more on the sockets of now.
    Swallowed,
    /// Every socket ends without a close.
    Dropped,
    /// The newest socket ends without a close.
    DroppedNewest,
    /// Every socket is closed without a warning, with one code or another.
    Closed,
    /// `socket_closing`, and the close a minute later.
    ClosingThenClosed,
    /// `socket_closing`, and nothing follows.
    ClosingOnly,
    /// Every channel expires.
    ChannelExpires,
    /// Every channel is evicted by somebody else's.
    ChannelEvicted,
    /// Somebody else connects to the channels.
    Displaced,
    /// The tokens end without a word: their channels die, their sockets are closed.
    TokensDie,
    /// The tokens are revoked, with a word.
    TokensRevoked,
    /// Frames nobody knows.
    UnknownFrames,
    /// The application's queue is full for a while.
    AppStalls,
    /// `refresh_now`.
    AppRefreshes,
    /// The application wants other topics.
    AppTopics,
    /// The machine sleeps.
    Suspended,
    /// The wall clock is set.
    WallStepped,
}

/// Until when each fault lasts.
#[derive(Debug)]
pub struct Weather([u64; Fault::ALL.len()]);

impl Default for Weather {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Weather {
    pub fn on(&self, fault: Fault, now_ms: u64) -> bool {
        now_ms < self.0[fault as usize]
    }

    pub fn set(&mut self, fault: Fault, until_ms: u64) {
        self.0[fault as usize] = until_ms;
    }

    /// Everything that lasts ends.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Platform {
    pub fn on(&self, fault: Fault) -> bool {
        self.weather.on(fault, self.now_ms)
    }

    /// From now on, for so long.
    pub fn fault_for(&mut self, fault: Fault, ms: u64) {
        self.faulty = true;
        self.weather.set(fault, self.now_ms + ms);
        if fault == Fault::SpareTaken {
            self.later(ms, Event::SpareFree);
        }
    }

    pub fn faults_end(&mut self) {
        self.weather.clear();
        (0..self.clients.len()).for_each(|who| self.unstall(who));
        self.grant_spare();
    }

    /// Injects a fault: the lasting ones for `ms`, the others once.
    pub fn strike(&mut self, fault: Fault, ms: u64) {
        self.faulty = true;
        self.say("!", &fault);
        let now_ms = self.now_ms;
        self.clients.iter_mut().for_each(|client| client.laws.account.struck(now_ms, fault));
        match fault {
            Fault::Stall => self.each_socket(false, |w, who, epoch| {
                let now_ms = w.now_ms;
                w.socket(who, epoch).mute_ms.get_or_insert(now_ms);
            }),
            Fault::Swallowed => self.each_socket(false, |w, who, epoch| w.socket(who, epoch).swallowed = true),
            Fault::Dropped => self.each_socket(false, |w, who, epoch| w.hang_up(who, epoch, Wire::Eof)),
            Fault::DroppedNewest => self.each_socket(true, |w, who, epoch| w.hang_up(who, epoch, Wire::Eof)),
            Fault::Closed => {
                let code = [1000, 1001, 1006, 1011, 1012, 1013][self.up_to(5) as usize];
                self.each_socket(false, |w, who, epoch| w.hang_up(who, epoch, Wire::Close(code)));
            }
            Fault::ClosingThenClosed => self.each_socket(true, |w, who, epoch| {
                w.system(who, epoch, super::sockets::CLOSING);
                w.later(60_000, Event::CloseDue { who, epoch, code: 1001 });
            }),
            Fault::ClosingOnly => {
                self.each_socket(true, |w, who, epoch| w.system(who, epoch, super::sockets::CLOSING));
            }
            Fault::ChannelExpires => self.channels_end(""),
            Fault::ChannelEvicted => self.channels_end("another_channel_subscribed"),
            Fault::Displaced => self.each_socket(true, Self::displace),
            Fault::TokensDie => self.tokens_end(false),
            Fault::TokensRevoked => self.tokens_end(true),
            Fault::UnknownFrames => self.each_socket(false, Self::send_oddities),
            Fault::AppStalls => (0..self.clients.len()).for_each(|who| self.stall(who, ms)),
            Fault::AppRefreshes => self.refresh_now(),
            Fault::AppTopics => (0..self.clients.len()).for_each(|who| self.change_topics(who)),
            Fault::Suspended => self.suspend(ms),
            Fault::WallStepped => {
                let by_ms = self.up_to(120_000) as i64 - 60_000;
                self.step_wall(by_ms);
            }
            lasting => self.fault_for(lasting, ms),
        }
    }

    /// Does something to every socket that the platform serves, or to the newest of each client.
    pub fn each_socket(&mut self, newest: bool, act: impl Fn(&mut Self, usize, u64)) {
        for who in 0..self.clients.len() {
            let sockets = self.clients[who].sockets.iter().rev();
            let mut epochs: Vec<u64> =
                sockets.filter(|(_, s)| s.served && s.end != End::Gone).map(|(epoch, _)| *epoch).collect();
            epochs.truncate(if newest { 1 } else { epochs.len() });
            for epoch in epochs {
                act(self, who, epoch);
            }
        }
    }
}
