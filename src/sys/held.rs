//! Which descriptors are whose, so that a child of `fork` can close those of its parent's clients.

use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};

/// Descriptors before another block of them is made; a client that is at rest has about a dozen.
const BLOCK: usize = 16;
/// A place that is free.
const NONE: RawFd = -1;

thread_local! {
    /// Whose descriptors this thread is making.
    static OWNER: RefCell<Option<Arc<Descriptors>>> = const { RefCell::new(None) };
}

/// The open descriptors of one owner. Only atomics: a child can read it whatever its parent's threads were doing when it
/// was forked.
#[derive(Debug)]
pub struct Descriptors {
    places: [AtomicI32; BLOCK],
    more: OnceLock<Box<Descriptors>>,
    /// Closed with these.
    joined: OnceLock<Arc<Descriptors>>,
}

impl Default for Descriptors {
    fn default() -> Self {
        Self { places: [const { AtomicI32::new(NONE) }; BLOCK], more: OnceLock::new(), joined: OnceLock::new() }
    }
}

impl Descriptors {
    /// Whose descriptors this thread is making, if it was said.
    pub fn of_this_thread() -> Option<Arc<Self>> {
        OWNER.try_with(|owner| owner.borrow().clone()).ok().flatten()
    }

    /// For as long as the guard lives, what this thread opens is this owner's.
    pub fn enter(owner: Option<Arc<Self>>) -> Entered {
        let before = OWNER.try_with(|place| place.replace(owner)).ok();
        Entered(before.flatten())
    }

    /// Whoever closes these closes the others too. At most once.
    pub fn join(&self, others: &Arc<Self>) {
        let _ = self.joined.set(Arc::clone(others));
    }

    /// Closes them all, without a lock: for a child, whose copies of them nobody else uses. What they refer to is shared
    /// with the parent and lives on there.
    pub fn close_all(&self) {
        let mut block = Some(self);
        while let Some(Self { places, more, .. }) = block {
            for place in places {
                let fd = place.swap(NONE, Ordering::Relaxed);
                if fd != NONE {
                    // SAFETY: the call touches no memory. The descriptor is a child's copy; the one thread that is left
                    // there has no other use for it.
                    unsafe { libc::close(fd) };
                }
            }
            block = more.get().map(Box::as_ref);
        }
        if let Some(others) = self.joined.get() {
            others.close_all();
        }
    }

    /// A free place, taken for `fd`; its number.
    fn take(&self, fd: RawFd) -> usize {
        let taken = |place: &AtomicI32| place.compare_exchange(NONE, fd, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        match self.places.iter().position(taken) {
            Some(place) => place,
            None => BLOCK + self.more.get_or_init(Box::default).take(fd),
        }
    }

    fn leave(&self, place: usize) {
        match (self.places.get(place), self.more.get()) {
            (Some(place), _) => place.store(NONE, Ordering::Relaxed),
            (None, Some(more)) => more.leave(place - BLOCK),
            (None, None) => {}
        }
    }
}

/// Ends what [`Descriptors::enter`] began.
pub struct Entered(Option<Arc<Descriptors>>);

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = OWNER.try_with(|place| place.replace(self.0.take()));
    }
}

/// A descriptor's entry among those of its owner. It has to go before the descriptor is closed (as a field, it stands in
/// front of it): the number may be another's at once.
#[derive(Debug)]
pub struct Held(Option<(Arc<Descriptors>, usize)>);

impl Held {
    /// Enters a descriptor that this thread has just opened.
    pub fn new(fd: RawFd) -> Self {
        Self(Descriptors::of_this_thread().map(|owner| {
            let place = owner.take(fd);
            (owner, place)
        }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((owner, place)) = &self.0 {
            owner.leave(*place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::super::EventFd;
    use super::*;

    fn entered(owner: &Descriptors) -> Vec<RawFd> {
        let own = owner.places.iter().map(|place| place.load(Ordering::Relaxed)).filter(|fd| *fd != NONE);
        own.chain(owner.more.get().map_or(Vec::new(), |more| entered(more))).collect()
    }

    #[test]
    fn what_is_opened_is_entered_until_it_is_closed() {
        let owner = Arc::<Descriptors>::default();
        let guard = Descriptors::enter(Some(Arc::clone(&owner)));
        let events: Vec<EventFd> = (0..3 * BLOCK).map(|_| EventFd::new().unwrap()).collect();
        let mut wanted: Vec<RawFd> = events.iter().map(AsRawFd::as_raw_fd).collect();
        wanted.sort_unstable();
        let mut found = entered(&owner);
        found.sort_unstable();
        assert_eq!(found, wanted);
        drop(guard);
        let _foreign = EventFd::new().unwrap();
        assert_eq!(entered(&owner).len(), wanted.len());
        drop(events);
        assert!(entered(&owner).is_empty());
        assert!(Descriptors::of_this_thread().is_none());
    }

    #[test]
    fn all_are_closed_at_once() {
        let (client, owner) = (Arc::<Descriptors>::default(), Arc::<Descriptors>::default());
        client.join(&owner);
        let _guard = Descriptors::enter(Some(Arc::clone(&owner)));
        let (reader, writer) = std::io::pipe().unwrap();
        // As in a child, where nothing is dropped.
        let held = std::mem::ManuallyDrop::new(Held::new(writer.into_raw_fd()));
        client.close_all();
        assert!(entered(&owner).is_empty());
        assert_eq!(std::io::Read::read(&mut &reader, &mut [0]).unwrap(), 0, "the only writer is closed");
        assert!(held.0.is_some());
    }
}
