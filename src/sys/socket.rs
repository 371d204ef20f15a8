//! Socket options that neither std nor mio sets.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;

/// Seconds of silence before the kernel probes the peer.
const IDLE_S: libc::c_int = 60;
/// Seconds between probes.
const INTERVAL_S: libc::c_int = 15;
/// Probes without an answer that end the connection.
const PROBES: libc::c_int = 4;

/// Bytes that the kernel takes ahead of what it can send. Without a bound a ping, or a renewal, waits behind megabytes on a
/// slow line: longer than a pong may take. Nor would "sent" mean much.
const UNSENT_BYTES: libc::c_int = 128 << 10;

/// Keeps what waits in the kernel short.
pub fn bound_unsent(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, UNSENT_BYTES)
}

/// Lets the kernel find out about a dead peer: keep-alive probes, and `dead_after_ms` for data that is never acknowledged.
pub fn keep_alive(socket: BorrowedFd<'_>, dead_after_ms: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, IDLE_S)?;
    set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, INTERVAL_S)?;
    set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, PROBES)?;
    let dead_after = libc::c_int::try_from(dead_after_ms).unwrap_or(libc::c_int::MAX);
    set(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, dead_after)
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as it is borrowed, `value` lives through the call and is
    // `size` bytes long, and the call only reads it.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn options_are_accepted_on_tcp_and_refused_elsewhere() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        keep_alive(stream.as_fd(), 30_000).unwrap();
        bound_unsent(stream.as_fd()).unwrap();
        assert!(keep_alive(std::fs::File::open("/dev/null").unwrap().as_fd(), 1).is_err());
    }
}
