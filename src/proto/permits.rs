//! Who of the clients of one token has how many of its channels ("Genesys Cloud", Channels: 20 a user and application; the
//! 21st evicts the least recently used).
//!
//! Every client holds a *seat*, its own channel. A rollover needs a second channel for a moment: that is the *spare* one,
//! and clients take it in turns, in the order in which they asked. So a source with all seats taken has 20 channels at most,
//! and none of its rollovers evicts a sibling.

use std::collections::VecDeque;

/// Channels that Genesys Cloud lets a user and application have at a time.
const CHANNELS: usize = 20;
/// Clients that may hold a channel: one channel is spare.
pub const SEATS: usize = CHANNELS - 1;

/// Seats, and the queue for the spare channel. Clients go by the numbers they have at their source.
#[derive(Debug, Default)]
pub struct Permits {
    seated: Vec<u64>,
    holder: Option<u64>,
    waiting: VecDeque<u64>,
}

impl Permits {
    /// One more client with a channel; `false`: there is no seat left.
    pub fn take_seat(&mut self, id: u64) -> bool {
        if self.seated.contains(&id) {
            return true;
        }
        if self.seated.len() >= SEATS {
            return false;
        }
        self.seated.push(id);
        true
    }

    /// This one asks for the spare channel; who is to be told that it has it now, if anybody. Who has it already is told
    /// again, who waits keeps its place, and who has no seat gets nothing.
    pub fn ask(&mut self, id: u64) -> Option<u64> {
        if !self.seated.contains(&id) {
            return None;
        }
        if self.holder == Some(id) {
            return Some(id);
        }
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
        self.grant()
    }

    /// This one does not need the spare channel, or does not wait for it, any more; who has it now instead.
    pub fn give_back(&mut self, id: u64) -> Option<u64> {
        self.waiting.retain(|waiting| *waiting != id);
        self.holder.take_if(|holder| *holder == id);
        self.grant()
    }

    /// This one has no channel any more; who has the spare one now instead.
    pub fn leave(&mut self, id: u64) -> Option<u64> {
        self.seated.retain(|seated| *seated != id);
        self.give_back(id)
    }

    /// Everybody leaves.
    pub fn dissolve(&mut self) {
        *self = Self::default();
    }

    /// Who has the spare channel.
    pub fn holder(&self) -> Option<u64> {
        self.holder
    }

    /// Clients with a seat.
    pub fn seated(&self) -> usize {
        self.seated.len()
    }

    /// The next in turn, if the spare channel is free.
    fn grant(&mut self) -> Option<u64> {
        if self.holder.is_some() {
            return None;
        }
        self.holder = self.waiting.pop_front();
        self.holder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Permits of this many clients, numbered from 1.
    fn permits(clients: u64) -> Permits {
        let mut permits = Permits::default();
        assert!((1..=clients).all(|id| permits.take_seat(id)));
        permits
    }

    #[test]
    fn nineteen_have_a_seat_and_the_twentieth_has_none() {
        let mut permits = permits(19);
        assert!(!permits.take_seat(20) && permits.take_seat(7), "who sits keeps the seat");
        assert_eq!((permits.seated(), permits.ask(20)), (19, None));
        assert_eq!(permits.give_back(20), None, "a stranger holds nothing");
        permits.leave(7);
        assert!(permits.take_seat(20) && !permits.take_seat(7));
    }

    #[test]
    fn the_spare_goes_round_in_the_order_of_asking() {
        let mut permits = permits(3);
        assert_eq!(permits.ask(2), Some(2));
        assert_eq!((permits.ask(3), permits.ask(1), permits.ask(3)), (None, None, None));
        assert_eq!((permits.ask(2), permits.holder()), (Some(2), Some(2)), "who has it is told again");
        assert_eq!(permits.give_back(2), Some(3));
        assert_eq!((permits.ask(2), permits.give_back(3)), (None, Some(1)));
        assert_eq!((permits.give_back(1), permits.give_back(2), permits.holder()), (Some(2), None, None));
    }

    #[test]
    fn who_leaves_while_holding_hands_it_on() {
        let mut permits = permits(3);
        assert_eq!((permits.ask(1), permits.ask(2), permits.ask(3)), (Some(1), None, None));
        assert_eq!(permits.leave(1), Some(2));
        assert_eq!((permits.leave(1), permits.holder()), (None, Some(2)), "once");
        assert_eq!(permits.ask(1), None, "it has no channel to replace");
    }

    #[test]
    fn who_leaves_or_gives_up_while_waiting_is_passed_over() {
        let mut permits = permits(4);
        assert_eq!((permits.ask(1), permits.ask(2), permits.ask(3), permits.ask(4)), (Some(1), None, None, None));
        assert_eq!((permits.leave(2), permits.give_back(3)), (None, None));
        assert_eq!(permits.give_back(1), Some(4));
        permits.dissolve();
        assert_eq!((permits.seated(), permits.holder()), (0, None));
    }

    #[test]
    fn however_they_come_and_go_one_has_it_and_nobody_waits_in_vain() {
        let mut dice = crate::proto::dice::Dice::new(7);
        let mut permits = Permits::default();
        let mut waits = Vec::new();
        for _ in 0..20_000 {
            let id = 1 + dice.up_to(23);
            let told = match dice.up_to(3) {
                0 => {
                    permits.take_seat(id);
                    None
                }
                1 => {
                    if permits.seated.contains(&id) && permits.holder() != Some(id) && !waits.contains(&id) {
                        waits.push(id);
                    }
                    permits.ask(id)
                }
                2 => {
                    waits.retain(|other| *other != id);
                    permits.give_back(id)
                }
                _ => {
                    waits.retain(|other| *other != id);
                    permits.leave(id)
                }
            };
            if let Some(told) = told.filter(|told| waits.contains(told)) {
                assert_eq!(told, waits.remove(0), "out of turn");
            }
            assert!(permits.seated() <= SEATS);
            assert_eq!(permits.waiting, waits);
            assert!(permits.holder().is_some() || waits.is_empty(), "free, and somebody waits");
            assert!(permits.holder().is_none_or(|holder| permits.seated.contains(&holder)));
        }
    }
}
