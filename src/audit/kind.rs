//! What a record is about: a closed list with stable numbers and names, and how bad each is at most.

/// How bad it is. RFC 5424 6.2.1 has the same names for the levels from 6 to 2.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// As it should be.
    Info,
    /// Worth a look.
    Notice,
    /// Something went wrong, and is tried again or goes on.
    Warning,
    /// Something went wrong that does not mend itself.
    Error,
    /// The client is Failed.
    Critical,
}

impl Level {
    /// All, the mildest first.
    pub const ALL: &'static [Self] = &[Self::Info, Self::Notice, Self::Warning, Self::Error, Self::Critical];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

macro_rules! kinds {
    ($($variant:ident = $id:literal, $name:literal, $level:ident, $doc:literal, $members:expr;)*) => {
        /// What a record is about. Numbers are never reused.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = $doc] $variant = $id,)*
        }

        impl Kind {
            /// All, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name: `event_type`, or `action` of the scope payload.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// How bad a record of this kind is at most: one that says that all is well is `Info`.
            pub fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }

            /// In words.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// Its members beside those of its error: of a log's own records those of the record's head.
            pub fn members(self) -> &'static [&'static str] {
                match self { $(Self::$variant => $members,)* }
            }
        }
    };
}

kinds! {
    Attempt = 1, "authentication_attempt", Warning, "An authentication attempt ended.", &["scopes_validated", "phase", "scopes"];
    Scopes = 2, "scope_validation", Warning, "A token's scopes were checked.", &["required", "granted", "missing"];
    RefreshTokenNotPersisted = 3, "refresh_token_not_persisted", Warning, "A rotated refresh token is not kept.", &[];
    ConnectionLost = 4, "connection_lost", Warning, "A live socket was lost.", &["connection"];
    Closed = 5, "client_closed", Info, "The application closed the client.", &[];
    Panicked = 6, "panic", Critical, "A panic was caught; the client is Failed.", &["location"];
    Loss = 7, "audit_loss", Error, "Audit records were lost to the queue's bound, or refused by a sink with a chain.", &[];
    TokenRequested = 8, "token_requested", Info, "A token is asked for.", &["grant", "authentication"];
    TokenIssued = 9, "token_issued", Info, "A token is in force.", &["serial", "lifetime_ms", "rotated", "trust"];
    TokenRefused = 10, "token_refused", Warning, "No token was granted, or it is not taken.", &[];
    RefreshTokenStored = 11, "refresh_token_stored", Info, "A rotated refresh token is kept.", &["by"];
    ScopesChanged = 12, "scopes_changed", Error, "A renewal changed what is granted.", &["added", "removed", "missing"];
    IdentityChanged = 13, "identity_changed", Error, "A renewed token is about somebody else.", &["claim"];
    KeysLoaded = 14, "keys_loaded", Info, "The issuer's keys were read.", &["keys"];
    KeysStale = 15, "keys_stale", Warning, "The issuer's keys are older than they should be.", &["age_ms"];
    SocketOpened = 16, "socket_opened", Info, "A WebSocket was opened; nobody is authenticated on it yet.", &["connection"];
    SocketClosed = 17, "socket_closed", Info, "A WebSocket was left on purpose, or ended before it was live.", &["connection", "close_code", "clean"];
    ChannelMade = 18, "channel_made", Info, "A channel was made.", &[];
    Subscribed = 19, "channel_subscribed", Warning, "A channel was subscribed to topics.", &["permitted", "refused", "rejected"];
    Displaced = 20, "displaced", Error, "Another client has taken the channel.", &[];
    ConfigurationLoaded = 21, "configuration_loaded", Info, "A client started for the first time, with this configuration.", &["fingerprint"];
    TrustLoaded = 22, "trust_loaded", Info, "These authorities are trusted.", &["store", "roots", "pins"];
    ClockStepped = 23, "clock_stepped", Notice, "The wall clock was set.", &["by_ms"];
    Resumed = 24, "resumed", Notice, "The machine slept.", &["slept_ms"];
    Checkpoint = 25, "audit_checkpoint", Error, "Counters of the audit log, and its state.", &[];
}

impl Kind {
    /// Stable number, from 1.
    pub fn id(self) -> u16 {
        self as u16
    }

    /// Place in [`Self::ALL`]: numbers are a row from 1.
    pub(crate) fn index(self) -> usize {
        usize::from(self.id()) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_a_row_from_one_and_names_are_unlike() {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.id()), index + 1);
            assert_eq!(kind.index(), index);
            assert_eq!(Kind::ALL.iter().filter(|other| other.name() == kind.name()).count(), 1);
        }
    }
}
