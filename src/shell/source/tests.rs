//! REST calls beside the tokens, and the spare channel: gwa-refresh against servers that do as the test says.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

use super::*;
use crate::hooks::Hooks;
use crate::metrics::Metrics;
use crate::proto::http::{Body, Method, Purpose, Request};
use crate::proto::oauth::Credentials;
use crate::proto::refresher::Memory;
use crate::proto::session::Input as SessionInput;
use crate::shell::delivery::Parts as DeliveryParts;
use crate::shell::gate::Gate;
use crate::shell::interrupt::Interrupt;
use crate::shell::testing::{read_until, serve};

const LONG: Duration = Duration::from_secs(20);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";

/// A source with a token endpoint that counts, and an API whose requests the test answers.
struct Bed {
    source: Arc<Source>,
    settings: Arc<Settings>,
    api_url: String,
    tokens: Receiver<()>,
    api: Receiver<(String, TcpStream)>,
}

/// A client, as far as its source knows it.
struct Member {
    lease: Lease,
    delivery: Arc<Delivery>,
    heard: Receiver<SessionInput>,
    net: Net,
    api_url: String,
}

fn delivery(settings: &Settings, clock: Clock) -> Arc<Delivery> {
    let parts = DeliveryParts {
        boot_id: "boot".into(),
        clock: Arc::new(move || clock.now()),
        tick: Arc::new(|| 0),
        event_fd: None,
        sealer: None,
    };
    Delivery::new(settings, Hooks::default(), parts)
}

impl Bed {
    fn new(expires_in: u32) -> Self {
        let (counts, tokens) = channel();
        let token_server = serve(move |mut peer| {
            read_until(&mut peer, b"\r\n\r\n");
            let body = format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":{expires_in}}}"#);
            let _ =
                peer.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
            let _ = counts.send(());
        });
        let (asked, api) = channel();
        let api_server = serve(move |mut peer| {
            let said = String::from_utf8(read_until(&mut peer, b"\r\n\r\n")).unwrap();
            let _ = asked.send((said.lines().next().unwrap_or_default().to_owned(), peer));
        });
        let settings = Arc::new(Settings {
            token_url: format!("http://{token_server}/oauth/token"),
            ws_url: String::new(),
            allow_plain_loopback: true,
            client_id: "id".into(),
            refresh_floor_ms: 0,
            ..Settings::default()
        });
        let clock = Clock::new();
        let credentials = Credentials { client_secret: Secret::new("secret".into()), ..Credentials::default() };
        let parts = Parts {
            clock,
            net: Net::new(Arc::clone(&settings)).unwrap(),
            delivery: delivery(&settings, clock),
            shared: Arc::default(),
            carry: Carry { credentials, unauthorized: 0, memory: Memory::default() },
            loaded: Vec::new(),
            settings: Arc::clone(&settings),
        };
        let source = Source::new(parts, Kind::Shared { speaks: false });
        Self { source, settings, api_url: format!("http://{api_server}"), tokens, api }
    }

    fn join(&self, has_channel: bool) -> Result<Member, Error> {
        let (socket, heard) = Inbox::new(waiter(&self.source.clock).unwrap().bell());
        let delivery = delivery(&self.settings, self.source.clock);
        let (net, shared) = (Net::new(Arc::clone(&self.settings)).unwrap(), Arc::default());
        let outlet =
            Outlet { socket, delivery: Arc::clone(&delivery), shared, needs: None, has_channel, subscriptions: None };
        let lease = self.source.join(outlet, None)?;
        Ok(Member { lease, delivery, heard, net, api_url: self.api_url.clone() })
    }

    /// A client that has its token.
    fn member(&self) -> Member {
        let member = self.join(true).unwrap();
        while !matches!(member.heard.recv_timeout(LONG).unwrap(), SessionInput::Publish(_)) {}
        member
    }

    /// The next request at the API: its method and path, and what to answer it by.
    fn asked(&self) -> (String, TcpStream) {
        let (line, peer) = self.api.recv_timeout(LONG).expect("no request came");
        (line.trim_end_matches(" HTTP/1.1").to_owned(), peer)
    }

    /// Answers the next request, which must be this one.
    #[track_caller]
    fn answers(&self, expected: &str) {
        let (line, mut peer) = self.asked();
        assert_eq!(line, expected);
        peer.write_all(OK.as_bytes()).unwrap();
    }

    fn token_requested(&self) {
        self.tokens.recv_timeout(LONG).expect("no token was asked for");
    }

    /// Everybody leaves, whatever is under way; the thread ends at once.
    fn close(self, members: Vec<Member>) {
        members.iter().for_each(|member| member.lease.leave());
        self.source.release();
        assert!(self.source.finish(Deadline::after(Some(LONG))), "gwa-refresh still runs");
    }
}

impl Member {
    fn rest(&self, id: u64, method: Method, path: &str) {
        let request = Request {
            purpose: Purpose::Api,
            method,
            url: format!("{}{path}", self.api_url),
            authorization: Secret::new("Bearer t".into()),
            body: Body::None,
            timeout_ms: 600_000,
        };
        self.lease.rest(id, request, &self.net);
    }

    /// The next answer: the number of the request, and its status or why there is none.
    fn answer(&self) -> (u64, Result<u16, Error>) {
        loop {
            if let SessionInput::Rest { id, outcome } = self.heard.recv_timeout(LONG).expect("no answer came") {
                return (id, outcome.map(|reply| reply.status));
            }
        }
    }

    fn has_spare(&self) -> bool {
        self.heard.try_iter().any(|input| matches!(input, SessionInput::SpareGranted))
    }

    fn metrics(&self) -> (u64, u64, u64) {
        let Metrics { rest_requests, rest_failures, channels, .. } = self.delivery.metrics();
        (rest_requests, rest_failures, channels)
    }
}

#[test]
fn calls_are_made_one_at_a_time_in_the_order_of_asking() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    a.rest(1, Method::Post, "/a1");
    let (line, mut first) = bed.asked();
    assert_eq!(line, "POST /a1");
    b.rest(1, Method::Put, "/b1?x=1");
    a.rest(2, Method::Delete, "/a2");
    let limits = "inin-ratelimit-count: 7\r\ninin-ratelimit-allowed: 300\r\ninin-ratelimit-reset: 41\r\n";
    first.write_all(OK.replacen("\r\n", &format!("\r\n{limits}"), 1).as_bytes()).unwrap();
    assert_eq!(a.answer(), (1, Ok(200)));
    let (limit, _) = bed.source.rate_limit().unwrap();
    assert_eq!((limit.count, limit.allowed, limit.reset_s), (7, 300, 41));
    bed.answers("PUT /b1?x=1");
    assert_eq!(b.answer(), (1, Ok(200)));
    let (line, mut last) = bed.asked();
    assert_eq!(line, "DELETE /a2");
    last.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(a.answer(), (2, Ok(503)));
    assert_eq!((a.metrics(), b.metrics()), ((2, 1, 1), (1, 0, 0)));
    bed.close(vec![a, b]);
}

#[test]
fn a_token_goes_before_a_call_which_is_made_again() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    bed.token_requested();
    a.rest(1, Method::Put, "/a1");
    let (_, silent) = bed.asked();
    b.rest(1, Method::Get, "/b1");
    b.lease.tell(Input::RefreshNow);
    bed.token_requested();
    bed.answers("PUT /a1");
    assert_eq!(a.answer(), (1, Ok(200)));
    bed.answers("GET /b1");
    assert_eq!(b.answer(), (1, Ok(200)));
    assert_eq!(a.metrics(), (1, 0, 0), "two attempts are one request");
    drop(silent);
    bed.close(vec![a, b]);
}

#[test]
fn a_post_that_was_with_the_server_is_not_repeated() {
    let bed = Bed::new(3_600);
    let a = bed.member();
    bed.token_requested();
    a.rest(1, Method::Post, "/a1");
    let (_, silent) = bed.asked();
    a.rest(2, Method::Get, "/a2");
    a.lease.tell(Input::RefreshNow);
    let (id, outcome) = a.answer();
    let error = outcome.unwrap_err();
    assert_eq!((id, error.code(), error.detail().stage), (1, Code::Unavailable, Stage::Channel));
    bed.token_requested();
    bed.answers("GET /a2");
    assert_eq!(a.answer(), (2, Ok(200)));
    drop(silent);
    bed.close(vec![a]);
}

#[test]
fn who_only_wants_a_token_costs_no_channel() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    for id in 1..=5 {
        a.rest(id, Method::Post, "/a");
        let (_, mut peer) = bed.asked();
        let (gate, promise) = Gate::new().unwrap();
        b.lease.want(1, promise);
        // Time to break the call off; where that is not done, the token waits for the call.
        let early = gate.wait(Deadline::after(Some(Duration::from_millis(200))), &Interrupt::new().unwrap());
        let _ = peer.write_all(OK.as_bytes());
        assert_eq!(a.answer(), (id, Ok(200)), "{early:?}");
        if early.is_err() {
            gate.wait(Deadline::after(Some(LONG)), &Interrupt::new().unwrap()).unwrap();
        }
    }
    assert_eq!(a.metrics(), (5, 0, 5));
    bed.close(vec![a, b]);
}

#[test]
fn a_call_is_repeated_once_and_then_has_time_for_its_answer() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    a.rest(1, Method::Put, "/a1");
    let (_, silent) = bed.asked();
    let want = || b.lease.want(1, Gate::new().unwrap().1);
    want();
    let (line, mut peer) = bed.asked();
    assert_eq!(line, "PUT /a1");
    want();
    // It would come by another connection.
    let again = bed.api.recv_timeout(Duration::from_millis(200));
    let _ = peer.write_all(OK.as_bytes());
    assert!(again.is_err(), "it is broken off again");
    assert_eq!(a.answer(), (1, Ok(200)));
    drop(silent);
    bed.close(vec![a, b]);
}

#[test]
fn a_post_of_no_use_has_no_grace() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    a.rest(1, Method::Post, "/a1");
    let (_, silent) = bed.asked();
    // It has its grace now, which ends with the use of the call.
    b.lease.want(1, Gate::new().unwrap().1);
    a.lease.drop_rest(1);
    b.rest(1, Method::Put, "/b1");
    bed.answers("PUT /b1");
    assert_eq!(b.answer(), (1, Ok(200)));
    drop(silent);
    bed.close(vec![a, b]);
}

#[test]
fn the_refreshers_own_time_interrupts_too() {
    let bed = Bed::new(2);
    let a = bed.member();
    bed.token_requested();
    a.rest(1, Method::Put, "/a1");
    let (_, silent) = bed.asked();
    bed.token_requested();
    // A further token may be due at any time: whatever comes is answered until an answer has got through.
    let until = Deadline::after(Some(LONG));
    while !a.heard.try_iter().any(|input| matches!(input, SessionInput::Rest { id: 1, outcome: Ok(_) })) {
        assert!(!until.is_over(), "the call was lost");
        if let Ok((line, mut peer)) = bed.api.recv_timeout(Duration::from_millis(50)) {
            assert_eq!(line, "PUT /a1 HTTP/1.1");
            let _ = peer.write_all(OK.as_bytes());
        }
    }
    drop(silent);
    bed.close(vec![a]);
}

#[test]
fn what_is_dropped_is_not_made_or_broken_off() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    a.rest(1, Method::Put, "/a1");
    let (_, silent) = bed.asked();
    a.rest(2, Method::Put, "/a2");
    b.rest(1, Method::Put, "/b1");
    a.rest(3, Method::Put, "/a3");
    a.lease.drop_rest(2);
    b.lease.drop_rest(3);
    a.lease.drop_rest(1);
    bed.answers("PUT /b1");
    bed.answers("PUT /a3");
    assert_eq!((a.answer(), b.answer()), ((3, Ok(200)), (1, Ok(200))), "nothing of what was dropped");
    drop(silent);
    bed.close(vec![a, b]);
}

#[test]
fn the_calls_of_a_client_that_leaves_vanish() {
    let bed = Bed::new(3_600);
    let (a, b) = (bed.member(), bed.member());
    a.rest(1, Method::Put, "/a1");
    let (_, silent) = bed.asked();
    a.rest(2, Method::Put, "/a2");
    b.rest(1, Method::Put, "/b1");
    a.lease.leave();
    a.rest(3, Method::Put, "/a3");
    bed.answers("PUT /b1");
    assert_eq!(b.answer(), (1, Ok(200)));
    b.rest(2, Method::Post, "/b2");
    let (_, hangs) = bed.asked();
    // The last one leaves while a call of ten minutes is under way.
    bed.close(vec![a, b]);
    drop((silent, hangs));
}

#[test]
fn a_call_that_fails_is_about_the_api() {
    let bed = Bed::new(3_600);
    let a = bed.member();
    a.rest(1, Method::Put, "/a1");
    let (_, mut peer) = bed.asked();
    peer.write_all(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n").unwrap();
    let (_, outcome) = a.answer();
    let error = outcome.unwrap_err();
    assert_eq!((error.code(), error.detail().stage), (Code::Redirect, Stage::Channel));
    assert_eq!(format!("http://{}", error.detail().host), bed.api_url);
    a.rest(2, Method::Put, "/a2");
    drop(bed.asked());
    assert_eq!(a.answer().1.unwrap_err().code(), Code::HttpProtocol);
    bed.close(vec![a]);
}

#[test]
fn nineteen_have_channels_and_share_one_spare() {
    let bed = Bed::new(3_600);
    let mut members: Vec<Member> = (0..SEATS).map(|_| bed.join(true).unwrap()).collect();
    assert_eq!(bed.join(true).err().map(|error| error.code()), Some(Code::ChannelLimit));
    let socket_only = bed.join(false).unwrap();
    assert_eq!(bed.source.running_clients(), SEATS + 1, "who was refused is not there");
    for member in &members[..3] {
        member.lease.ask_spare();
    }
    assert_eq!(members[..3].iter().map(Member::has_spare).collect::<Vec<_>>(), [true, false, false]);
    members[1].lease.leave();
    members[0].lease.return_spare();
    assert!(!members[0].has_spare() && !members[1].has_spare() && members[2].has_spare());
    members.push(bed.join(true).unwrap());
    members.push(socket_only);
    bed.close(members);
}
