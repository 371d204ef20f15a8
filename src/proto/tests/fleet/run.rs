//! Events in their order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::client::{settings, Client, Deed, Fact};
use super::endpoint::{reply, Endpoint, Verdict};
use super::library::error::{Code, Error, Stage};
use super::library::event::State;
use super::library::proto::dice::Dice;
use super::library::proto::refresher;
use super::library::proto::session::{self, Rounds};
use super::plan::{Loss, Plan, MINUTE_MS};
use super::report::{Report, Tally};

/// The clients start within this time.
const START_MS: u64 = MINUTE_MS;
/// When the server is lost: everybody is live by then.
const LOSS_MS: u64 = 2 * MINUTE_MS;
/// A fleet that came to rest is looked at for so long: it must stay at rest.
const REST_MS: u64 = 10 * MINUTE_MS;
/// One way through the network, least and most.
const NETWORK_MS: (u64, u64) = (20, 80);

/// What happens to one client.
#[derive(Debug, Eq, PartialEq)]
enum Event {
    Start,
    Wake,
    Asked { epoch: u64 },
    Told { epoch: u64, verdict: Verdict },
    Dialled { epoch: u64 },
    Connected { epoch: u64, is_up: bool },
    AskedToUpgrade { epoch: u64 },
    Opened { epoch: u64 },
    Shown { epoch: u64, token: u64 },
    Judged { epoch: u64, is_good: bool },
    Lost { epoch: u64 },
}

/// Due at, a number that keeps what is due at the same time in order, the client.
type Due = (u64, u64, usize);

/// The fleet and the servers.
pub struct Fleet {
    plan: Plan,
    now_ms: u64,
    dice: Dice,
    queue: BinaryHeap<Reverse<(Due, EventBox)>>,
    order: u64,
    clients: Vec<Client>,
    endpoint: Endpoint,
    /// Tokens up to this number are void.
    void: u64,
    is_lost: bool,
    live: usize,
    blocked: usize,
    tally: Tally,
}

/// Events have no order of their own: that is in [`Due`].
#[derive(Debug, Eq, PartialEq)]
struct EventBox(Event);

impl PartialOrd for EventBox {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for EventBox {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Runs a plan to its end.
pub fn run(plan: &Plan) -> Report {
    let mut fleet = Fleet::new(plan.clone());
    fleet.run_until(LOSS_MS, |_| false);
    assert_eq!(fleet.live, plan.clients, "everybody is live before the loss");
    fleet.lose();
    // Nobody has noticed yet: at rest they still seem.
    fleet.run_until(LOSS_MS + NETWORK_MS.1, |_| false);
    assert_eq!(fleet.live, 0, "everybody has noticed");
    fleet.run_until(LOSS_MS + plan.horizon_ms, Fleet::is_at_rest);
    let rested_ms = fleet.now_ms;
    if fleet.is_at_rest() {
        fleet.run_until(rested_ms + REST_MS, |_| false);
    }
    fleet.report()
}

impl Fleet {
    fn new(plan: Plan) -> Self {
        let settings = settings();
        let mut fleet = Self {
            now_ms: 0,
            dice: Dice::new(plan.seed),
            queue: BinaryHeap::new(),
            order: 0,
            clients: (0..plan.clients).map(|_| Client::new(&settings)).collect(),
            endpoint: Endpoint::new(plan.limit, plan.per_minute),
            void: 0,
            is_lost: false,
            live: 0,
            blocked: 0,
            tally: Tally::default(),
            plan,
        };
        for client in 0..fleet.clients.len() {
            let delay_ms = fleet.dice.up_to(START_MS);
            fleet.later(delay_ms, client, Event::Start);
        }
        fleet
    }

    // ---- time -----------------------------------------------------------------------------------------------

    fn later(&mut self, delay_ms: u64, client: usize, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(((self.now_ms + delay_ms, self.order, client), EventBox(event))));
    }

    /// After one way through the network.
    fn across(&mut self, client: usize, event: Event) {
        let (least, most) = NETWORK_MS;
        let delay_ms = least + self.dice.up_to(most - least);
        self.later(delay_ms, client, event);
    }

    fn run_until(&mut self, end_ms: u64, is_done: impl Fn(&Self) -> bool) {
        while !is_done(self) {
            let next_ms = self.queue.peek().map_or(u64::MAX, |Reverse(((at_ms, ..), _))| *at_ms);
            if next_ms > end_ms {
                self.now_ms = end_ms;
                return;
            }
            let Some(Reverse(((at_ms, _, client), EventBox(event)))) = self.queue.pop() else { return };
            self.now_ms = at_ms;
            self.happen(client, event);
        }
    }

    /// Nothing is left to do: everybody is live, or waits for new credentials.
    fn is_at_rest(&self) -> bool {
        self.live + self.blocked == self.clients.len()
    }

    // ---- what happens ---------------------------------------------------------------------------------------

    fn happen(&mut self, client: usize, event: Event) {
        match event {
            Event::Start => {
                self.tell(client, Fact::Session(session::Input::Start(Rounds::Forever)));
                self.tell(client, Fact::Refresher(refresher::Input::Start));
            }
            Event::Wake => self.wake(client),
            Event::Asked { epoch } => {
                let verdict = self.endpoint.judge(self.now_ms);
                if self.is_lost {
                    self.clients[client].requests += 1;
                    self.tally.asked(self.now_ms - LOSS_MS, matches!(verdict, Verdict::Granted(_)));
                }
                self.across(client, Event::Told { epoch, verdict });
            }
            Event::Told { epoch, verdict } => {
                let outcome = Ok(reply(verdict, self.plan.refusal));
                self.tell(client, Fact::Refresher(refresher::Input::Replied { epoch, outcome }));
            }
            Event::Dialled { epoch } => {
                let is_up = !self.is_lost || self.now_ms >= LOSS_MS + self.plan.down_ms;
                if self.is_lost {
                    self.clients[client].dials += 1;
                    self.tally.dialled(self.now_ms - LOSS_MS);
                }
                self.across(client, Event::Connected { epoch, is_up });
            }
            Event::Connected { epoch, is_up } => self.connected(client, epoch, is_up),
            Event::AskedToUpgrade { epoch } => self.across(client, Event::Opened { epoch }),
            Event::Opened { epoch } => self.tell(client, Fact::Session(session::Input::Opened { epoch })),
            Event::Shown { epoch, token } => {
                let is_good = token > self.void && !(self.is_lost && self.plan.refuses_tokens);
                if self.is_lost {
                    self.clients[client].shown.insert(token);
                }
                self.across(client, Event::Judged { epoch, is_good });
            }
            Event::Judged { epoch, is_good } => {
                let text: &[u8] = if is_good {
                    br#"{"type":"auth","status":"ok"}"#
                } else {
                    br#"{"type":"auth","status":"error","message":"Invalid token"}"#
                };
                self.tell(client, Fact::Session(session::Input::Reply { epoch, text: text.to_vec() }));
            }
            Event::Lost { epoch } => self.socket_lost(client, epoch),
        }
    }

    fn connected(&mut self, client: usize, epoch: u64, is_up: bool) {
        if is_up {
            self.clients[client].socket = Some(epoch);
            return self.tell(client, Fact::Session(session::Input::Connected { epoch }));
        }
        let error = Error::new(Code::Connect, Stage::Connect, "Connection refused.");
        self.tell(client, Fact::Session(session::Input::Failed { epoch, error }));
    }

    /// The instant of the loss.
    fn lose(&mut self) {
        self.is_lost = true;
        self.endpoint.limit(self.now_ms);
        if self.plan.loss == Loss::Revoked {
            self.void = self.endpoint.issued();
        }
        for client in 0..self.clients.len() {
            if let Some(epoch) = self.clients[client].socket {
                self.across(client, Event::Lost { epoch });
            }
        }
    }

    fn socket_lost(&mut self, client: usize, epoch: u64) {
        self.clients[client].socket = None;
        let input = match self.plan.loss {
            Loss::Drained => session::Input::Closed { epoch, code: 1012, reason: "Restart".into() },
            Loss::Revoked | Loss::Dropped => {
                session::Input::Dropped { epoch, error: Error::new(Code::Dropped, Stage::Live, "Reset by peer.") }
            }
        };
        self.tell(client, Fact::Session(input));
    }

    // ---- clients --------------------------------------------------------------------------------------------

    fn tell(&mut self, client: usize, fact: Fact) {
        let dice = &mut self.dice;
        let deeds = self.clients[client].take(self.now_ms, &mut || dice.up_to(u64::MAX), fact);
        self.follow(client, deeds);
    }

    fn wake(&mut self, client: usize) {
        // A later wake-up was put off or called off; an earlier one has its own event.
        if self.clients[client].armed_ms != Some(self.now_ms) {
            return;
        }
        self.clients[client].armed_ms = None;
        let dice = &mut self.dice;
        let deeds = self.clients[client].wake(self.now_ms, &mut || dice.up_to(u64::MAX));
        self.follow(client, deeds);
    }

    fn follow(&mut self, client: usize, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Ask { epoch } => self.across(client, Event::Asked { epoch }),
                Deed::Dial { epoch } => self.across(client, Event::Dialled { epoch }),
                Deed::Upgrade { epoch } => self.across(client, Event::AskedToUpgrade { epoch }),
                Deed::Show { epoch, token } => self.across(client, Event::Shown { epoch, token }),
            }
        }
        self.watch(client);
        let next_ms = self.clients[client].next_ms().map(|at_ms| at_ms.max(self.now_ms));
        if next_ms != self.clients[client].armed_ms {
            self.clients[client].armed_ms = next_ms;
            if let Some(at_ms) = next_ms {
                self.later(at_ms - self.now_ms, client, Event::Wake);
            }
        }
    }

    /// Looks whether a client has come to life, or to an end.
    fn watch(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let is_live = matches!(client.state(), State::Ready | State::Renewing | State::Degraded);
        if is_live != client.is_live {
            client.is_live = is_live;
            if is_live {
                self.live += 1;
                self.tally.lived(self.now_ms.saturating_sub(LOSS_MS));
            } else {
                self.live -= 1;
            }
        }
        let is_blocked = client.state() == State::ReauthRequired;
        if is_blocked != client.is_blocked {
            client.is_blocked = is_blocked;
            if is_blocked {
                self.blocked += 1;
            } else {
                self.blocked -= 1;
            }
        }
    }

    fn report(self) -> Report {
        let requests = self.clients.iter().map(|client| u64::from(client.requests));
        let shown = self.clients.iter().map(|client| client.shown.len() as u64);
        Report {
            optimum_ms: self.plan.optimum_ms(),
            down_ms: self.plan.down_ms,
            clients: self.clients.len(),
            live: self.live,
            blocked: self.blocked,
            tokens_shown: (shown.clone().min().unwrap_or(0), shown.max().unwrap_or(0)),
            requests_a_client: (requests.clone().min().unwrap_or(0), requests.max().unwrap_or(0)),
            tally: self.tally,
        }
    }
}
