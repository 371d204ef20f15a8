//! The matrix: what can be broken, when, and what can come of it; every row of it is in [`crate::table`].

use ffi_tests::relay::{Cut, Flow, Gate};
use ffi_tests::sim::{Action, Leaf, Trigger};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Code, Stage};

use crate::clock::Jump;
use crate::table::rows;

/// When in a client's life a fault begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    First,
    Steady,
    Renewal,
    Shutdown,
}

impl Phase {
    pub const ALL: [Phase; 4] = [Self::First, Self::Steady, Self::Renewal, Self::Shutdown];

    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Steady => "steady",
            Self::Renewal => "renewal",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What the client reaches the simulator by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// A relay at 127.0.0.1.
    Relay,
    /// The same by a name; the resolver is ours (a namespace).
    Named,
    /// A line of packets between two namespaces.
    Line,
}

/// Which connections a fault meets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leg {
    Token,
    Ws,
    Both,
}

/// A fault; how it begins and ends is in [`crate::bed`].
#[derive(Clone, Debug)]
pub enum Fault {
    /// The resolver says that there is no such name.
    DnsFails,
    /// The resolver says nothing.
    DnsHangs,
    /// The name has two addresses, and the first one asked answers no SYN.
    OneAddressDead,
    /// New connections are met so.
    Gate(Leg, Gate),
    /// The bytes of all connections, both ways, or to the server only.
    Flow(Leg, Flow),
    /// 1 kB/s.
    Slow(Leg),
    /// The server does not read any more; what it sends still comes.
    StopsReading,
    /// Connections that live are ended so.
    Ends(Leg, Cut),
    /// Another certificate; whether the client trusts who issued it.
    Certificate(Leaf, bool),
    /// The proxy answers CONNECT with this status line, or with nothing.
    Proxy(Option<&'static str>),
    /// The upgrade is refused with this status, and Retry-After in seconds.
    Upgrade(u16, Option<u32>),
    /// The WebSocket server does this by itself on every new connection.
    Plan(Trigger, Action),
    /// The token endpoint resets the connection of every request.
    TokenReset,
    /// The token endpoint is down for longer than tokens live (three seconds).
    TokenOutage,
    /// Packets take 40 ms, and 5 % are lost.
    Lossy,
    /// No packet comes through.
    LineDown,
    /// The clocks jump.
    Clock(Jump),
}

impl Fault {
    /// Another error that is as right as the one stated. A reset on accept may come before the client looks whether it
    /// is connected; and the kernel gives up what nobody acknowledges after 30 s, before a ping has been missed.
    pub fn or(&self, stated: (Code, Stage)) -> Option<(Code, Stage)> {
        match (self, stated) {
            (Self::Gate(_, Gate::End(Cut::Reset)), (Code::Tls, Stage::Tls)) => Some((Code::Connect, Stage::Connect)),
            (Self::LineDown, (Code::PeerDead, Stage::Live)) => Some((Code::Dropped, Stage::Live)),
            _ => None,
        }
    }
}

/// At which moment of the phase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moment {
    /// Before the connect, or into a quiet, live connection, or right before the shutdown or the renewal.
    Now,
    /// As above, then the live sockets are reset, so that the client has to dial; a shutdown waits for that.
    Cut,
    /// When the token request of a renewal is with the server and its answer is on the way.
    AtRequest,
    /// When the auth frame of a renewal is with the server and its answer is on the way.
    AtAuthFrame,
    /// A token request begins, then comes the shutdown.
    Requested,
    /// When the server's answers to the first dials, inside their TLS handshakes, are on the way.
    AtHandshake,
    /// When the close frame of a shutdown is with the server and its answer is on the way.
    AtClose,
}

/// What has to come of it.
#[derive(Clone, Debug)]
pub enum Expect {
    /// The client does what it does without the fault; the live connection is kept.
    Works,
    /// This error, where it says; once the fault is over, the client is Ready and messages go both ways.
    Fails(Code, Stage),
    /// As `Fails`, and the connection that was live stays.
    Keeps(Code, Stage),
    /// The live connection is lost with this code, and the client recovers although the fault goes on.
    Recovers(Code, Stage),
    /// This error, and then the state ReauthRequired until the application asks for a refresh.
    Reauth(Code, Stage),
    /// A connect fails so after so many upgrades, without another try; a client that is started ends up in this state,
    /// which only the application can change.
    Stays(Code, Stage, State),
    /// The shutdown ends within its bound; with a close handshake, without one, or where no socket is live.
    Ends(Option<bool>),
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    pub fault: Fault,
    pub moment: Moment,
    pub expect: Expect,
}

/// One fault in every phase.
pub struct Row {
    pub name: &'static str,
    pub way: Way,
    /// As [`Phase::ALL`].
    pub cells: [Cell; 4],
}

/// `row/phase` of every cell.
pub fn names() -> Vec<String> {
    let of = |row: &Row| Phase::ALL.map(|phase| format!("{}/{}", row.name, phase.name()));
    rows().iter().flat_map(of).collect()
}

/// The cell of that name.
pub fn find(name: &str) -> Option<(Way, Phase, Cell)> {
    let (row, phase) = name.rsplit_once('/')?;
    let at = Phase::ALL.iter().position(|known| known.name() == phase)?;
    let row = rows().into_iter().find(|known| known.name == row)?;
    Some((row.way, Phase::ALL[at], row.cells[at].clone()))
}
