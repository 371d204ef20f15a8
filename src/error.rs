//! Errors as data: who is at fault, where it happened, whether a retry helps, and what to do next.

use std::fmt;

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Blame {
    /// The application: an argument, a setting, the order of calls.
    Caller,
    /// The network or the machine between the two ends.
    Network,
    /// The server, or whoever configured it.
    Peer,
    /// This library.
    Us,
}

/// The part of the work that failed, as the C header names it (`GWA_CATEGORY_…`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
#[repr(i32)]
pub enum Category {
    /// A setting or an argument.
    Config = 1,
    /// Name resolution.
    Dns = 2,
    /// TCP.
    Tcp = 3,
    /// A proxy on the way.
    Proxy = 4,
    /// TLS, certificates included.
    Tls = 5,
    /// HTTP.
    Http = 6,
    /// OAuth 2.0.
    Oauth = 7,
    /// WebSocket and its authentication.
    Ws = 8,
    /// Scopes of a token.
    Scope = 9,
    /// A callback of the application.
    Callback = 10,
    /// A panic that was caught.
    Panic = 11,
    /// Everything else inside the library.
    Internal = 12,
}

impl Category {
    /// The name used in JSON, e.g. `oauth`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Oauth => "oauth",
            Self::Ws => "ws",
            Self::Scope => "scope",
            Self::Callback => "callback",
            Self::Panic => "panic",
            Self::Internal => "internal",
        }
    }
}

/// The step during which an error arose.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// A call of the application, before any network work.
    #[default]
    Call,
    /// Reading the configuration or the trust store.
    Configure,
    /// Resolving a host name.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// Asking a proxy for a way through (CONNECT).
    Proxy,
    /// The TLS handshake.
    Tls,
    /// The token request or its answer.
    Token,
    /// The check of the token's scopes.
    Scopes,
    /// Making a channel of the Notifications API, or asking for one.
    Channel,
    /// Subscribing to topics.
    Subscribe,
    /// The WebSocket upgrade.
    Upgrade,
    /// The authentication message and its reply.
    Authenticate,
    /// A renewal on the live socket.
    Renew,
    /// The live socket.
    Live,
    /// The application's callback.
    Callback,
    /// Closing.
    Close,
}

impl Stage {
    /// The name used in error texts and JSON, e.g. `token`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Configure => "configure",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Token => "token",
            Self::Scopes => "scopes",
            Self::Channel => "channel",
            Self::Subscribe => "subscribe",
            Self::Upgrade => "upgrade",
            Self::Authenticate => "authenticate",
            Self::Renew => "renew",
            Self::Live => "live",
            Self::Callback => "callback",
            Self::Close => "close",
        }
    }
}

/// One row per code: variant, number, C name, category, blame, retriable, text, hint.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $category:ident, $blame:ident, $retriable:literal, $text:literal, $hint:literal;)*) => {
        /// What went wrong. Numbers are written out and never reused (`GWA_E_…` in C).
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        #[repr(i32)]
        pub enum Code {
            $(#[doc = $text] $variant = $number,)*
        }

        impl Code {
            /// Every code, in the order of its number.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The stable name, e.g. `GWA_E_DNS`.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name),* }
            }

            /// One sentence on what the code means.
            pub fn text(self) -> &'static str {
                match self { $(Code::$variant => $text),* }
            }

            /// One sentence on what to do about it.
            pub fn hint(self) -> &'static str {
                match self { $(Code::$variant => $hint),* }
            }

            /// The part of the work that failed.
            pub fn category(self) -> Category {
                match self { $(Code::$variant => Category::$category),* }
            }

            /// Who has to act.
            pub fn blame(self) -> Blame {
                match self { $(Code::$variant => Blame::$blame),* }
            }

            /// Whether the same request may succeed later without anybody acting.
            pub fn is_retriable(self) -> bool {
                match self { $(Code::$variant => $retriable),* }
            }
        }
    };
}

codes! {
    BadHandle = 4100, "GWA_E_BAD_HANDLE", Config, Caller, false, "The handle is NULL, was freed, or is of another type.", "Check the order in which handles are freed; a handle is dead once its free function was called.";
    InvalidArgument = 4101, "GWA_E_INVALID_ARGUMENT", Config, Caller, false, "An argument is NULL, out of range or contradictory.", "The message names the argument.";
    InvalidUtf8 = 4102, "GWA_E_INVALID_UTF8", Config, Caller, false, "A text argument is not UTF-8.", "Convert the text to UTF-8 first.";
    UnknownKey = 4103, "GWA_E_UNKNOWN_KEY", Config, Caller, false, "No configuration key has this name.", "The message names the nearest key.";
    BadValue = 4104, "GWA_E_BAD_VALUE", Config, Caller, false, "The value of a configuration key cannot be used.", "The message names the key, its type and its range.";
    MissingKey = 4105, "GWA_E_MISSING_KEY", Config, Caller, false, "A configuration key that is needed has no value.", "Set the key that the message names.";
    BadState = 4106, "GWA_E_BAD_STATE", Config, Caller, false, "The call does not fit the state the client is in.", "The message says which call has to come first.";
    Reentrant = 4107, "GWA_E_REENTRANT", Config, Caller, false, "The call would wait for the callback it is made from.", "Make the call from another thread, or after the callback has returned.";
    Cancelled = 4108, "GWA_E_CANCELLED", Internal, Caller, false, "The work was ended by a shutdown or free.", "Nothing to do; start the client again if this was not meant.";
    Timeout = 4109, "GWA_E_TIMEOUT", Internal, Network, true, "The time allowed for the call is up.", "Allow more time, or look at the client's state for what it is waiting for.";
    Interrupted = 4110, "GWA_E_INTERRUPTED", Internal, Caller, true, "gwa_client_interrupt ended the wait.", "Repeat the call if it is still wanted.";
    Closed = 4111, "GWA_E_CLOSED", Internal, Caller, false, "The client is closed and its queue is empty.", "Free the client.";
    QueueFull = 4112, "GWA_E_QUEUE_FULL", Internal, Caller, true, "The send queue is at its bound.", "Wait for on_sent, or raise send.queue_messages or send.queue_bytes.";
    TooLarge = 4113, "GWA_E_TOO_LARGE", Config, Caller, false, "The data is larger than the configured maximum.", "Split the data or raise the limit that the message names.";
    AbiMismatch = 4114, "GWA_E_ABI_MISMATCH", Config, Caller, false, "The program was compiled with a header of another version.", "Compile the program with the header that belongs to this library.";
    Forked = 4115, "GWA_E_FORKED", Config, Caller, false, "The handle was made before fork().", "Create a client of its own in the child.";
    TrustStore = 4116, "GWA_E_TRUST_STORE", Tls, Caller, false, "The trust store cannot be read or holds no certificate.", "Check tls.trust and the file it names; a bare container image may have no system roots.";
    ClientCertificate = 4117, "GWA_E_CLIENT_CERTIFICATE", Tls, Caller, false, "The client certificate or its key cannot be used.", "Check tls.client_cert_file and tls.client_key_file, or their _pem twins: both in PEM, the key not encrypted and the certificate's own.";
    ChannelLimit = 4118, "GWA_E_CHANNEL_LIMIT", Config, Caller, false, "The source of tokens has 19 clients with a channel already; with the spare one they are the 20 that Genesys Cloud allows.", "Use a second OAuth client for further clients, or put more topics on one channel.";
    Store = 4119, "GWA_E_STORE", Config, Caller, true, "A file that the library keeps, the token store or the state of the audit chain, cannot be read or written.", "Check the file that the message names (token.store, audit.chain_state), its directory, who may write there, and whether another client has it.";

    Dns = 4200, "GWA_E_DNS", Dns, Network, true, "The host name could not be resolved.", "Check the region or URL, and the resolver of this machine.";
    Connect = 4201, "GWA_E_CONNECT", Tcp, Network, true, "No TCP connection could be made to any address.", "Check firewall, proxy and routing to the host the error names.";
    ConnectTimeout = 4202, "GWA_E_CONNECT_TIMEOUT", Tcp, Network, true, "Connecting took too long.", "Check firewall, proxy and routing to the host the error names.";
    Tls = 4203, "GWA_E_TLS", Tls, Network, true, "The TLS handshake failed.", "The peer may not speak TLS 1.2 or 1.3, or something on the way interferes.";
    TlsTimeout = 4204, "GWA_E_TLS_TIMEOUT", Tls, Network, true, "The TLS handshake took too long.", "Check what lies between this machine and the host.";
    CertificateExpired = 4205, "GWA_E_CERTIFICATE_EXPIRED", Tls, Peer, true, "The server's certificate is expired or not yet valid.", "Check this machine's clock, then the server's certificate.";
    CertificateHost = 4206, "GWA_E_CERTIFICATE_HOST", Tls, Peer, false, "The server's certificate is for another host.", "Check the region or URL; something may be intercepting the connection.";
    CertificateUntrusted = 4207, "GWA_E_CERTIFICATE_UNTRUSTED", Tls, Peer, false, "The server's certificate was not issued by a trusted authority.", "Add the authority with tls.ca_file if it is your own; otherwise something may be intercepting the connection.";
    Certificate = 4208, "GWA_E_CERTIFICATE", Tls, Peer, false, "The server's certificate is not acceptable.", "The message says why.";
    Dropped = 4209, "GWA_E_DROPPED", Tcp, Network, true, "The connection ended without a close.", "The client reconnects by itself; if it repeats, look at what lies between.";
    PeerDead = 4210, "GWA_E_PEER_DEAD", Tcp, Network, true, "The peer did not answer a ping in time.", "The client reconnects by itself; if it repeats, look at what lies between.";
    CertificateSelfSigned = 4211, "GWA_E_CERTIFICATE_SELF_SIGNED", Tls, Peer, false, "The server's certificate is signed by nobody but itself.", "Have it issued by an authority, and trust that one with tls.ca_file or tls.extra_ca_file; if the server is not yours, something may be intercepting the connection.";
    CertificatePin = 4212, "GWA_E_CERTIFICATE_PIN", Tls, Peer, false, "No key of the server's certificate chain is among tls.pins.", "Check tls.pins if the server has new keys; otherwise something may be intercepting the connection.";
    ProxyAuth = 4220, "GWA_E_PROXY_AUTH", Proxy, Caller, false, "The proxy wants other credentials (407).", "Check proxy.user and proxy.password; only Basic authentication is spoken.";
    ProxyRefused = 4221, "GWA_E_PROXY_REFUSED", Proxy, Network, true, "The proxy did not open a way to the host.", "The message says what the proxy answered; it may have to allow CONNECT to this host and port.";
    ProxyTimeout = 4222, "GWA_E_PROXY_TIMEOUT", Proxy, Network, true, "The proxy took too long to open a way to the host.", "Check the proxy, and whether it reaches the host; proxy.timeout_ms sets the limit.";

    HttpProtocol = 4300, "GWA_E_HTTP_PROTOCOL", Http, Peer, true, "The answer is not HTTP, or ended early.", "Check that the URL leads to the token endpoint and not to something else.";
    HttpTimeout = 4301, "GWA_E_HTTP_TIMEOUT", Http, Network, true, "The answer took too long.", "Check the server's health.";
    ResponseTooLarge = 4302, "GWA_E_RESPONSE_TOO_LARGE", Http, Peer, true, "The answer is larger than the configured maximum.", "Check that the URL leads to the token endpoint and not to something else.";
    Redirect = 4303, "GWA_E_REDIRECT", Http, Peer, false, "The server answered with a redirect; credentials are never sent on.", "Set token.url to the final address.";
    Unavailable = 4304, "GWA_E_UNAVAILABLE", Http, Peer, true, "The server is temporarily unable to answer.", "The client tries again by itself.";
    HttpStatus = 4305, "GWA_E_HTTP_STATUS", Http, Peer, false, "The server refused the request.", "The message carries the HTTP status and the server's text.";
    Unauthorized = 4310, "GWA_E_UNAUTHORIZED", Oauth, Peer, false, "Wrong client credentials, or the refresh token is revoked (401).", "Check client id and secret (or key, or certificate) in Genesys Cloud under Integrations > OAuth, or get a new refresh token by an authorization code.";
    Forbidden = 4311, "GWA_E_FORBIDDEN", Oauth, Peer, false, "The OAuth client may not use this grant (403).", "Allow the grant type for this OAuth client in Genesys Cloud under Integrations > OAuth.";
    InvalidGrant = 4312, "GWA_E_INVALID_GRANT", Oauth, Peer, false, "The refresh token, authorization code or assertion is no longer valid.", "Get a new one by an authorization code, or hand a refresh token or assertion over with gwa_client_set_secret.";
    Throttled = 4313, "GWA_E_THROTTLED", Oauth, Peer, true, "The server limits the rate of requests.", "Share one token between clients; retry_after_ms says how long the client waits.";
    ThrottledLong = 4314, "GWA_E_THROTTLED_LONG", Oauth, Peer, true, "The server asks to wait longer than 180 s: a quota is used up.", "Wait as long as retry_after_ms says, and look for what uses up the quota.";
    TokenResponse = 4315, "GWA_E_TOKEN_RESPONSE", Oauth, Peer, true, "The token answer is not the JSON object that RFC 6749 5.1 asks for.", "Check that token.url leads to the token endpoint.";
    TokenType = 4316, "GWA_E_TOKEN_TYPE", Oauth, Peer, false, "The token is not a bearer token.", "Check that token.url leads to a bearer token endpoint.";
    TokenLifetime = 4317, "GWA_E_TOKEN_LIFETIME", Oauth, Peer, true, "The token lives for less than a second, or was too old on arrival.", "Check the token duration of the OAuth client and both clocks.";
    Oauth = 4318, "GWA_E_OAUTH", Oauth, Peer, false, "The token endpoint refused the request.", "The message carries the server's OAuth error.";
    ReauthRequired = 4319, "GWA_E_REAUTH_REQUIRED", Oauth, Peer, false, "The credentials no longer work; somebody has to provide new ones.", "Call gwa_client_set_secret with a new credential, or gwa_client_refresh_now once the server side is mended.";
    TokenUnverified = 4320, "GWA_E_TOKEN_UNVERIFIED", Oauth, Peer, true, "The token's signature or claims do not pass the checks that were asked for.", "The message says which check; compare the token.* settings with what the issuer signs, and both clocks.";
    IssuerKeys = 4321, "GWA_E_ISSUER_KEYS", Oauth, Peer, true, "The issuer's keys cannot be had or read (RFC 7517).", "Check that token.jwks_url leads to the issuer's JWK Set.";
    Introspection = 4322, "GWA_E_INTROSPECTION", Oauth, Peer, true, "The issuer could not be asked about the token (RFC 7662).", "Check that token.introspection_url leads to the issuer's introspection endpoint, and that this client may ask there.";
    IdentityChanged = 4323, "GWA_E_IDENTITY_CHANGED", Oauth, Peer, false, "The renewed token is about another subject, client or organisation than the one before it, and is not used.", "Find out whose credentials these are; if the change is meant, hand them over with gwa_client_set_secret, or set token.identity = off.";

    ScopeDenied = 4400, "GWA_E_SCOPE_DENIED", Scope, Peer, false, "The token lacks required scopes (a 403-class error).", "Grant the missing scopes to the OAuth client, or require fewer.";
    TokenMalformed = 4401, "GWA_E_TOKEN_MALFORMED", Scope, Peer, false, "The token looks like a JWT and is not one.", "Check what issued the token.";
    ScopeUnknown = 4402, "GWA_E_SCOPE_UNKNOWN", Scope, Peer, false, "The token is opaque and its scopes are not known.", "Set scopes.unknown = allow if the server checks them itself.";

    UpgradeRefused = 4500, "GWA_E_UPGRADE_REFUSED", Ws, Peer, true, "The WebSocket upgrade was refused.", "The message carries the HTTP status.";
    UpgradeUnauthorized = 4501, "GWA_E_UPGRADE_UNAUTHORIZED", Ws, Peer, true, "The WebSocket upgrade was refused with 401.", "The client gets a new token by itself.";
    UpgradeForbidden = 4502, "GWA_E_UPGRADE_FORBIDDEN", Ws, Peer, false, "The WebSocket upgrade was refused with 403.", "Check the OAuth client's rights and what lies between.";
    UpgradeNotFound = 4503, "GWA_E_UPGRADE_NOT_FOUND", Ws, Peer, false, "There is no WebSocket at this address (404 or 410).", "Check ws.url and the region.";
    UpgradeTimeout = 4504, "GWA_E_UPGRADE_TIMEOUT", Ws, Network, true, "The WebSocket upgrade took too long.", "Check the server's health.";
    AuthRefused = 4510, "GWA_E_AUTH_REFUSED", Ws, Peer, true, "The server refused the authentication message.", "The message carries the server's text.";
    AuthTimeout = 4511, "GWA_E_AUTH_TIMEOUT", Ws, Peer, true, "The server did not answer the authentication message in time.", "Check the server's health; ws.auth_timeout_ms sets the limit.";
    AuthThrottled = 4512, "GWA_E_AUTH_THROTTLED", Ws, Peer, true, "The server limits the rate of authentications.", "The client backs off by itself.";
    AuthReply = 4513, "GWA_E_AUTH_REPLY", Ws, Peer, true, "The reply to the authentication message is malformed.", "Check that ws.url speaks the auth-message protocol.";
    WsProtocol = 4520, "GWA_E_WS_PROTOCOL", Ws, Peer, true, "The peer broke the WebSocket protocol.", "Something on the way may be changing frames.";
    WsClosed = 4521, "GWA_E_WS_CLOSED", Ws, Peer, true, "The server closed the WebSocket.", "ws_close_code and the message say why.";
    MessageTooLarge = 4522, "GWA_E_MESSAGE_TOO_LARGE", Ws, Peer, true, "The peer sent a message above the configured maximum.", "Raise ws.max_message_bytes if such messages are expected.";
    TokenExpired = 4523, "GWA_E_TOKEN_EXPIRED", Ws, Peer, true, "The token expired before a new one was accepted.", "Look at why the renewal failed: the audit records say.";
    Displaced = 4530, "GWA_E_DISPLACED", Ws, Peer, false, "Another client has taken the channel or its topics.", "Look for a second instance with the same OAuth client; gwa_client_refresh_now takes the topics back.";
    ChannelGone = 4531, "GWA_E_CHANNEL_GONE", Ws, Peer, true, "The channel has expired, was evicted, or its token has ended.", "The client makes a new one by itself; if it repeats, look for what else makes channels with this OAuth client.";
    ChannelRefused = 4532, "GWA_E_CHANNEL_REFUSED", Ws, Peer, false, "The API refused the channel or the subscription.", "The message carries the server's code: a role of the OAuth client or user may be missing.";
    ChannelUri = 4533, "GWA_E_CHANNEL_URI", Ws, Peer, true, "The channel's connectUri does not lead to the streaming host by wss.", "Check notifications.streaming_host and what lies between this machine and the API.";
    TokenRevoked = 4534, "GWA_E_TOKEN_REVOKED", Ws, Peer, true, "The server has revoked the token.", "The client gets a new one by itself; look for who revokes tokens of this OAuth client.";

    CallbackFailed = 4600, "GWA_E_CALLBACK_FAILED", Callback, Caller, true, "A callback or the answer to a request reported a failure.", "Look at the application's own log.";

    Panic = 4900, "GWA_E_PANIC", Panic, Us, false, "A defect in the library was caught.", "Shut the client down and report the location in the message.";
    Internal = 4901, "GWA_E_INTERNAL", Internal, Us, false, "The library could not get what it needs from the system.", "The message says what; threads, descriptors or memory may be short.";
}

impl Code {
    /// The number in the C header.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The code with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }
}

/// An error with its full provenance. One word in size, so that `Result`s stay small.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error(Box<Detail>);

/// What an [`Error`] knows. Fields that do not apply are zero, empty or `None`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Detail {
    /// What went wrong.
    pub code: Code,
    /// During which step.
    pub stage: Stage,
    /// The particular of this case, in words; never a secret.
    pub message: String,
    /// HTTP status of the answer, or 0.
    pub http_status: u16,
    /// `error` member of an OAuth answer (RFC 6749 5.2), or empty.
    pub oauth_error: String,
    /// `errno` of the failed system call, or 0.
    pub os_errno: i32,
    /// TLS alert number (RFC 8446 6), if one was sent or received.
    pub tls_alert: Option<u8>,
    /// WebSocket close code (RFC 6455 7.4), or 0.
    pub ws_close_code: u16,
    /// `ININ-Correlation-Id` of the answer, or empty.
    pub correlation_id: String,
    /// Host and port of the peer, or empty.
    pub host: String,
    /// Which attempt of the round failed, from 1, or 0.
    pub attempt: u32,
    /// How long the server asked to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Scopes that are missing, in the order they were required.
    pub missing_scopes: Vec<String>,
    /// Whether nothing but the application or an administrator can help now.
    pub fatal: bool,
}

impl Error {
    /// An error of this code and stage, with the particular of the case in words.
    pub fn new(code: Code, stage: Stage, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            code,
            stage,
            message: message.into(),
            http_status: 0,
            oauth_error: String::new(),
            os_errno: 0,
            tls_alert: None,
            ws_close_code: 0,
            correlation_id: String::new(),
            host: String::new(),
            attempt: 0,
            retry_after_ms: None,
            missing_scopes: Vec::new(),
            fatal: !code.is_retriable(),
        }))
    }

    /// An error of an operating-system call; keeps its `errno`.
    pub fn from_io(code: Code, stage: Stage, what: &str, source: &std::io::Error) -> Self {
        let os_errno = source.raw_os_error().unwrap_or(0);
        Self::new(code, stage, format!("{what}: {source}")).with(|detail| detail.os_errno = os_errno)
    }

    /// The same error with fields of its detail set.
    #[must_use]
    pub fn with(mut self, set: impl FnOnce(&mut Detail)) -> Self {
        set(&mut self.0);
        self
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Everything known about the case.
    pub fn detail(&self) -> &Detail {
        &self.0
    }

    /// How long the server asked to wait, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.0.retry_after_ms
    }

    /// Whether the same request may succeed later without anybody acting.
    pub fn is_retriable(&self) -> bool {
        self.0.code.is_retriable() && !self.0.fatal
    }
}

impl fmt::Display for Error {
    /// `stage: text (particulars)`, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &*self.0;
        write!(f, "{}: {}", detail.stage.name(), detail.code.text())?;
        if !detail.message.is_empty() {
            write!(f, " {}", detail.message)?;
        }
        if !detail.host.is_empty() {
            write!(f, " [{}]", detail.host)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_names_are_unique() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn every_code_is_found_by_its_number_and_says_what_to_do() {
        for &code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
            assert!(code.name().starts_with("GWA_E_"));
            assert!(code.text().ends_with('.') && code.hint().ends_with('.'), "{code:?}");
        }
    }

    #[test]
    fn an_error_is_one_word() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
