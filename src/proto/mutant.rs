//! Switches that break one rule each, for the tests that ask whether anybody would notice.
//!
//! Outside of tests [`active`] is a constant `false` and the switches are gone.

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule, broken on purpose.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Mutant { $($(#[$doc])* $name,)* }

        #[cfg(test)]
        impl Mutant {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    // Scopes.
    /// The token response comes before what the token says.
    AnswerBeforeClaim,
    /// Other words in another order are other grants.
    OrderIsChange,
    /// Nobody hears that a renewal changed the grants.
    ScopeChangeUntold,
    /// A renewed token is taken although it lacks a required scope.
    LostScopeTaken,
    /// A lost scope is given back by an answer that does not come.
    SilenceGivesBack,
    /// A lost scope ends all attempts, as at the start.
    LostScopeBlocks,
    /// Attempts after a denial follow each other as after a failure.
    DenialHurries,
    /// The application cannot hurry the attempt after a denial.
    DenialNotHurried,
    /// Every denial is recorded, though it says what the last one did.
    DenialRepeated,
    /// A lost scope closes the live socket although it is to be kept.
    LostScopeCloses,
    /// The live socket is kept although it is to be closed.
    LostScopeKept,
    /// The state does not say that scopes were lost.
    LostScopeHidden,

    // The refresher.
    /// A failed attempt is on record, and not counted.
    FailureUncounted,
    /// A failed early renewal discards the token that is still good.
    FailureDropsToken,
    /// A second request while one is in flight.
    SecondRequest,
    /// The token is published before its refresh token is persisted.
    PublishFirst,
    /// The application may take for ever to persist.
    PersistForEver,
    /// A rotated refresh token is not taken over.
    RotationIgnored,
    /// The refresh token of an answer that is refused is not given to the application.
    RotationLostOnRefusal,
    /// The refresh token that the application handed over meanwhile is overwritten.
    ReplacementOverwritten,
    /// Closing does not wait for the answer that may carry a refresh token.
    CloseDropsAnswer,
    /// Forced refreshes follow each other without a floor.
    NoForcedFloor,
    /// A forced refresh that had to wait does not count for the next one.
    ForcedWaitForgotten,
    /// `Retry-After` is not a lower bound.
    RetryAfterIgnored,
    /// A blocked credential makes `Retry-After` void.
    RetryAfterForgotten,
    /// No breaker after five failures.
    NoBreaker,
    /// Retries are not bounded by what is left of the token.
    RetryUnbounded,
    /// A throttle waits no longer than any failure.
    ThrottleIsPlain,
    /// Every throttled client waits for exactly as long as all others.
    ThrottledInStep,
    /// A breaker that a throttle opens is open for a whole wait from the start.
    FirstThrottleWhole,
    /// Who is told the same `Retry-After` comes back at the same time.
    RetryAfterInStep,
    /// The lead is not kept.
    NoLead,
    /// The answer to an older request is taken.
    StaleReply,
    /// A refused authorization code is sent again.
    CodeTwice,
    /// A SAML assertion that was refused is sent again.
    AssertionTwice,
    /// A code that was refused is asked for again, at once.
    AsksForEver,
    /// Assertions are dated by this machine's clock, whatever the server's says.
    OwnClockSigned,
    /// No authorization code is asked for.
    NeverAsks,
    /// A refused token is not replaced.
    RefusalIgnored,
    /// The refusal of an older token fetches a new one.
    StaleRefusalFetches,
    /// The end of trust in an older token blocks, although a newer one is out.
    GiveUpIsStale,
    /// A new credential does not leave the blocked state.
    BlockedForGood,
    /// Who waits for a token is not served by the new one.
    WishForgotten,
    /// Near the end of the old token a wish waits for the request however long it takes.
    WishWaits,
    /// A round that failed is not reported.
    RoundUnreported,
    /// A long `Retry-After` is sat out like a short one.
    QuotaIsPlain,
    /// A token that lives for less than a second is taken.
    ShortLifeTaken,
    /// Something follows `Stopped`.
    ActiveAfterStop,

    /// The application may take for ever to provide a token.
    ProviderForEver,
    /// The application may provide the token that was refused.
    RefusedTakenAgain,
    /// What the token store holds is not used.
    StoreNotRead,
    /// A rotated refresh token is not stored.
    RotationNotStored,
    /// The store stays locked while nobody needs it.
    LockKept,
    /// The store is used although another token was configured.
    ForeignStoreTaken,
    /// A refresh token that could not be stored gives way to the one that was.
    UnsavedDropped,
    /// A refused refresh token is dead although another process has replaced it.
    NeverReadAgain,
    /// A refresh token that comes after the close is not stored.
    CloseDoesNotStore,
    /// The scopes of client credentials are asked for.
    RolesProbed,
    /// A token that the API refuses is published.
    ProbeRefusalIgnored,
    /// An idle timeout does not shorten a token's life.
    IdleTimeoutIgnored,
    /// A proxy's 407 is retried by a client that never had a token.
    StrangerInsists,
    /// That a token is asked for is not on record.
    RequestUnrecorded,
    /// That a token is in force is not on record.
    IssueUnrecorded,
    /// That a token is in force is on record twice.
    IssueRecordedTwice,
    /// That no token was granted is not on record.
    RefusalUnrecorded,
    /// What was asked for when the end came stays open on record.
    EndUnrecorded,
    /// That a refresh token is kept, or is not, is not on record.
    KeepingUnrecorded,

    /// Tokens are believed although they are to be verified.
    NothingVerified,
    /// The issuer's keys are used for as long as they are in memory.
    KeysNeverExpire,
    /// An issuer's answer may be fresh for a week, or not at all.
    KeyAgeUnbounded,
    /// Keys that are over are used on for ever when there are no newer ones.
    StaleForEver,
    /// Keys that are over are not used on.
    NeverStale,
    /// Tokens of unknown keys make us ask without end.
    NoKeyCooldown,
    /// Keys are asked for once more when the token's is not among those that just came.
    KeysAskedForEver,
    /// A key that is not known is none, although the issuer may have a new one.
    UnknownKeyIsFinal,
    /// An issuer whose keys cannot be had is asked for them at every token.
    IssuerPestered,
    /// A question about a token that says that it is over has no time.
    NoLeastForQuestions,
    /// Every question has the whole time of an attempt.
    TimeBeginsAnew,
    /// A key goes by one name for ever.
    NameIsKey,
    /// The issuer's keys may take longer than the token lives.
    KeysForEver,
    /// A verified `exp` is judged once, and then the answer says how long the token lives.
    VerifiedEndIgnored,
    /// Tokens are judged by this machine's clock, whatever the server's says.
    OwnClockVerifies,
    /// A token that its issuer calls inactive is taken.
    InactiveTaken,
    /// A renewal may bring somebody else's token.
    IdentityUnpinned,
    /// The token of a credential that has been replaced says whose tokens are taken.
    OldCredentialPins,
    /// A new credential has to be of the same user.
    PinForEver,
    /// What a token says of itself is forgotten once its issuer is asked.
    ClaimsForgotten,
    /// The refresh token of somebody else replaces the one that was held.
    StrangersRefreshKept,

    // The session.
    /// A token is presented after `t_usable`.
    ExpiredPresented,
    /// A refused renewal ends the socket.
    RefusedRenewalCloses,
    /// A reply may take for ever.
    NoAuthDeadline,
    /// The endpoint is never marked as unable to renew in band.
    NeverMarked,
    /// One failure marks the endpoint.
    MarkedAtOnce,
    /// Make-before-break is not used although the endpoint is marked.
    MarkIgnored,
    /// The second socket's messages are not held back.
    NotHeldBack,
    /// The hand-over is announced before the old socket is read out.
    HandoverEarly,
    /// A second hand-over begins before the first is done.
    HandoversOverlap,
    /// A loss is not a gap.
    NoGap,
    /// A gap does not end.
    GapStaysOpen,
    /// What could not be read out is not a gap.
    UnreadIsNoGap,
    /// A gap begins at what was read last, however late it was read.
    LateReadIsFresh,
    /// The application's messages go on to a socket that is gone.
    SendOnDead,
    /// Connecting resets the reconnect delay.
    NotSticky,
    /// Stability does not shorten the reconnect delay.
    NeverCalm,
    /// A drain is answered with the ordinary backoff.
    DrainIsPlain,
    /// Any number of tokens may be refused alike.
    NoTwoStrikes,
    /// One refusal blocks.
    OneStrike,
    /// No pings.
    NoPing,
    /// A missing pong means nothing.
    PongNotMissed,
    /// Timers run while a socket is not read.
    StallIgnored,
    /// A socket is kept however long its token is dead.
    ExpiredKept,
    /// Facts about a socket that is gone are believed.
    OldEpoch,
    /// Dialling goes on after the end.
    DialAfterEnd,
    /// Attempts are audited twice.
    AuditedTwice,
    /// A renewal that was under way when the socket was lost is not audited.
    LostRenewalUnaudited,
    /// `connect` goes on for ever.
    OnceIsForEver,
    /// The session id is not offered again.
    SessionIdForgotten,
    /// Two standbys.
    SecondStandby,
    /// A dial near the token's end waits for the request however long it takes.
    HoldsForEver,
    /// A dial near the token's end does not wait.
    NeverHolds,
    /// A token that was seen and dropped is taken again.
    SeenTakenAgain,
    /// A suspend goes unnoticed.
    SuspendIgnored,
    /// A throttled renewal is not presented again.
    ThrottledForgotten,
    /// Nobody hears that the lead-time goal was missed.
    GoalIgnored,
    /// The goal that was set does not count.
    OwnGoalIgnored,
    /// A goal that passed is not told to the metrics.
    GoalUntold,
    /// A renewal counts as in time although the goal had passed.
    LateIsInTime,
    /// A socket waits for its token however long that takes.
    WaitsForEver,
    /// Sockets are dialled ahead of the same token again and again.
    AheadAgain,
    /// The upgrade is not held back although the token is slow.
    UpgradeWhenSlow,
    /// The socket that waits for a token stays open although there will be none.
    DeniedStaysOpen,
    /// An upgrade refused with 403 is tried again.
    ForbiddenGoesOn,
    /// An address where there never was a WebSocket is dialled again.
    MissingGoesOn,
    /// A close code of the class `final` is no end.
    FinalGoesOn,
    /// `Retry-After` of an upgrade is no lower bound.
    ServerAskedInVain,
    /// A token that others share is not checked for what this client needs.
    SharedUnchecked,
    /// A password of a proxy that was replaced meanwhile is refused for good.
    OldPasswordBlocks,
    /// Nobody hears that the wall clock was set.
    StepUntold,
    /// That a socket was opened is not on record.
    OpeningUnrecorded,
    /// That a socket ended is not on record.
    EndingUnrecorded,
    /// A socket whose loss is on record is on record as closed, too.
    LossRecordedTwice,
    /// That the wall clock was set, or the machine slept, is not on record.
    ClocksUnrecorded,

    // The profile `notifications`.
    /// That a channel was made is not on record.
    ChannelUnrecorded,
    /// That topics were subscribed to is not on record.
    TopicsUnrecorded,
    /// That another client has taken the channel is not on record.
    DisplacementUnrecorded,
    /// A socket whose heartbeats fail to come stays in use.
    NoWatchdog,
    /// A client that was displaced comes back at once.
    FightsForChannel,
    /// A second channel is made without asking for the spare one.
    SecondChannelWithoutSpare,
    /// The spare channel is not returned.
    SpareKept,
    /// What came by both sockets of a rollover is delivered twice.
    TwinsDelivered,
    /// An equal event on one socket is taken for a copy.
    PairsOnOneSocket,
    /// A channel is used again although it is gone, has expired, or belongs to another token.
    StaleChannelUsed,
    /// A channel is used again and again.
    ReusedForEver,
    /// A channel is used again unasked after a loss that says nothing of it.
    DoubtIgnored,
    /// A `connectUri` may lead anywhere.
    UriUnchecked,
    /// A gap does not say after which event it began.
    GapWithoutId,
    /// The answer to an older REST request is believed.
    StaleRest,
    /// An answer to a REST request may take for ever.
    RestForEver,
    /// A channel is let expire.
    ChannelLetExpire,
    /// A notice that the socket closes is ignored.
    ClosingIgnored,
    /// Topics that change while the socket is live are not subscribed to.
    TopicsForgotten,
    /// A token that was revoked is not replaced.
    RevokedIgnored,
    /// The old channel keeps its subscriptions.
    OldKeepsSubscriptions,
    /// What the API refused for good is asked again and again.
    RefusedChannelInsists,
    /// A channel that is replaced loses its topics in the moment in which the next one is live.
    LeavesAtOnce,
    /// The second socket is dialled before all that it may bring is noted of the first.
    DialsAtOnce,
    /// A notice of the end of a channel that is read late is no gap.
    LateNoticeIgnored,
    /// Nobody hears that nothing more comes by a channel whose socket is still open.
    DryIsNoGap,
}

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether this rule is broken.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn active(_: Mutant) -> bool {
    false
}

/// Whether this rule is broken on this thread.
#[cfg(test)]
pub(crate) fn active(mutant: Mutant) -> bool {
    ACTIVE.with(|active| active.get() == Some(mutant))
}

/// Breaks a rule on this thread, or none.
#[cfg(test)]
pub(crate) fn activate(mutant: Option<Mutant>) {
    ACTIVE.with(|active| active.set(mutant));
}
