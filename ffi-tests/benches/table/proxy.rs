//! A loopback proxy that holds everything back for a while, each way: round trips become countable.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A proxy, for as long as the process lives.
pub struct Proxy {
    /// Where it listens.
    pub addr: SocketAddr,
    /// How long it holds bytes back.
    pub delay: Duration,
}

impl Proxy {
    /// In front of `server`.
    pub fn start(server: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let accepted = Instant::now();
                let Ok(server) = TcpStream::connect(server) else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                // The handshake of TCP took no time on this side: its round trip is put back here.
                let not_before = accepted + 3 * delay;
                forward(client.try_clone().ok(), server.try_clone().ok(), delay, not_before);
                forward(Some(server), Some(client), delay, accepted);
            }
        });
        Self { addr, delay }
    }

    /// A time as round trips.
    pub fn round_trips(&self, time: Duration) -> f64 {
        time.as_secs_f64() / (2.0 * self.delay.as_secs_f64())
    }
}

/// One direction: a thread that reads, and one that writes when it is time.
fn forward(from: Option<TcpStream>, to: Option<TcpStream>, delay: Duration, not_before: Instant) {
    let (Some(mut from), Some(mut to)) = (from, to) else { return };
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let due = (Instant::now() + delay).max(not_before);
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, data) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&data).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
