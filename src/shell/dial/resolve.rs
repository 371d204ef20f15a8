//! Name resolution on helper threads: getaddrinfo has no time-out and cannot be interrupted.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, AtomicU8, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::shell::wait::Bell;
use crate::sys::{self, PerProcess};

/// Most helper threads in a process; further look-ups queue behind them.
const THREADS: usize = 2;
/// Stack of a helper: NSS modules keep buffers there.
const STACK: usize = 256 << 10;

/// Look-ups that nobody waits for any more and that getaddrinfo still holds.
static STUCK: PerProcess<AtomicU32> = PerProcess::new(AtomicU32::new(0));
/// The threads are this process's: a child after fork has none of its parent's, nor what their clients wait for.
static QUEUE: PerProcess<Mutex<Queue>> = PerProcess::new(Mutex::new(Queue { jobs: VecDeque::new(), threads: 0 }));

/// How many resolver threads work on an answer that nobody waits for (at most two).
pub fn resolvers_stuck() -> u32 {
    STUCK.get().load(Ordering::SeqCst)
}

/// A look-up under way. Dropping it abandons it; the helper finds out when getaddrinfo returns.
pub struct Lookup {
    answer: Receiver<io::Result<Vec<SocketAddr>>>,
    state: Arc<State>,
}

impl Lookup {
    /// Starts to look up a name; `bell` rings when the answer is there.
    pub fn start(host: &str, port: u16, bell: Bell) -> io::Result<Self> {
        let (sender, answer) = channel();
        let state = Arc::new(State::new());
        let job = Job { host: host.into(), port, sender, bell, state: Arc::clone(&state) };
        let mut queue = lock();
        queue.jobs.push_back(job);
        if queue.threads < THREADS {
            let spawned = thread::Builder::new().name("gwa-resolve".into()).stack_size(STACK).spawn(work);
            match spawned {
                Ok(_) => queue.threads += 1,
                // A helper that runs will get to it; without one nobody would.
                Err(error) if queue.threads == 0 => {
                    queue.jobs.pop_back();
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(Self { answer, state })
    }

    /// The answer, once it is there.
    pub fn poll(&self) -> Option<io::Result<Vec<SocketAddr>>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("the resolver thread is gone"))),
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if self.state.0.swap(State::ABANDONED, Ordering::SeqCst) == State::RUNNING {
            STUCK.get().fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How far a look-up is: told by its helper and by whoever waits for it.
struct State(AtomicU8);

impl State {
    const QUEUED: u8 = 0;
    const RUNNING: u8 = 1;
    const DONE: u8 = 2;
    const ABANDONED: u8 = 3;

    fn new() -> Self {
        Self(AtomicU8::new(Self::QUEUED))
    }

    /// Whether anybody still wants the answer.
    fn begin(&self) -> bool {
        self.0.compare_exchange(Self::QUEUED, Self::RUNNING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn end(&self) {
        if self.0.swap(Self::DONE, Ordering::SeqCst) == Self::ABANDONED {
            STUCK.get().fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// What a helper owns: a name, and where to put the answer. No handle, no callback, no secret.
struct Job {
    host: String,
    port: u16,
    sender: Sender<io::Result<Vec<SocketAddr>>>,
    bell: Bell,
    state: Arc<State>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
}

/// The queue; its data is whole even if a holder panicked. Never held during a look-up.
fn lock() -> MutexGuard<'static, Queue> {
    QUEUE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A helper: works until the queue is empty.
fn work() {
    sys::block_signals_in_this_thread();
    while let Some(job) = next() {
        if job.state.begin() {
            let answer = (job.host.as_str(), job.port).to_socket_addrs().map(Iterator::collect);
            job.state.end();
            // Nobody may be waiting any more.
            let _ = job.sender.send(answer);
            job.bell.ring();
        }
    }
}

fn next() -> Option<Job> {
    let mut queue = lock();
    let job = queue.jobs.pop_front();
    if job.is_none() {
        queue.threads -= 1;
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::clock::Clock;
    use crate::shell::wait::Waiter;

    #[test]
    fn an_answer_rings_the_bell() {
        let clock = Clock::new();
        let mut waiter = Waiter::new(&clock).unwrap();
        let lookups: Vec<_> = (0..5).map(|port| Lookup::start("localhost", port, waiter.bell()).unwrap()).collect();
        for (port, lookup) in lookups.iter().enumerate() {
            let answer = loop {
                match lookup.poll() {
                    Some(answer) => break answer.unwrap(),
                    None => assert!(waiter.wait(None, clock.now()).unwrap().bell),
                }
            };
            assert!(answer.iter().all(|address| address.ip().is_loopback() && usize::from(address.port()) == port));
        }
    }

    #[test]
    fn one_that_nobody_waits_for_is_counted_while_it_runs() {
        let lookup = |state: &Arc<State>| Lookup { answer: channel().1, state: Arc::clone(state) };
        let queued = Arc::new(State::new());
        drop(lookup(&queued));
        assert!(!queued.begin(), "nobody wants the answer");
        let running = Arc::new(State::new());
        assert!(running.begin());
        drop(lookup(&running));
        // Other tests may add to the count, but not take this one away.
        assert!(resolvers_stuck() >= 1);
        running.end();
    }
}
