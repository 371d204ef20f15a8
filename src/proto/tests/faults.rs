//! The reviewed list of faults. A fault with a duration is asked for by [`Weather::on`] at the place where it bites;
//! one without happens once, in [`World::strike`].

use super::server::TOO_SHORT_MS;
use super::wires::{End, Socket};
use super::world::{Wire, World};
use crate::proto::session::{self, Rounds};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What goes wrong in the world.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Fault { $($(#[$doc])* $name,)* }
        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

faults! {
    // The token endpoint, while it lasts.
    /// 503.
    TokenUnavailable,
    /// 429 without Retry-After.
    TokenThrottled,
    /// 429 with Retry-After up to 60 s.
    TokenThrottledFor,
    /// 400 `rate limit exceeded`.
    TokenRateLimited,
    /// 429 with Retry-After of more than 180 s.
    TokenQuota,
    /// 200 and a web page.
    TokenHtml,
    /// No answer until the request's time is up; nothing was done.
    TokenHangs,
    /// Answered, the refresh token rotated, and the answer never arrives.
    TokenAnswerLost,
    /// Answers after up to 20 s.
    TokenSlow,
    /// No connection.
    TokenUnreachable,
    /// The proxy wants other credentials.
    TokenProxyAuth,
    /// A token that lives for less than a second, with a rotated refresh token.
    TokenTooShort,
    /// 401.
    TokenUnauthorized,
    /// 403.
    TokenForbidden,
    /// Tokens without the scope that is needed.
    TokenScopeMissing,
    /// Tokens with other scopes, among them the one that is needed.
    TokenScopesDiffer,

    // The socket server, while it lasts.
    /// Connection refused.
    DialRefused,
    /// No answer to the SYN.
    DialHangs,
    /// Upgrade answered with 401.
    DialUnauthorized,
    /// Upgrade answered with 503.
    DialUnavailable,
    /// Upgrade answered with 403.
    DialForbidden,
    /// Upgrade answered with 404.
    DialMissing,
    /// Every auth message is refused alike, but for the number of the request.
    AuthRefused,
    /// Every auth message is refused with another text, which repeats the token.
    AuthRefusedOddly,
    /// Every auth message is throttled.
    AuthThrottled,
    /// Auth messages are not answered, accepted or not.
    AuthSilent,
    /// Auth messages are answered without a status.
    AuthGarbled,
    /// The socket is closed with 1008 instead of a reply.
    AuthClosed,
    /// In-band renewals are refused.
    RenewalRefused,
    /// In-band renewals are not answered.
    RenewalSilent,
    /// In-band renewals are throttled.
    RenewalThrottled,
    /// Pings are not answered.
    NoPong,
    /// Close frames are not answered.
    NoCloseReply,
    /// Up to 2 s more, each way.
    NetworkSlow,

    // The application, while it lasts.
    /// Never answers that it has persisted.
    AppNeverPersists,
    /// Persists up to 20 s late.
    AppPersistsLate,
    /// Says that it cannot persist.
    AppCannotPersist,
    /// Never answers with a code.
    AppHasNoCode,
    /// Says that there will be no code.
    AppDeniesCode,
    /// Never provides a token.
    AppProvidesNone,
    /// Provides a token up to 30 s late.
    AppProvidesLate,
    /// Says that there is no token now.
    AppCannotProvide,
    /// Provides the same token as before, with what is left of its life.
    AppProvidesAgain,
    /// Provides a token that is dead, and says it lives.
    AppProvidesDead,

    // Once.
    /// Every socket ends without a close.
    Dropped,
    /// The newest socket ends without a close.
    DroppedNewest,
    /// The server closes with 1001.
    ClosedToDrain,
    /// The server says in a message that it will go; the application passes it on.
    DrainAnnounced,
    /// The server closes with 1008.
    ClosedForToken,
    /// The server closes with 1011.
    ClosedOddly,
    /// Nothing passes any more on the sockets of now.
    Swallowed,
    /// The server revokes every access token; sockets stay.
    TokensRevoked,
    /// The refresh token is revoked: only a new credential helps.
    RefreshTokenDies,
    /// The application's queue is full for a while.
    AppStalls,
    /// `refresh_now`, several times.
    AppRefreshes,
    /// Tokens are asked for, with all kinds of life left.
    AppWishes,
    /// The application replaces the refresh token.
    AppReplacesCredential,
    /// The machine sleeps.
    Suspended,
    /// The wall clock is set.
    WallStepped,
    /// `start` is called again.
    StartedAgain,
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

impl World {
    /// From now on, for so long.
    pub fn fault_for(&mut self, fault: Fault, ms: u64) {
        self.weather.set(fault, self.now_ms + ms);
    }

    pub fn faults_end(&mut self) {
        self.weather.clear();
    }

    /// Injects a fault: the lasting ones for `ms`, the others once.
    pub fn strike(&mut self, fault: Fault, ms: u64) {
        match fault {
            Fault::Dropped => self.end_sockets(false, &Wire::Eof),
            Fault::DroppedNewest => self.end_sockets(true, &Wire::Eof),
            Fault::ClosedToDrain => self.end_sockets(true, &Wire::Close(1001)),
            Fault::DrainAnnounced => self.feed_session(session::Input::DrainNotice),
            Fault::ClosedForToken => self.end_sockets(true, &Wire::Close(1008)),
            Fault::ClosedOddly => self.end_sockets(false, &Wire::Close(1011)),
            Fault::Swallowed => self.sockets.values_mut().for_each(|socket| socket.swallowed = true),
            Fault::TokensRevoked => self.server.revoke_tokens(),
            Fault::RefreshTokenDies => self.server.kill_refresh_token(),
            Fault::AppStalls => self.stall(ms),
            Fault::AppRefreshes => {
                for _ in 0..3 {
                    self.refresh_now();
                    let pause = self.up_to(3_000);
                    self.run_for(pause);
                }
            }
            Fault::AppWishes => {
                let life = self.nature.lifetime_ms;
                for _ in 0..3 {
                    let min_left = self.up_to(life + life / 10);
                    self.wish(min_left);
                }
            }
            Fault::AppReplacesCredential => self.new_credential(),
            Fault::Suspended => self.suspend(ms),
            Fault::WallStepped => self.wall_step_ms += self.dice.up_to(120_000) as i64 - 60_000,
            Fault::StartedAgain => self.start(Rounds::Forever),
            lasting => self.fault_for(lasting, ms),
        }
    }

    /// The server ends sockets: the newest or all.
    fn end_sockets(&mut self, newest: bool, how: &Wire) {
        let open = |(epoch, socket): (&u64, &Socket)| (socket.served && socket.end != End::Gone).then_some(*epoch);
        let mut epochs: Vec<u64> = self.sockets.iter().rev().filter_map(open).collect();
        epochs.truncate(if newest { 1 } else { epochs.len() });
        for epoch in epochs {
            self.hang_up(epoch, how.clone());
        }
    }
}

const _: () = assert!(TOO_SHORT_MS < 1_000);
