//! The listening socket: open, shut, and opened again on the same port.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use super::hub::Hub;
use super::server;

const BACKLOG: i32 = 1024;

/// A port of our own: a socket that is bound to it and never listens. While the door is shut the kernel refuses
/// connections to the port and gives it to nobody else.
pub(crate) struct Port {
    pub(crate) addr: SocketAddr,
    _claim: Socket,
}

impl Port {
    /// Port 0 means any.
    pub(crate) fn claim(addr: SocketAddr) -> io::Result<Self> {
        let claim = bind(addr)?;
        let addr = claim.local_addr()?.as_socket();
        let addr = addr.ok_or_else(|| io::Error::other("the address has no port"))?;
        Ok(Self { addr, _claim: claim })
    }

    /// Listens, and serves what comes.
    pub(crate) fn open(&self, hub: &Arc<Hub>) -> io::Result<Door> {
        let socket = bind(self.addr)?;
        socket.listen(BACKLOG)?;
        let closing = Arc::new(AtomicBool::new(false));
        let (hub, seen) = (Arc::clone(hub), Arc::clone(&closing));
        let listener = TcpListener::from(socket);
        let named = thread::Builder::new().name("sim-door".to_owned());
        let thread = named.spawn(move || receive(&hub, &listener, &seen))?;
        Ok(Door { addr: self.addr, closing, thread })
    }
}

fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// A listening socket and its thread.
pub(crate) struct Door {
    addr: SocketAddr,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Door {
    /// When it returns, connections are refused.
    pub(crate) fn shut(self) {
        self.closing.store(true, Ordering::SeqCst);
        // The thread waits in accept: a connection of our own wakes it.
        let _ = TcpStream::connect(self.addr);
        let _ = self.thread.join();
    }
}

fn receive(hub: &Arc<Hub>, listener: &TcpListener, closing: &AtomicBool) {
    for stream in listener.incoming() {
        if closing.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(stream) = stream {
            hub.admit(stream, server::serve);
        }
    }
}
