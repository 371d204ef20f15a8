//! A proxy that opens tunnels (CONNECT), scripted: what it answers, and a record of what it was asked.
//!
//! Every name leads to this machine: a test may send a client to `api.example.com` and see that the name reached the
//! proxy unresolved. Dropping it ends every connection and joins every thread.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;

/// Longest request.
const LONGEST: usize = 64 << 10;

/// What it does with one connection.
#[derive(Clone, Debug, Default)]
pub enum Reply {
    /// Checks the credentials, if it was told any, connects to 127.0.0.1 at the port asked for, and passes bytes on.
    #[default]
    Honest,
    /// Sends these bytes and keeps the connection open.
    Say(Vec<u8>),
    /// Sends these bytes one at a time and then passes bytes on.
    Slowly(Vec<u8>),
    /// Sends these bytes and hangs up.
    SayAndHangUp(Vec<u8>),
    /// Reads the request and answers nothing.
    Silent,
    /// Hangs up at once.
    HangUp,
}

impl Reply {
    /// A head with this status line and these headers, each with its CRLF; the connection is kept open.
    pub fn status(line: &str, headers: &str) -> Self {
        Self::Say(format!("HTTP/1.1 {line}\r\n{headers}\r\n").into_bytes())
    }
}

/// A request it has received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    /// What a way was asked for: `host:port`.
    pub authority: String,
    /// The whole head.
    pub head: String,
}

/// A running proxy.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    door: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    always: Reply,
    credentials: Option<String>,
    denial: Option<String>,
    asked: Vec<Asked>,
    sockets: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one on 127.0.0.1 that lets everybody through.
    ///
    /// # Panics
    ///
    /// If it cannot listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared::default());
        let door = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Self { address, shared, door: Some(door) }
    }

    /// Its URL, as the key `proxy` has it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// From now on only this user comes through; others get 407.
    pub fn demand(&self, user: &str, password: &str) {
        self.shared.lock().credentials = Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    }

    /// The status line of those who do not come through, instead of 407's.
    pub fn deny_with(&self, line: &str) {
        self.shared.lock().denial = Some(line.into());
    }

    /// What it does with the next connection that is not scripted yet.
    pub fn then(&self, reply: Reply) -> &Self {
        self.shared.lock().replies.push_back(reply);
        self
    }

    /// What it does with connections that are not scripted.
    pub fn always(&self, reply: Reply) -> &Self {
        self.shared.lock().always = reply;
        self
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }

    /// Waits until so many requests have come; whether they have.
    pub fn wait_asked(&self, count: usize, timeout: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, timeout, |state| state.asked.len() < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.asked.len() >= count
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the door.
        let _ = TcpStream::connect(self.address);
        if let Some(door) = self.door.take() {
            let _ = door.join();
        }
        let (sockets, threads) = {
            let mut state = self.shared.lock();
            (std::mem::take(&mut state.sockets), std::mem::take(&mut state.threads))
        };
        sockets.iter().for_each(|socket| _ = socket.shutdown(Shutdown::Both));
        threads.into_iter().for_each(|thread| _ = thread.join());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a socket, so that it can be ended from outside. After the stop it is ended at once.
    fn keep(&self, socket: &TcpStream) -> io::Result<()> {
        let socket = socket.try_clone()?;
        let mut state = self.lock();
        if self.stopping.load(Ordering::SeqCst) {
            return socket.shutdown(Shutdown::Both);
        }
        state.sockets.push(socket);
        Ok(())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(socket) = socket else { continue };
        let (reply, own) = {
            let mut state = shared.lock();
            let reply = state.replies.pop_front().unwrap_or_else(|| state.always.clone());
            (reply, Arc::clone(shared))
        };
        // A connection that breaks is the client's to notice.
        let thread = thread::spawn(move || _ = serve(socket, reply, &own));
        shared.lock().threads.push(thread);
    }
}

fn serve(mut socket: TcpStream, reply: Reply, shared: &Shared) -> io::Result<()> {
    if matches!(reply, Reply::HangUp) {
        return Ok(());
    }
    socket.set_nodelay(true)?;
    shared.keep(&socket)?;
    let head = read_head(&mut socket)?;
    let authority = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (credentials, denial) = {
        let mut state = shared.lock();
        state.asked.push(Asked { authority: authority.clone(), head: head.clone() });
        (state.credentials.clone(), state.denial.clone())
    };
    shared.changed.notify_all();
    match reply {
        Reply::Honest => {
            let shown = header(&head, "proxy-authorization");
            if credentials.is_some() && credentials != shown {
                let line = denial.unwrap_or_else(|| "407 Proxy Authentication Required".into());
                let answer = format!("HTTP/1.1 {line}\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n");
                return say_goodbye(&mut socket, answer.as_bytes());
            }
            pass(socket, &authority, b"HTTP/1.1 200 Connection established\r\n\r\n", shared)
        }
        Reply::Slowly(bytes) => pass(socket, &authority, &bytes, shared),
        Reply::Say(bytes) => {
            socket.write_all(&bytes)?;
            drain(&mut socket)
        }
        Reply::SayAndHangUp(bytes) => say_goodbye(&mut socket, &bytes),
        Reply::Silent => drain(&mut socket),
        Reply::HangUp => Ok(()),
    }
}

/// Sends, and ends the connection: it is kept elsewhere too, so that dropping it would not.
fn say_goodbye(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes)?;
    socket.shutdown(Shutdown::Write)
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

/// A byte at a time, so that nothing behind the head is taken.
fn read_head(socket: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Reads on, until the other end hangs up.
fn drain(socket: &mut TcpStream) -> io::Result<()> {
    io::copy(socket, &mut io::sink()).map(drop)
}

/// Answers a byte at a time, then passes bytes on in both directions.
fn pass(mut client: TcpStream, authority: &str, answer: &[u8], shared: &Shared) -> io::Result<()> {
    let port = authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
    };
    server.set_nodelay(true)?;
    shared.keep(&server)?;
    for byte in answer {
        client.write_all(&[*byte])?;
    }
    let (up, down) = ((client.try_clone()?, server.try_clone()?), (server, client));
    thread::scope(|scope| {
        scope.spawn(|| one_way(up));
        one_way(down);
    });
    Ok(())
}

/// Passes an end on as an end, and a break as a break.
fn one_way((mut from, mut to): (TcpStream, TcpStream)) {
    let how = if io::copy(&mut from, &mut to).is_ok() { Shutdown::Write } else { Shutdown::Both };
    let _ = to.shutdown(how);
}
