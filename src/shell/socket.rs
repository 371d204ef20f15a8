//! A TCP socket that its owner's table of descriptors knows.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;

use mio::net::TcpStream;

use crate::sys::Held;

/// A non-blocking socket of the client whose thread has made it. In all else it is what mio makes.
pub struct Socket {
    /// In front of the socket: it goes first.
    _held: Held,
    tcp: TcpStream,
}

impl Socket {
    /// Begins to connect.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).map(Self::from)
    }
}

impl From<TcpStream> for Socket {
    fn from(tcp: TcpStream) -> Self {
        Self { _held: Held::new(tcp.as_raw_fd()), tcp }
    }
}

impl Deref for Socket {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.tcp
    }
}

impl DerefMut for Socket {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }
}
