//! A DNS server for one name service of our own, for tests in a network namespace: see [`crate::netns`].

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const NXDOMAIN: u8 = 3;

/// What is answered, whatever the name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// These addresses, in this order.
    Addresses(Vec<Ipv4Addr>),
    /// There is no such name.
    NoSuchName,
    /// Nothing.
    Silence,
}

/// A running server.
pub struct Names {
    addr: SocketAddr,
    answer: Arc<Mutex<Option<Answer>>>,
    thread: Option<JoinHandle<()>>,
}

impl Names {
    /// A server at this address; port 53 is where resolvers ask.
    pub fn start(addr: SocketAddr, answer: Answer) -> io::Result<Self> {
        let socket = UdpSocket::bind(addr)?;
        let addr = socket.local_addr()?;
        let answer = Arc::new(Mutex::new(Some(answer)));
        let current = Arc::clone(&answer);
        let thread = thread::Builder::new().name("names".to_owned()).spawn(move || serve(&socket, &current))?;
        Ok(Self { addr, answer, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What is answered from now on.
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        // The thread waits for a question.
        let asked = UdpSocket::bind((self.addr.ip(), 0)).and_then(|socket| socket.send_to(b"end", self.addr));
        if let (Ok(_), Some(thread)) = (asked, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, answer: &Mutex<Option<Answer>>) {
    let mut question = [0; 512];
    while let Ok((count, from)) = socket.recv_from(&mut question) {
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(answer) = answer else { return };
        if let Some(reply) = reply(&question[..count], &answer) {
            // Who asked may be gone.
            let _ = socket.send_to(&reply, from);
        }
    }
}

/// RFC 1035, as far as one question needs it.
fn reply(question: &[u8], answer: &Answer) -> Option<Vec<u8>> {
    let name_len = question.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let end = HEADER + name_len + 1 + 4;
    let asked = question.get(HEADER..end)?;
    let kind = u16::from_be_bytes([asked[name_len + 1], asked[name_len + 2]]);
    let (code, addresses) = match answer {
        Answer::Silence => return None,
        Answer::NoSuchName => (NXDOMAIN, &[][..]),
        Answer::Addresses(addresses) if kind == TYPE_A => (0, &addresses[..]),
        Answer::Addresses(_) => (0, &[][..]),
    };
    let count = u8::try_from(addresses.len()).ok()?;
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    out.extend(asked);
    for address in addresses {
        // The name is the question's; type A, class IN, not to be kept, four bytes.
        out.extend([0xC0, HEADER as u8, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        out.extend(address.octets());
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_answers_as_told() {
        let addresses = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
        let names = Names::start(([127, 0, 0, 1], 0).into(), Answer::Addresses(addresses.into())).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let ask = |kind: u8, wait_ms: u64| {
            socket.set_read_timeout(Some(Duration::from_millis(wait_ms))).unwrap();
            let question =
                [b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00", &[kind, 0, 1][..]].concat();
            socket.send_to(&question, names.addr()).unwrap();
            let mut reply = [0; 512];
            socket.recv(&mut reply).map(|count| reply[..count].to_vec())
        };
        let reply = ask(1, 20_000).unwrap();
        assert_eq!((&reply[..2], reply[3] & 15, reply[7]), (&b"\x12\x34"[..], 0, 2));
        assert!(reply.ends_with(&[127, 0, 0, 2]));
        assert_eq!(ask(28, 20_000).unwrap()[7], 0, "no IPv6");
        names.answer(Answer::NoSuchName);
        assert_eq!(ask(1, 20_000).unwrap()[3] & 15, NXDOMAIN);
        names.answer(Answer::Silence);
        assert!(ask(1, 50).is_err());
    }
}
