//! The messages between the threads. Every sender rings the receiver's bell, so that one wait covers sockets and inbox.

use std::sync::mpsc::{self, Receiver, Sender};

use super::wait::Bell;
use crate::proto::refresher;

/// What gwa-refresh is told: a fact for the machine, and which client says so (0: none of them in particular).
#[derive(Debug)]
pub struct ToRefresh {
    pub member: u64,
    pub input: refresher::Input,
}

/// The sending end of a thread's inbox.
pub struct Inbox<T> {
    sender: Sender<T>,
    bell: Bell,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bell: self.bell.clone() }
    }
}

impl<T> Inbox<T> {
    /// An inbox whose receiver waits with `bell`.
    pub fn new(bell: Bell) -> (Self, Receiver<T>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender, bell }, receiver)
    }

    /// Sends; what a thread that has ended cannot read any more is dropped.
    pub fn send(&self, message: T) {
        if self.sender.send(message).is_ok() {
            self.bell.ring();
        }
    }

    /// Wakes the thread to look at the send queue.
    pub fn ring(&self) {
        self.bell.ring();
    }
}
