//! Sending: the application's messages go out one at a time, each ends exactly once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::SocketThread;
use crate::error::Error;
use crate::event::{MessageKind, Notice, Sent};
use crate::metrics::Counter;
use crate::proto::outbox::Outbox;
use crate::shell::link::Flushed;

/// Messages sent before the sockets, the inbox and the timers get their turn.
const BUDGET: usize = 256;
/// Bytes of messages after which they do: on a slow machine many large messages take longer than a pong may.
const BUDGET_BYTES: usize = 256 << 10;

impl SocketThread {
    /// Hands waiting messages to the socket in use, one at a time, until it would block or others have waited long
    /// enough; `true`: there may be more.
    pub(super) fn pump(&mut self) -> bool {
        let mut bytes = 0;
        for _ in 0..BUDGET {
            let (Some(epoch), None) = (self.send_on, &self.writing) else { return false };
            let Some(active) = self.links.iter_mut().find(|active| active.epoch == epoch) else { return false };
            if active.link.unflushed() > 0 || active.auth.is_some() {
                return false;
            }
            let Some(message) = lock(&self.outbox).take_next() else { return false };
            let flushed = match (message.kind, std::str::from_utf8(&message.data)) {
                (MessageKind::Text, Ok(text)) => active.link.send_text(text),
                _ => active.link.send_binary(&message.data),
            };
            bytes += message.data.len();
            self.writing = Some((epoch, message));
            match flushed {
                Ok(Flushed::Done) => self.written(),
                Ok(Flushed::Pending) => return false,
                Err(error) => self.ended(epoch, error),
            }
            if bytes >= BUDGET_BYTES {
                break;
            }
        }
        true
    }

    /// The last byte of the message was handed to the kernel.
    fn written(&mut self) {
        let Some((_, message)) = self.writing.take() else { return };
        self.delivery.count(Counter::MessagesSent, 1);
        self.delivery.count(Counter::BytesSent, message.data.len() as u64);
        let sent: Option<Sent> = self.outbox().written();
        if let Some(sent) = sent {
            self.delivery.push_notice(Notice::Sent(sent));
        }
    }

    /// A socket can take more.
    pub(super) fn flush(&mut self, epoch: u64) {
        let Some(active) = self.active(epoch).filter(|active| active.is_open) else { return };
        match active.link.flush() {
            Ok(Flushed::Pending) => {}
            Ok(Flushed::Done) => {
                let auth = active.auth.take();
                if self.writing.as_ref().is_some_and(|(on, _)| *on == epoch) {
                    self.written();
                }
                if let Some(frame) = auth {
                    self.send_auth(epoch, frame);
                }
            }
            Err(error) => self.ended(epoch, error),
        }
    }

    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        lock(&self.outbox)
    }

    /// What was not sent goes back to the application.
    pub(super) fn give_back(&mut self, why: &Error) {
        self.writing = None;
        let back = self.outbox().give_back(why);
        self.shared.add_unsent(back.len() as u64);
        for sent in back {
            self.delivery.push_notice(Notice::Sent(sent));
        }
    }
}

fn lock(outbox: &Mutex<Outbox>) -> MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}
