//! A TCP relay between a client and a server, whose manners can be changed while it runs: how it takes new
//! connections ([`Gate`]) and what it does with the bytes of those it has ([`Flow`]).
//!
//! ```
//! use ffi_tests::relay::{Flow, Gate, Relay};
//! let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! let relay = Relay::start(server.local_addr().unwrap()).unwrap();
//! relay.gate(Gate::Refuse);
//! assert!(std::net::TcpStream::connect(relay.addr()).is_err());
//! relay.gate(Gate::Open);
//! assert!(std::net::TcpStream::connect(relay.addr()).is_ok());
//! relay.flow_to_server(Flow::Freeze);
//! ```
//!
//! One thread, one wait. Every call returns after the change is in force. Dropping it ends every connection.

mod conn;
mod work;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{channel, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::Waker;

use work::Work;

/// How new connections are met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Gate {
    /// They are relayed.
    Open,
    /// The port refuses them.
    Refuse,
    /// No SYN is answered: the listener's backlog is full.
    BlackHole,
    /// Accepted, and nothing more.
    Stall,
    /// Accepted, then ended so.
    End(Cut),
    /// Accepted; these bytes answer the first ones of the client, then it ends.
    Say(Vec<u8>),
    /// Relayed until the server has sent so many bytes, then ended so.
    Until(usize, Cut),
}

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Flow {
    /// They are relayed.
    #[default]
    Pass,
    /// Nothing is read: the sender's buffers fill. What was held goes on when it passes again.
    Freeze,
    /// One byte at a time.
    Trickle,
    /// So many bytes a second.
    Throttle(u32),
}

/// How a connection is ended, on both sides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// RST.
    Reset,
    /// FIN, without any word of TLS or WebSocket.
    Fin,
}

/// Tells the relay's thread what to do.
enum Order {
    Gate(Gate),
    Flow(Direction, Flow),
    Upstream(SocketAddr),
    Cut(Cut),
    Stop,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    ToServer,
    ToClient,
}

/// A running relay.
pub struct Relay {
    addr: SocketAddr,
    orders: Sender<(Order, Sender<()>)>,
    waker: Arc<Waker>,
    accepted: Arc<Count>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay on a free port of 127.0.0.1.
    pub fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), upstream)
    }

    /// A relay at this address.
    pub fn start_at(addr: SocketAddr, upstream: SocketAddr) -> io::Result<Self> {
        let (orders, inbox) = channel();
        let accepted = Arc::new(Count::default());
        let (work, waker) = Work::new(addr, upstream, inbox, Arc::clone(&accepted))?;
        let addr = work.addr();
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || work.run())?;
        Ok(Self { addr, orders, waker, accepted, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How connections are met from now on.
    pub fn gate(&self, gate: Gate) {
        self.order(Order::Gate(gate));
    }

    /// What happens to what clients send.
    pub fn flow_to_server(&self, flow: Flow) {
        self.order(Order::Flow(Direction::ToServer, flow));
    }

    /// What happens to what the server sends.
    pub fn flow_to_client(&self, flow: Flow) {
        self.order(Order::Flow(Direction::ToClient, flow));
    }

    /// Connections from now on go there.
    pub fn upstream(&self, addr: SocketAddr) {
        self.order(Order::Upstream(addr));
    }

    /// Ends the connections there are.
    pub fn cut(&self, cut: Cut) {
        self.order(Order::Cut(cut));
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        *lock(&self.accepted.value)
    }

    /// Waits until so many were accepted; says whether they were.
    pub fn wait_accepted(&self, count: u64, timeout: Duration) -> bool {
        let guard = lock(&self.accepted.value);
        let waited = self.accepted.changed.wait_timeout_while(guard, timeout, |value| *value < count);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= count
    }

    fn order(&self, order: Order) {
        let (done, when_done) = channel();
        if self.orders.send((order, done)).is_ok() && self.waker.wake().is_ok() {
            let _ = when_done.recv();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A number to wait for.
#[derive(Default)]
struct Count {
    value: Mutex<u64>,
    changed: Condvar,
}

impl Count {
    fn add(&self) {
        *lock(&self.value) += 1;
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
