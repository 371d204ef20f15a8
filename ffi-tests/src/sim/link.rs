//! One TCP connection with or without TLS: a reading half for one thread, a writing half for any.
//!
//! The TLS state is locked only while bytes are turned into other bytes, never while the socket blocks, so a
//! write is not held up by a read that waits, nor a read by a write.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use socket2::SockRef;

use super::record::TlsFacts;

/// A TLS client has this long to finish its handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// The writing half, and the handle by which a connection is ended.
pub(crate) struct Link {
    stream: Arc<TcpStream>,
    tls: Option<Mutex<ServerConnection>>,
    /// Keeps what was encrypted first first on the wire.
    order: Mutex<()>,
    /// Nothing is read for now.
    deaf: Mutex<bool>,
    listening: Condvar,
}

impl Link {
    /// Shakes hands when `config` says TLS.
    pub(crate) fn accept(stream: Arc<TcpStream>, config: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let tls = match config {
            Some(config) => Some(Mutex::new(shake_hands(&stream, config)?)),
            None => None,
        };
        Ok(Self { stream, tls, order: Mutex::default(), deaf: Mutex::default(), listening: Condvar::new() })
    }

    /// What TLS agreed on; `None` without TLS.
    pub(crate) fn facts(&self) -> Option<TlsFacts> {
        let tls = self.tls()?;
        Some(TlsFacts {
            version: format!("{:?}", tls.protocol_version()?),
            suite: format!("{:?}", tls.negotiated_cipher_suite()?.suite()),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            client_certificate: tls.peer_certificates().is_some(),
        })
    }

    /// Returns once the kernel has taken every byte.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut tls) = self.tls() else {
            return (&*self.stream).write_all(bytes);
        };
        tls.writer().write_all(bytes)?;
        let sealed = drain(&mut tls)?;
        drop(tls);
        (&*self.stream).write_all(&sealed)
    }

    /// The orderly end of TLS, as far as the socket takes it.
    pub(crate) fn say_goodbye(&self) -> io::Result<()> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut tls) = self.tls() else {
            return Ok(());
        };
        tls.send_close_notify();
        let sealed = drain(&mut tls)?;
        drop(tls);
        (&*self.stream).write_all(&sealed)
    }

    /// Ends our direction: what was sent still arrives, then end of file.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Stops reading after what has been read already, or goes on.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        *self.deaf.lock().unwrap_or_else(PoisonError::into_inner) = deaf;
        self.listening.notify_all();
    }

    fn wait_until_listening(&self) {
        let deaf = self.deaf.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.listening.wait_while(deaf, |deaf| *deaf));
    }

    /// Ends both directions; wakes whoever is blocked in a read or a write.
    pub(crate) fn sever(&self) {
        self.set_deaf(false);
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Makes the end of the connection a reset: it is sent when the last handle on the socket is gone.
    pub(crate) fn reset(&self) {
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    fn tls(&self) -> Option<MutexGuard<'_, ServerConnection>> {
        let tls = self.tls.as_ref()?;
        Some(tls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn shake_hands(stream: &TcpStream, config: Arc<ServerConfig>) -> io::Result<ServerConnection> {
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    tls.set_buffer_limit(None);
    stream.set_read_timeout(Some(HANDSHAKE))?;
    while tls.is_handshaking() {
        tls.complete_io(&mut &*stream)?;
    }
    stream.set_read_timeout(None)?;
    Ok(tls)
}

fn drain(tls: &mut ServerConnection) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut sealed)?;
    }
    Ok(sealed)
}

/// The reading half. What is written to it is thrown away: tungstenite writes its automatic answers there, and
/// the simulator gives its own.
pub(crate) struct Reader {
    link: Arc<Link>,
    raw: Box<[u8]>,
    plain: Vec<u8>,
    taken: usize,
}

impl Reader {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        let raw = vec![0; 32 * 1024].into_boxed_slice();
        let mut plain = Vec::new();
        if let Some(mut tls) = link.tls() {
            // What the client sent together with the end of its handshake has been decrypted already.
            let _ = take_plain(&mut tls, &mut plain);
        }
        Self { link, raw, plain, taken: 0 }
    }

    /// Reads until the peer ends the connection or somebody severs it.
    pub(crate) fn drain(&mut self) {
        let mut scrap = [0; 4096];
        while matches!(self.read(&mut scrap), Ok(n) if n > 0) {}
    }

    /// Takes some more bytes from the socket; false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        self.link.wait_until_listening();
        let n = (&*self.link.stream).read(&mut self.raw)?;
        let Some(mut tls) = self.link.tls() else {
            self.plain.extend_from_slice(&self.raw[..n]);
            return Ok(n > 0);
        };
        let mut rest = &self.raw[..n];
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            if take_plain(&mut tls, &mut self.plain)? {
                return Ok(!self.plain.is_empty());
            }
        }
        Ok(n > 0)
    }
}

/// Moves decrypted bytes out; says whether the client has said goodbye.
fn take_plain(tls: &mut ServerConnection, plain: &mut Vec<u8>) -> io::Result<bool> {
    let state = tls.process_new_packets().map_err(io::Error::other)?;
    let had = plain.len();
    plain.resize(had + state.plaintext_bytes_to_read(), 0);
    if plain.len() > had {
        tls.reader().read_exact(&mut plain[had..])?;
    }
    Ok(state.peer_has_closed())
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.plain.len() {
            self.plain.clear();
            self.taken = 0;
            if !self.fill()? {
                return Ok(0);
            }
        }
        let n = out.len().min(self.plain.len() - self.taken);
        out[..n].copy_from_slice(&self.plain[self.taken..self.taken + n]);
        self.taken += n;
        Ok(n)
    }
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
