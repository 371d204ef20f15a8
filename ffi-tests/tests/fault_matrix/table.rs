//! Every row of the matrix.

use std::time::Duration;

use ffi_tests::relay::{Cut, Flow, Gate};
use ffi_tests::sim::{Action, Leaf, Trigger};
use genesys_ws_auth::event::State;
use genesys_ws_auth::{Code, Stage};

use crate::clock::Jump;
use crate::rows::{Cell, Expect, Fault, Leg, Moment, Row, Way};
use Expect::{Ends, Fails, Keeps, Reauth, Recovers, Stays, Works};
use Moment::{AtAuthFrame, AtClose, AtHandshake, AtRequest, Cut as Lost, Now, Requested};

const CLEAN: Expect = Ends(Some(true));
const UNCLEAN: Expect = Ends(Some(false));
const EITHER: Expect = Ends(None);

fn cell(fault: Fault, moment: Moment, expect: Expect) -> Cell {
    Cell { fault, moment, expect }
}

/// One fault for all phases.
fn row(name: &'static str, way: Way, fault: &Fault, cells: [(Moment, Expect); 4]) -> Row {
    Row { name, way, cells: cells.map(|(moment, expect)| cell(fault.clone(), moment, expect)) }
}

/// A fault that only new connections meet: the token request of a first connect, the socket of a reconnect, the
/// token request of a renewal (which leaves the live socket alone), and a dial that a shutdown ends.
fn dial(name: &'static str, way: Way, fault: &Fault, code: Code, stage: Stage) -> Row {
    let cells = [(Now, Fails(code, stage)), (Lost, Fails(code, stage)), (Now, Keeps(code, stage)), (Lost, EITHER)];
    row(name, way, fault, cells)
}

/// An upgrade that is refused. Renewals in band need none; the one of a hand-over is not tried here.
fn upgrade(name: &'static str, status: u16, retry_after: Option<u32>, steady: Expect, first: Expect) -> Row {
    let fault = Fault::Upgrade(status, retry_after);
    row(name, Way::Relay, &fault, [(Now, first), (Lost, steady), (Now, Works), (Lost, EITHER)])
}

/// A reset at one frame of every new connection; of live ones by the relay.
fn reset_at(name: &'static str, first: Cell, renewal: Cell) -> Row {
    let steady = cell(first.fault.clone(), Lost, first.expect.clone());
    let shutdown = cell(first.fault.clone(), Lost, EITHER);
    Row { name, way: Way::Relay, cells: [first, steady, renewal, shutdown] }
}

fn plan_reset(trigger: Trigger) -> Fault {
    Fault::Plan(trigger, Action::Reset)
}

/// A fatal handshake_failure (40) instead of a ServerHello.
const ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 40];

/// Every row.
pub fn rows() -> Vec<Row> {
    let mut rows = dials();
    rows.extend(certificates());
    rows.extend(proxies());
    rows.extend(upgrades());
    rows.extend(resets());
    rows.extend(streams());
    rows.extend(lines());
    rows.extend(clocks());
    rows
}

fn dials() -> Vec<Row> {
    use Fault::{DnsFails, DnsHangs, OneAddressDead};
    let gate = |gate| Fault::Gate(Leg::Both, gate);
    let works = [(Now, Works), (Lost, Recovers(Code::Dropped, Stage::Live)), (Now, Works), (Lost, EITHER)];
    vec![
        dial("DNS fails", Way::Named, &DnsFails, Code::Dns, Stage::Resolve),
        dial("DNS hangs", Way::Named, &DnsHangs, Code::Dns, Stage::Resolve),
        dial("connect refused", Way::Relay, &gate(Gate::Refuse), Code::Connect, Stage::Connect),
        dial("SYN black-holed", Way::Relay, &gate(Gate::BlackHole), Code::ConnectTimeout, Stage::Connect),
        row("one of two addresses dead", Way::Named, &OneAddressDead, works),
        dial("accepted, then silent", Way::Relay, &gate(Gate::Stall), Code::TlsTimeout, Stage::Tls),
        dial("TLS alert", Way::Relay, &gate(Gate::Say(ALERT.into())), Code::Tls, Stage::Tls),
    ]
}

fn certificates() -> Vec<Row> {
    let bad = |name, leaf, trusted, code| dial(name, Way::Relay, &Fault::Certificate(leaf, trusted), code, Stage::Tls);
    vec![
        bad("certificate expired", Leaf::Expired, true, Code::CertificateExpired),
        bad("certificate of another host", Leaf::WrongHost, true, Code::CertificateHost),
        bad("certificate self-signed", Leaf::SelfSigned, true, Code::CertificateSelfSigned),
        bad("certificate untrusted", Leaf::Sound, false, Code::CertificateUntrusted),
    ]
}

fn proxies() -> Vec<Row> {
    let bad = |name, line, code| dial(name, Way::Relay, &Fault::Proxy(line), code, Stage::Proxy);
    let mut denied = bad("proxy 407", Some("407 Proxy Authentication Required"), Code::ProxyAuth);
    // Only a client that has had a token repeats credentials that were refused.
    denied.cells[0].expect = Stays(Code::ProxyAuth, Stage::Proxy, State::ReauthRequired);
    vec![
        denied,
        bad("proxy 502", Some("502 Bad Gateway"), Code::ProxyRefused),
        bad("proxy silent", None, Code::ProxyTimeout),
    ]
}

fn upgrades() -> Vec<Row> {
    let at = |code| Fails(code, Stage::Upgrade);
    let both = |name, status, code| upgrade(name, status, None, at(code), at(code));
    vec![
        both("upgrade 301", 301, Code::UpgradeRefused),
        upgrade(
            "upgrade 401",
            401,
            None,
            Reauth(Code::UpgradeUnauthorized, Stage::Upgrade),
            Stays(Code::ReauthRequired, Stage::Upgrade, State::ReauthRequired),
        ),
        upgrade(
            "upgrade 403",
            403,
            None,
            Reauth(Code::UpgradeForbidden, Stage::Upgrade),
            Stays(Code::UpgradeForbidden, Stage::Upgrade, State::ReauthRequired),
        ),
        upgrade(
            "upgrade 404",
            404,
            None,
            at(Code::UpgradeNotFound),
            Stays(Code::UpgradeNotFound, Stage::Upgrade, State::Failed),
        ),
        upgrade("upgrade 429", 429, Some(2), at(Code::Throttled), at(Code::Throttled)),
        upgrade("upgrade 503", 503, Some(2), at(Code::UpgradeRefused), at(Code::UpgradeRefused)),
    ]
}

fn resets() -> Vec<Row> {
    let until = |bytes| Fault::Gate(Leg::Both, Gate::Until(bytes, Cut::Reset));
    let live = |leg| Fault::Ends(leg, Cut::Reset);
    let gate = Fault::Gate(Leg::Both, Gate::End(Cut::Reset));
    let dropped = |stage| Fails(Code::Dropped, stage);
    // One request that is cut is made again within its round.
    let at_request = || cell(live(Leg::Token), AtRequest, Works);
    let at_frame = || cell(live(Leg::Ws), AtAuthFrame, Recovers(Code::Dropped, Stage::Live));
    vec![
        dial("RST on accept", Way::Relay, &gate, Code::Tls, Stage::Tls),
        dial("RST inside the TLS handshake", Way::Relay, &until(100), Code::Tls, Stage::Tls),
        Row {
            name: "RST at the token request",
            way: Way::Relay,
            cells: [
                cell(Fault::TokenReset, Now, dropped(Stage::Token)),
                cell(Fault::TokenReset, Lost, Recovers(Code::Dropped, Stage::Live)),
                at_request(),
                cell(Fault::TokenReset, Requested, CLEAN),
            ],
        },
        reset_at("RST at the upgrade", cell(Fault::Upgrade(0, None), Now, dropped(Stage::Upgrade)), at_request()),
        reset_at(
            "RST after the upgrade",
            cell(plan_reset(Trigger::Open), Now, dropped(Stage::Authenticate)),
            at_frame(),
        ),
        reset_at(
            "RST after the auth reply",
            cell(plan_reset(Trigger::Auths(1)), Now, dropped(Stage::Live)),
            cell(plan_reset(Trigger::Auths(2)), Now, Recovers(Code::Dropped, Stage::Live)),
        ),
        reset_at(
            "RST after a message",
            cell(plan_reset(Trigger::Messages(1)), Now, dropped(Stage::Live)),
            cell(live(Leg::Ws), AtAuthFrame, Recovers(Code::Dropped, Stage::Live)),
        ),
        reset_at(
            "cut inside a message",
            cell(cut_inside(), Now, dropped(Stage::Live)),
            cell(Fault::Ends(Leg::Both, Cut::Reset), AtRequest, Recovers(Code::Dropped, Stage::Live)),
        ),
    ]
}

fn cut_inside() -> Fault {
    Fault::Plan(Trigger::Messages(2), Action::CutFrame { text: "half of this".into(), keep: 6 })
}

fn streams() -> Vec<Row> {
    let freeze = Fault::Flow(Leg::Both, Flow::Freeze);
    let fin = |leg| Fault::Ends(leg, Cut::Fin);
    let fin_gate = Fault::Gate(Leg::Both, Gate::End(Cut::Fin));
    let silent = Fault::Plan(Trigger::Open, Action::GoSilent);
    let trickle = Fault::Flow(Leg::Both, Flow::Trickle);
    let slow = Fault::Slow(Leg::Both);
    vec![
        Row {
            name: "half-open after the upgrade",
            way: Way::Relay,
            cells: [
                cell(silent, Now, Fails(Code::AuthTimeout, Stage::Authenticate)),
                cell(freeze.clone(), Now, Fails(Code::PeerDead, Stage::Live)),
                cell(Fault::Flow(Leg::Ws, Flow::Freeze), AtAuthFrame, Fails(Code::AuthTimeout, Stage::Renew)),
                cell(freeze.clone(), Now, UNCLEAN),
            ],
        },
        Row {
            name: "FIN without close",
            way: Way::Relay,
            cells: [
                cell(fin_gate, Now, Fails(Code::Tls, Stage::Tls)),
                cell(fin(Leg::Ws), Now, Recovers(Code::Dropped, Stage::Live)),
                cell(fin(Leg::Ws), AtAuthFrame, Recovers(Code::Dropped, Stage::Live)),
                cell(fin(Leg::Ws), Now, EITHER),
            ],
        },
        row("1-byte trickle", Way::Relay, &trickle, [(Now, Works), (Now, Works), (Now, Works), (Now, CLEAN)]),
        row("throttled to 1 kB/s", Way::Relay, &slow, [(Now, Works), (Now, Works), (Now, Works), (Now, EITHER)]),
        Row {
            name: "server stops reading",
            way: Way::Relay,
            cells: [
                cell(freeze, Now, Fails(Code::TlsTimeout, Stage::Tls)),
                cell(Fault::StopsReading, Now, Works),
                cell(Fault::StopsReading, Now, Fails(Code::AuthTimeout, Stage::Renew)),
                cell(Fault::StopsReading, Now, UNCLEAN),
            ],
        },
        Row {
            name: "token endpoint down too long",
            way: Way::Relay,
            cells: [
                cell(Fault::TokenOutage, Now, Fails(Code::Connect, Stage::Connect)),
                cell(Fault::TokenOutage, Now, Fails(Code::Connect, Stage::Connect)),
                cell(Fault::TokenOutage, AtRequest, Fails(Code::Connect, Stage::Connect)),
                cell(Fault::TokenOutage, Requested, CLEAN),
            ],
        },
    ]
}

fn lines() -> Vec<Row> {
    let down = Fault::LineDown;
    vec![
        row("40 ms and 5 % loss", Way::Line, &Fault::Lossy, [(Now, Works), (Now, Works), (Now, Works), (Now, EITHER)]),
        row(
            "line down",
            Way::Line,
            &down,
            [
                (Now, Fails(Code::ConnectTimeout, Stage::Connect)),
                (Now, Fails(Code::PeerDead, Stage::Live)),
                (Now, Fails(Code::ConnectTimeout, Stage::Connect)),
                (Now, UNCLEAN),
            ],
        ),
    ]
}

/// Neither a wall clock that is set nor a sleep that the token outlives costs the connection.
fn clocks() -> Vec<Row> {
    let hour = 3_600;
    let sleep = |seconds| Jump::Sleep(Duration::from_secs(seconds));
    let works = |name, jump, end| {
        let cells = [(AtHandshake, Works), (Now, Works), (AtAuthFrame, Works), (AtClose, end)];
        row(name, Way::Relay, &Fault::Clock(jump), cells)
    };
    let expired = || Recovers(Code::TokenExpired, Stage::Live);
    vec![
        works("wall clock set forward 1 h", Jump::Wall(hour), CLEAN),
        works("wall clock set back 1 h", Jump::Wall(-hour), CLEAN),
        works("asleep for 10 min", sleep(600), EITHER),
        row(
            "asleep past the token's end",
            Way::Relay,
            &Fault::Clock(sleep(3 * 3_600)),
            [(AtHandshake, Works), (Now, expired()), (AtAuthFrame, expired()), (AtClose, EITHER)],
        ),
    ]
}
