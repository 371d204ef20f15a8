//! What the close codes of a server mean, unless the application knows better.

/// What a close code of the server asks for (RFC 6455 7.4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CloseClass {
    /// An ordinary loss: dial again by the reconnect delay.
    #[default]
    Retry,
    /// The server goes away on purpose: the first dial is spread over 5 s.
    Drain,
    /// The token was at fault: a new one is fetched first.
    Token,
    /// Nothing to come back to: the client becomes `Failed`.
    Final,
}

impl CloseClass {
    /// All, in the order of the documentation.
    pub(super) const ALL: [Self; 4] = [Self::Retry, Self::Drain, Self::Token, Self::Final];

    /// As the key `ws.close_codes` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Drain => "drain",
            Self::Token => "token",
            Self::Final => "final",
        }
    }
}

/// What is known of close codes unless [`super::settings::Settings::close_codes`] says otherwise; all others are [`CloseClass::Retry`].
/// 1001, 1012, 1013 (RFC 6455 7.4.1 and the IANA registry), 1008 (policy), 4401 and 4403 (in use for HTTP's 401, 403).
pub const CLOSE_CODES: [(u16, CloseClass); 6] = [
    (1001, CloseClass::Drain),
    (1008, CloseClass::Token),
    (1012, CloseClass::Drain),
    (1013, CloseClass::Drain),
    (4401, CloseClass::Token),
    (4403, CloseClass::Token),
];
