//! Poll mode: no dispatcher; the application takes everything from one queue, in the order it came.

use std::mem;
use std::sync::MutexGuard;
use std::time::Duration;

use super::batch::Item;
use super::calls::{Caller, Inside};
use super::log_queue::Line;
use super::state::State;
use super::table::Table;
use super::unregister::Keeper;
use super::{wait_for, Delivery, LONGEST_WAIT};
use crate::audit::json::{Entry, Sink};
use crate::config::settings::Delivery as Mode;
use crate::error::{Code, Error, Stage};
use crate::event::Event;
use crate::event::{MessageKind, Notice};
use crate::hooks::{AuditView, Callback, Message};

/// An item in hand, with the hook if one is registered for it.
struct Pick {
    taken: Taken,
    hook: Option<(Callback, Table)>,
    /// Nobody else takes anything meanwhile.
    is_alone: bool,
}

/// An item out of the queue.
enum Taken {
    Message { kind: MessageKind, data_with_nul: Vec<u8>, connection: u64 },
    Notice(Notice),
    Record { entry: Box<Entry>, sink: Sink },
    Line(Line),
}

impl Delivery {
    /// The next event; `None` when the time is up (`timeout` of `None`: no limit). If a function is registered for it,
    /// that is called first, here; of several threads one at a time. What is left after a close is handed out before
    /// `Closed` is reported.
    ///
    /// `interrupted` is asked under the lock whenever a wait begins or ends: it must not call back into delivery.
    pub(crate) fn next_event(
        &self,
        timeout: Option<Duration>,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Option<Event>, Error> {
        if self.mode != Mode::Poll {
            return Err(Error::new(Code::BadState, Stage::Call, "next_event needs delivery = poll."));
        }
        if self.is_dispatch_thread() {
            return Err(Error::new(Code::Reentrant, Stage::Call, "next_event was called inside a callback."));
        }
        self.turn_chain();
        let Some(Pick { taken, hook, is_alone }) = self.take(timeout, interrupted)? else { return Ok(None) };
        let callback = hook.as_ref().map(|(callback, _)| *callback);
        let baton = is_alone.then_some(Baton { delivery: self, callback });
        let event = self.event(taken);
        if let Some((_, table)) = hook {
            let inside = Inside::enter(self, None);
            // Dropped before the marks: this may be the last copy, and then the hook is released here.
            let table = table;
            self.show(&event, &table);
            if self.is_forked() {
                // The hook has forked, and this is the child: what is dropped here might lock, release or close.
                mem::forget((baton, table, event));
                return Err(Error::new(Code::Forked, Stage::Call, "next_event"));
            }
            drop(inside);
            drop(table);
        }
        drop(baton);
        Ok(Some(event))
    }

    /// Ends the wait of every thread in [`Delivery::next_event`] so that it asks `interrupted` again.
    #[cfg(test)]
    pub(crate) fn wake_all(&self) {
        let _state = self.lock();
        self.work.notify_all();
    }

    fn take(&self, timeout: Option<Duration>, interrupted: &dyn Fn() -> bool) -> Result<Option<Pick>, Error> {
        let ends_ms = timeout.map(|timeout| self.boot_ms().saturating_add(whole_ms(timeout)));
        let mut state = self.lock();
        loop {
            if state.is_ended {
                return Err(Error::new(Code::Closed, Stage::Call, ""));
            }
            state = self.let_go(state, |retired| retired.is_kept_by(Keeper::Consumer));
            if interrupted() {
                // This thread may have been the one woken for new work: another one has to look.
                self.work.notify_one();
                return Err(Error::new(Code::Interrupted, Stage::Call, ""));
            }
            if !state.is_delivering {
                if !state.is_closed && self.look_at_the_clock(&mut state) {
                    self.raise(&mut state);
                }
                if let Some(taken) = self.pop(&mut state) {
                    return Ok(Some(self.leave(state, taken)));
                }
                if state.is_closed {
                    return Err(Error::new(Code::Closed, Stage::Call, ""));
                }
            }
            let left = match ends_ms {
                Some(ends_ms) => Duration::from_millis(ends_ms.saturating_sub(self.boot_ms())),
                None => LONGEST_WAIT,
            };
            if left.is_zero() {
                return Ok(None);
            }
            state.waiters += 1;
            (state, _) = wait_for(&self.work, state, left.min(LONGEST_WAIT));
            state.waiters -= 1;
        }
    }

    /// Lets go of the queue with an item in hand: descriptor, other consumers and a waiting producer see what is left.
    fn leave(&self, mut state: MutexGuard<'_, State>, taken: Taken) -> Pick {
        let hook = state.copy_for(callback_of(&taken));
        // Seals are made in the order of the records.
        let is_alone = hook.is_some() || (self.sealer.is_some() && matches!(taken, Taken::Record { .. }));
        state.is_delivering = is_alone;
        let has_work = state.has_work();
        if !has_work {
            state.back.give_back();
            state.front.give_back();
        }
        if !has_work || state.is_delivering {
            self.lower(&mut state);
        }
        let passes_on = has_work && state.waiters > 0 && !state.is_delivering;
        drop(state);
        if passes_on {
            self.work.notify_one();
        }
        self.ring_if_room();
        Pick { taken, hook, is_alone }
    }

    /// Takes the oldest item of all queues.
    fn pop(&self, state: &mut State) -> Option<Taken> {
        if let Some((entry, prev_seq)) = state.siem_next.take() {
            return Some(Taken::Record { entry: Box::new(entry), sink: Sink::Siem { prev_seq } });
        }
        if state.front.is_empty() {
            state.front.rewind();
            state.events_most = state.events_most.max(state.back.len() as u64);
            mem::swap(&mut state.front, &mut state.back);
        }
        let place = |order: Option<u64>| order.unwrap_or(u64::MAX);
        let event = place(state.front.first_order());
        let (audit, log) = (place(state.audit.first_order()), place(state.log.first_order()));
        if audit <= event && audit <= log {
            return self.pop_record(state);
        }
        if log < event {
            return state.log.pop().map(Taken::Line);
        }
        self.pop_event(state)
    }

    fn pop_record(&self, state: &mut State) -> Option<Taken> {
        let (entry, prev_seq) = state.pop_audit()?;
        state.delivered_seq = entry.seq;
        if entry.is_for_siem() {
            state.siem_next = Some((entry.clone(), prev_seq));
        }
        Some(Taken::Record { entry: Box::new(entry), sink: Sink::Audit })
    }

    fn pop_event(&self, state: &mut State) -> Option<Taken> {
        match state.front.pop()? {
            Item::Message(Message { kind, data_with_nul, connection }) => {
                let data_with_nul = data_with_nul.to_vec();
                self.gauges.message_out(data_with_nul.len().saturating_sub(1));
                Some(Taken::Message { kind, data_with_nul, connection })
            }
            Item::Notice(notice) => {
                self.gauges.notice_out();
                Some(Taken::Notice(*notice))
            }
        }
    }

    /// The owned form of an item; text is made here, outside the lock.
    fn event(&self, taken: Taken) -> Event {
        match taken {
            Taken::Message { kind, data_with_nul, connection } => Event::Message { kind, data_with_nul, connection },
            Taken::Notice(Notice::Ask { id, question }) => Event::Request(self.request(id, &question)),
            Taken::Notice(notice) => Event::Notice(notice),
            Taken::Line(line) => Event::Log { level: line.level, target: line.target, text: line.text },
            Taken::Record { entry, sink } => {
                let mut json_with_nul = String::new();
                self.render(&entry, sink, &mut json_with_nul);
                let siem = sink != Sink::Audit;
                if siem {
                    self.rendered(&entry);
                }
                Event::Audit { json_with_nul, seq: entry.seq, kind: entry.kind(), siem }
            }
        }
    }

    /// Calls the function registered for an event.
    fn show(&self, event: &Event, table: &Table) {
        let mut caller = Caller { delivery: self, table, slot: &self.calling, at_ms: (self.tick)() };
        match event {
            Event::Message { kind, data_with_nul, connection } => {
                caller.message(Message { kind: *kind, data_with_nul, connection: *connection });
            }
            Event::Notice(notice) => caller.notice(notice),
            Event::Request(request) => caller.ask(request),
            Event::Audit { json_with_nul, seq, kind, siem } => {
                // The text is there already: which one came before makes no difference any more.
                let sink = if *siem { Sink::Siem { prev_seq: 0 } } else { Sink::Audit };
                // Whatever it says of it: the caller of `next_event` has the record.
                let _ = caller.audit_text(sink, AuditView { json_with_nul, seq: *seq, kind });
            }
            Event::Log { level, target, text } => caller.log(*level, target, text),
        }
    }
}

/// Held while a hook runs inside `next_event`, or a record is sealed.
struct Baton<'a> {
    delivery: &'a Delivery,
    callback: Option<Callback>,
}

impl Drop for Baton<'_> {
    fn drop(&mut self) {
        let delivery = self.delivery;
        let mut state = delivery.lock();
        if let Some(callback) = self.callback {
            state = delivery.call_ended(state, callback);
        }
        state.is_delivering = false;
        if state.has_work() || state.is_closed {
            delivery.raise(&mut state);
        }
        // All: one may take what is left, another may have to see that the client is closed.
        let has_waiters = state.waiters > 0;
        drop(state);
        if has_waiters {
            delivery.work.notify_all();
        }
    }
}

impl State {
    /// A copy of a hook for one call, if it is registered.
    fn copy_for(&mut self, callback: Callback) -> Option<(Callback, Table)> {
        if !self.hooks.has(callback) {
            return None;
        }
        if let Some(calls) = self.calls.get_mut(callback as usize) {
            *calls += 1;
        }
        Some((callback, Table::of(&self.hooks, |wanted| wanted == callback)))
    }
}

fn callback_of(taken: &Taken) -> Callback {
    match taken {
        Taken::Message { .. } => Callback::Message,
        Taken::Notice(Notice::Token(_)) => Callback::Token,
        Taken::Notice(Notice::Sent(_)) => Callback::Sent,
        Taken::Notice(Notice::Ask { .. }) => Callback::Ask,
        Taken::Notice(_) => Callback::State,
        Taken::Record { sink: Sink::Audit, .. } => Callback::Audit,
        Taken::Record { sink: Sink::Siem { .. }, .. } => Callback::Siem,
        Taken::Line(_) => Callback::Log,
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
