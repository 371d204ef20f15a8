//! What the threads of one simulator share.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

use super::link::Link;
use super::notify::Books;
use super::policy::WsPolicy;
use super::record::{End, Record};
use super::script::Script;
use super::token::Ledger;
use super::writer::Order;

/// Record, scripts, books and live connections.
pub(crate) struct Hub {
    pub(crate) record: Record,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    script: Mutex<Script>,
    ledger: Mutex<Ledger>,
    ws: Mutex<WsPolicy>,
    /// Locked before all others.
    books: Mutex<Books>,
    addr: OnceLock<SocketAddr>,
    crowd: Mutex<Crowd>,
    stopped: Mutex<bool>,
    stopping: Condvar,
    next_seq: AtomicU64,
}

/// Connections that live, and threads that may.
#[derive(Default)]
struct Crowd {
    next: u64,
    /// Weak: a reset is sent only when the last handle is gone.
    streams: HashMap<u64, Weak<TcpStream>>,
    sockets: HashMap<usize, Socket>,
    threads: Vec<JoinHandle<()>>,
}

/// A live WebSocket connection, as seen from outside.
struct Socket {
    orders: Sender<Order>,
    link: Arc<Link>,
}

impl Hub {
    pub(crate) fn new(
        record: Record,
        tls: Option<Arc<ServerConfig>>,
        ledger: Ledger,
        ws: WsPolicy,
        books: Books,
    ) -> Self {
        Self {
            record,
            tls,
            script: Mutex::new(Script::new()),
            ledger: Mutex::new(ledger),
            ws: Mutex::new(ws),
            books: Mutex::new(books),
            addr: OnceLock::new(),
            crowd: Mutex::new(Crowd::default()),
            stopped: Mutex::new(false),
            stopping: Condvar::new(),
            next_seq: AtomicU64::new(1),
        }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        lock(&self.script)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    pub(crate) fn ws(&self) -> MutexGuard<'_, WsPolicy> {
        lock(&self.ws)
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    /// Where the simulator listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        *self.addr.get().expect("nobody is served before the address is known")
    }

    /// `https://host:port`, or `http` without TLS.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr())
    }

    pub(crate) fn set_addr(&self, addr: SocketAddr) {
        let _ = self.addr.set(addr);
    }

    /// The next number of a pumped message.
    pub(crate) fn take_seq(&self, limit: u64) -> Option<u64> {
        let up = |seq| (limit == 0 || seq <= limit).then_some(seq + 1);
        self.next_seq.fetch_update(Ordering::Relaxed, Ordering::Relaxed, up).ok()
    }

    /// Waits; false when the simulator stops meanwhile.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let guard = lock(&self.stopped);
        let waited = self.stopping.wait_timeout_while(guard, time, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *lock(&self.stopped)
    }

    /// Serves a new connection on a thread of its own.
    pub(crate) fn admit(self: &Arc<Self>, stream: TcpStream, serve: fn(&Arc<Hub>, u64, Arc<TcpStream>)) {
        let mut crowd = lock(&self.crowd);
        let stream = Arc::new(stream);
        let tcp = crowd.next;
        crowd.next += 1;
        crowd.threads.retain(|thread| !thread.is_finished());
        crowd.streams.insert(tcp, Arc::downgrade(&stream));
        let hub = Arc::clone(self);
        let work = move || {
            serve(&hub, tcp, stream);
            lock(&hub.crowd).streams.remove(&tcp);
        };
        let named = thread::Builder::new().name(format!("sim-{tcp}"));
        if let Ok(thread) = named.spawn(work) {
            crowd.threads.push(thread);
        }
    }

    /// A thread of the simulator's own, joined at its end.
    pub(crate) fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) {
        if let Ok(thread) = thread::Builder::new().name(name.to_owned()).spawn(work) {
            lock(&self.crowd).threads.push(thread);
        }
    }

    pub(crate) fn enter(&self, connection: usize, orders: Sender<Order>, link: Arc<Link>) {
        lock(&self.crowd).sockets.insert(connection, Socket { orders, link });
    }

    pub(crate) fn leave(&self, connection: usize) {
        lock(&self.crowd).sockets.remove(&connection);
    }

    /// Sends an order to every live WebSocket connection, or to one.
    pub(crate) fn order(&self, only: Option<usize>, order: &Order) {
        let crowd = lock(&self.crowd);
        let wanted = crowd.sockets.iter().filter(|(index, _)| only.is_none_or(|o| o == **index));
        for (_, socket) in wanted {
            let _ = socket.orders.send(order.clone());
        }
    }

    /// Ends our direction of every WebSocket connection, even where the writer is blocked.
    pub(crate) fn drop_sockets(&self) {
        // The record is never locked while the crowd is: `accept` has them the other way round.
        let indices: Vec<usize> = lock(&self.crowd).sockets.keys().copied().collect();
        indices.iter().for_each(|&index| self.books().detach(index));
        self.record.note(|log, at| {
            for &index in &indices {
                log.end(at, index, End::Dropped);
            }
        });
        let crowd = lock(&self.crowd);
        for socket in indices.iter().filter_map(|index| crowd.sockets.get(index)) {
            socket.link.finish();
            let _ = socket.orders.send(Order::Severed);
        }
    }

    /// WebSocket connections that have not ended.
    pub(crate) fn live(&self) -> Vec<usize> {
        let mut live: Vec<usize> = lock(&self.crowd).sockets.keys().copied().collect();
        self.record.read(|log| live.retain(|&index| log.connections[index].end.is_none()));
        live.sort_unstable();
        live
    }

    /// Ends every TCP connection, whatever its threads are doing.
    pub(crate) fn sever_all(&self) {
        let crowd = lock(&self.crowd);
        for stream in crowd.streams.values().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes readers that do not listen just now.
        crowd.sockets.values().for_each(|socket| socket.link.sever());
    }

    /// Wakes every wait, ends every connection, joins every thread.
    pub(crate) fn stop(&self) {
        *lock(&self.stopped) = true;
        self.stopping.notify_all();
        self.sever_all();
        let threads = std::mem::take(&mut lock(&self.crowd).threads);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
