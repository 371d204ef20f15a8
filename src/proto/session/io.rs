//! What goes into the session and what comes out.

use std::sync::Arc;

use crate::audit::Record;
use crate::error::Error;
use crate::event::Notice;
use crate::proto::http::{self, Request};
use crate::proto::refresher::News;
use crate::proto::token::Token;
use crate::secret::Secret;

/// How long a start goes on trying.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rounds {
    /// One round of attempts, then [`Output::Failed`]; for ever once it was Ready (`connect`).
    Once,
    /// For ever (`start`).
    Forever,
}

/// A fact for the machine.
#[derive(Debug)]
pub enum Input {
    /// Begin.
    Start(Rounds),
    /// A token is in force.
    Publish(Arc<Token>),
    /// What the refresher is doing.
    News(News),
    /// This socket is connected, TLS included; its upgrade waits for [`Output::Upgrade`].
    Connected {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// The upgrade of this socket is done.
    Opened {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// This socket could not be opened.
    Failed {
        /// Epoch of the socket.
        epoch: u64,
        /// Why.
        error: Error,
    },
    /// The source of its tokens, which others share, has made this record: it is the client's as well.
    Recorded(Record),
    /// The application wants these topics from now on, and no others (profile `notifications`).
    Topics(Vec<String>),
    /// The answer to [`Output::Rest`] of this number, or why there is none.
    Rest {
        /// Number of the request.
        id: u64,
        /// The answer.
        outcome: http::Outcome,
    },
    /// The source lets this client make a second channel: the answer to [`Output::AskSpare`].
    SpareGranted,
    /// The application asked for a new token by hand: a client that was displaced takes its channel back, and what the API
    /// had refused for good is asked again.
    Return,
    /// A text that [`super::Session::judge`] called ours.
    Reply {
        /// Epoch of the socket.
        epoch: u64,
        /// The text.
        text: Vec<u8>,
    },
    /// The peer closed.
    Closed {
        /// Epoch of the socket.
        epoch: u64,
        /// Close code (RFC 6455 7.4); 1005 when there was none.
        code: u16,
        /// Close reason.
        reason: String,
    },
    /// The transport ended without a close.
    Dropped {
        /// Epoch of the socket.
        epoch: u64,
        /// Why.
        error: Error,
    },
    /// A socket that was left is read out and closed.
    Drained {
        /// Epoch of the socket.
        epoch: u64,
        /// Whether the peer answered the close frame with its code. A close of the peer's own, found while reading
        /// out, is no answer: the peer stopped writing before the other socket was there.
        clean: bool,
    },
    /// The application's queue is full: this socket is not being read.
    Stalled {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// This socket is being read again.
    Resumed {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// Connections are shown another `proxy.password` from now on.
    ProxyPassword,
    /// The application learned, by a message of the server's, that the socket in use will end soon.
    DrainNotice,
    /// This process learned from another client that the server cannot renew in band until then (boot time).
    InBandUnable {
        /// Boot time.
        until_ms: u64,
    },
    /// Stop.
    Close,
    /// [`super::Session::next_timeout`] is reached.
    Timeout,
}

/// An order of the machine.
#[derive(Debug)]
pub enum Output {
    /// Connect a socket; answer with `Connected` or `Failed`. `hold`: keep the application's messages of it back until
    /// `Release`.
    Dial {
        /// Epoch of the socket.
        epoch: u64,
        /// Whether to hold its messages.
        hold: bool,
        /// Where to, if not to `ws.url`: a channel's `connectUri`, a secret.
        uri: Option<Secret>,
    },
    /// Make this REST request; answer with [`Input::Rest`].
    Rest {
        /// Number of the request. An answer to another one than is awaited is ignored.
        id: u64,
        /// The request.
        request: Request,
    },
    /// A request of this number is of no use any more: it need not be made or finished.
    DropRest {
        /// Number of the request.
        id: u64,
    },
    /// A second channel is wanted: the source lets its clients have one each at a time, one client after the other. What was
    /// asked for is not withdrawn before it is granted, except by the end of the client.
    AskSpare,
    /// The second channel is the only one again, or was not needed any more when it was granted. At the end of the client
    /// also: it is not asked for any more. A grant may be on its way then.
    ReturnSpare,
    /// Upgrade this socket; answer with `Opened` or `Failed`.
    Upgrade {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// Send this auth frame, or ping of the profile `notifications`, as text.
    SendAuth {
        /// Epoch of the socket.
        epoch: u64,
        /// The frame.
        frame: Secret,
    },
    /// Send a ping.
    Ping {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// Deliver what was held back, and everything from now on. What was held back of a socket that has ended or was
    /// aborted meanwhile is kept until then.
    Release {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// Read out what is there, close with this code, read on until the peer closes; answer with `Drained`.
    Leave {
        /// Epoch of the socket.
        epoch: u64,
        /// Close code.
        code: u16,
    },
    /// End this socket at once; nothing more is heard of it.
    Abort {
        /// Epoch of the socket.
        epoch: u64,
    },
    /// The application's messages go out by this socket, or wait (`None`).
    SendOn(Option<u64>),
    /// Tell the application.
    Notice(Notice),
    /// Tell the refresher: this token was refused.
    Refused {
        /// Serial of the token.
        serial: u64,
    },
    /// Tell the refresher: the credentials are no good.
    GiveUp {
        /// The refusal.
        error: Error,
        /// Serial of the token that was refused last.
        serial: u64,
    },
    /// Tell the refresher: what a proxy had refused is worth another try.
    TryAgain,
    /// Audit this.
    Audit(Record),
    /// A new token took effect on the live connection.
    Renewed {
        /// What was left of the old one until it expired, in milliseconds.
        lead_ms: u64,
        /// Whether a second socket was needed.
        handover: bool,
    },
    /// This endpoint cannot renew in band; remember it for 24 h in this process.
    MarkInBandUnable,
    /// Ready for the first time: `connect` succeeds.
    Connected,
    /// `connect` failed, or there is nothing to come back to; the machine waits to be closed.
    Failed {
        /// Why.
        error: Error,
        /// Not only this `connect`: the client is `Failed`.
        for_good: bool,
    },
    /// The machine has stopped; nothing follows.
    Stopped {
        /// Whether every close handshake finished.
        clean: bool,
    },
}
