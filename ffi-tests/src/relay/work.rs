//! The relay's thread: accepts, moves bytes, obeys.

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, SockRef, Socket, Type};

use super::conn::{Conn, Pair};
use super::{Count, Cut, Direction, Flow, Gate, Order};

const BACKLOG: i32 = 128;
const WAKER: Token = Token(0);
/// Sockets are all looked at after every wake: they need no token of their own.
const SOCKET: Token = Token(1);
/// Small, so that a server that stops reading is felt soon.
const RECEIVE_BUFFER: usize = 32 * 1024;

/// What the thread owns.
pub(super) struct Work {
    poll: Poll,
    addr: SocketAddr,
    /// Bound and never listening: keeps the port ours while it refuses.
    _claim: Socket,
    listener: Option<TcpListener>,
    /// Fills the backlog of a black hole.
    filler: Option<StdStream>,
    /// Where the fillers came from that are gone: they are not accepted as clients.
    fillers: Vec<SocketAddr>,
    upstream: SocketAddr,
    gate: Gate,
    flows: [Flow; 2],
    conns: Vec<Conn>,
    orders: Receiver<(Order, Sender<()>)>,
    accepted: Arc<Count>,
}

impl Work {
    pub(super) fn new(
        addr: SocketAddr,
        upstream: SocketAddr,
        orders: Receiver<(Order, Sender<()>)>,
        accepted: Arc<Count>,
    ) -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let claim = bind(addr)?;
        let bound = claim.local_addr()?.as_socket();
        let addr = bound.ok_or_else(|| io::Error::other("the address has no port"))?;
        let mut work = Self {
            poll,
            addr,
            _claim: claim,
            listener: None,
            filler: None,
            fillers: Vec::new(),
            upstream,
            gate: Gate::Refuse,
            flows: [Flow::Pass; 2],
            conns: Vec::new(),
            orders,
            accepted,
        };
        work.open(Gate::Open)?;
        Ok((work, waker))
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let due = self.conns.iter().filter_map(|conn| conn.due(self.flows)).min();
            if self.poll.poll(&mut events, due).is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                return;
            }
            while let Ok((order, done)) = self.orders.try_recv() {
                if matches!(order, Order::Stop) {
                    return;
                }
                self.obey(order);
                // Who ordered it may be gone.
                let _ = done.send(());
            }
            self.accept();
            let (flows, now) = (self.flows, Instant::now());
            self.conns.retain_mut(|conn| conn.step(flows, now));
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Gate(gate) => self.open(gate).expect("the port is still ours"),
            Order::Flow(Direction::ToServer, flow) => self.flows[0] = flow,
            Order::Flow(Direction::ToClient, flow) => self.flows[1] = flow,
            Order::Upstream(addr) => self.upstream = addr,
            Order::Cut(cut) => self.conns.drain(..).for_each(|conn| conn.end(cut)),
            Order::Stop => {}
        }
    }

    fn open(&mut self, gate: Gate) -> io::Result<()> {
        if gate != Gate::BlackHole {
            self.filler = None;
        }
        match gate {
            Gate::Refuse => self.listener = None,
            Gate::BlackHole if self.filler.is_some() => {}
            Gate::BlackHole => {
                self.listen(0)?;
                let filler = StdStream::connect_timeout(&self.addr, Duration::from_secs(10))?;
                self.fillers.push(filler.local_addr()?);
                self.filler = Some(filler);
            }
            _ => self.listen(BACKLOG)?,
        }
        self.gate = gate;
        Ok(())
    }

    /// A socket that listens already takes the new backlog.
    fn listen(&mut self, backlog: i32) -> io::Result<()> {
        if let Some(listener) = &self.listener {
            // What was accepted before the gate changed is met as it was then.
            SockRef::from(listener).listen(backlog)
        } else {
            let socket = bind(self.addr)?;
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
            socket.listen(backlog)?;
            socket.set_nonblocking(true)?;
            let mut listener = TcpListener::from_std(socket.into());
            self.poll.registry().register(&mut listener, SOCKET, Interest::READABLE)?;
            self.listener = Some(listener);
            Ok(())
        }
    }

    fn accept(&mut self) {
        if self.gate == Gate::BlackHole {
            return;
        }
        while let Some((client, peer)) = self.listener.as_ref().and_then(|listener| listener.accept().ok()) {
            if !self.fillers.contains(&peer) {
                self.accepted.add();
                // Whoever comes while a descriptor is short is ended.
                let _ = self.admit(client);
            }
        }
    }

    fn admit(&mut self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        self.poll.registry().register(&mut client, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
        let conn = match &self.gate {
            Gate::End(cut) => {
                Conn::Held(client).end(*cut);
                return Ok(());
            }
            Gate::Say(words) => Conn::Say(client, words.clone()),
            Gate::Stall | Gate::Refuse | Gate::BlackHole => Conn::Held(client),
            Gate::Open => self.pair(client, None)?,
            Gate::Until(bytes, cut) => self.pair(client, Some((*bytes, *cut)))?,
        };
        self.conns.push(conn);
        Ok(())
    }

    fn pair(&self, client: TcpStream, until: Option<(usize, Cut)>) -> io::Result<Conn> {
        let mut server = TcpStream::connect(self.upstream)?;
        server.set_nodelay(true)?;
        self.poll.registry().register(&mut server, SOCKET, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Conn::Pair(Box::new(Pair::new(client, server, until))))
    }
}

fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}
