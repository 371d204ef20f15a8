//! Which process this is, and what is fit to be used in a child of `fork`.
//!
//! In a child the threads of the parent are gone, in the middle of whatever they were doing. A lock that one of them held,
//! or a `OnceLock` that one of them was filling, is so for ever. What is process-wide is therefore either the process's own
//! ([`PerProcess`]) or made without a lock ([`OnceBox`]).

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Bytes asked for: the kernel rounds up to its page.
const PAGE: usize = 4 << 10;

/// The number given last, in this process or in one it descends from.
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// This process's number, in a page that the kernel wipes in every child; NULL until it is needed first.
static PLACE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// Stands in [`PLACE`] where the kernel has no such pages (before 4.14).
static NO_PLACE: AtomicU32 = AtomicU32::new(0);

/// A number that this process has and no process it descends from; never 0. Costs a load or two: no system call.
/// Async-signal-safe.
pub fn process() -> u32 {
    let place = PLACE.load(Ordering::Acquire);
    // SAFETY: NULL, or a static, or a page that is never unmapped, zeroed by the kernel and aligned.
    let place = unsafe { place.as_ref() }.unwrap_or_else(make_place);
    match place.load(Ordering::Relaxed) {
        0 => first_asked(place),
        number => number,
    }
}

/// The first question in this process.
#[cold]
fn first_asked(place: &AtomicU32) -> u32 {
    if ptr::eq(place, &raw const NO_PLACE) {
        return std::process::id();
    }
    let next = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    // Of several threads that ask at once, one names the process; the numbers of the others are nobody's.
    place.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|first| first, |_| next)
}

/// Without a lock: a child of a fork meanwhile makes its own.
#[cold]
fn make_place() -> &'static AtomicU32 {
    let made = wiped_page().unwrap_or((&raw const NO_PLACE).cast_mut());
    match PLACE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: as in `process`.
        Ok(_) => unsafe { &*made },
        Err(first) => {
            if !ptr::eq(made, &raw const NO_PLACE) {
                // SAFETY: the mapping was made just now, and nobody knows of it.
                unsafe { libc::munmap(made.cast(), PAGE) };
            }
            // SAFETY: as in `process`; what was there is not NULL.
            unsafe { &*first }
        }
    }
}

/// A zeroed page that is zeroed again in every child, however it is forked.
fn wiped_page() -> Option<*mut AtomicU32> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new private mapping, at a place that the kernel chooses.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping was made just now, and nobody knows of it.
    if unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: as above.
        unsafe { libc::munmap(page, PAGE) };
        return None;
    }
    Some(page.cast())
}

/// Ends this thread at once, without unwinding: for a thread of ours in a child of `fork`, where everything that would run
/// on the way belongs to the parent. The child ends with status 0 if it has no other thread; exit handlers do not run.
pub fn end_this_thread() -> ! {
    loop {
        // SAFETY: the call touches no memory of ours and does not return; nobody joins a thread of another process.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// A static of which every process has its own: a child of `fork` begins with a new one and never touches its parent's.
#[derive(Debug)]
pub struct PerProcess<T: 'static> {
    /// Whose `first` is; 0: nobody's yet.
    owner: AtomicU32,
    first: T,
    /// That of a process which is not the owner.
    later: AtomicPtr<Later<T>>,
}

#[derive(Debug)]
struct Later<T: 'static> {
    process: u32,
    value: T,
    /// What the process it descends from had: keeps that reachable for tools that look for leaks.
    _before: Option<&'static Later<T>>,
}

impl<T: Default + Send + Sync> PerProcess<T> {
    /// `first` is for the process that asks first.
    pub const fn new(first: T) -> Self {
        Self { owner: AtomicU32::new(0), first, later: AtomicPtr::new(ptr::null_mut()) }
    }

    /// This process's.
    pub fn get(&'static self) -> &'static T {
        let here = process();
        match self.owner.compare_exchange(0, here, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => &self.first,
            Err(owner) if owner == here => &self.first,
            Err(_) => self.later(here),
        }
    }

    #[cold]
    fn later(&'static self, here: u32) -> &'static T {
        loop {
            let last = self.later.load(Ordering::Acquire);
            // SAFETY: NULL, or came from a box that is never freed.
            let before = unsafe { last.as_ref() };
            if let Some(found) = before.filter(|last| last.process == here) {
                return &found.value;
            }
            let made = Box::into_raw(Box::new(Later { process: here, value: T::default(), _before: before }));
            if self.later.compare_exchange(last, made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: from a box just now, and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
}

/// Filled at most once, without a lock: several threads may make a value, the first one's stays.
#[derive(Debug)]
pub struct OnceBox<T>(AtomicPtr<T>, PhantomData<Box<T>>);

impl<T: Send + Sync> OnceBox<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()), PhantomData)
    }

    /// What is in it.
    pub fn get(&self) -> Option<&T> {
        // SAFETY: NULL, or from a box that lives as long as `self`.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// What is in it, made if need be.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(found) = self.get() {
            return found;
        }
        let made = Box::into_raw(Box::new(make()));
        match self.0.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: from a box that is freed with `self` alone.
            Ok(_) => unsafe { &*made },
            Err(first) => {
                // SAFETY: from a box just now, and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: not NULL, and from a box that is freed with `self` alone.
                unsafe { &*first }
            }
        }
    }
}

impl<T> Drop for OnceBox<T> {
    fn drop(&mut self) {
        if let Some(last) = NonNull::new(*self.0.get_mut()) {
            // SAFETY: from a box, and nobody can borrow from `self` any more.
            drop(unsafe { Box::from_raw(last.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;

    /// Runs `body` in a child; the status that it gives.
    fn in_a_child(body: impl FnOnce() -> i32) -> i32 {
        // SAFETY: the child allocates and then ends by _exit; glibc keeps its allocator fit for that.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let status = body();
            // SAFETY: ends the child.
            unsafe { libc::_exit(status) };
        }
        let mut status = 0;
        // SAFETY: a child of this process and a writable place.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status), "{status}");
        libc::WEXITSTATUS(status)
    }

    #[test]
    fn a_child_has_a_number_of_its_own_and_so_has_its_child() {
        let here = process();
        assert!(here != 0 && thread::spawn(process).join().unwrap() == here);
        let status = in_a_child(|| {
            let there = process();
            if there == here || there == 0 || there != process() {
                return 1;
            }
            2 + in_a_child(|| i32::from([0, here, there].contains(&process())))
        });
        assert_eq!((status, process()), (2, here));
    }

    #[test]
    fn a_lock_that_is_held_at_the_fork_is_no_matter_in_the_child() {
        static SHARED: PerProcess<Mutex<u32>> = PerProcess::new(Mutex::new(7));
        let mut held = SHARED.get().lock().unwrap();
        let status = in_a_child(|| {
            let Ok(mut own) = SHARED.get().try_lock() else { return 100 };
            *own += 1;
            drop(own);
            SHARED.get().try_lock().map_or(101, |own| i32::try_from(*own).unwrap_or(102))
        });
        assert_eq!(status, 1, "a default, and the same one the second time");
        *held += 1;
        drop(held);
        assert_eq!(*SHARED.get().lock().unwrap(), 8);
    }

    #[test]
    fn the_first_value_stays_and_every_other_is_freed() {
        let count = Arc::new(());
        let cell = OnceBox::new();
        assert!(cell.get().is_none());
        thread::scope(|scope| {
            for number in 0..8 {
                let (cell, count) = (&cell, Arc::clone(&count));
                scope.spawn(move || cell.get_or_init(|| (number, count)).0);
            }
        });
        assert!(cell.get().is_some());
        assert_eq!(Arc::strong_count(&count), 2);
        drop(cell);
        assert_eq!(Arc::strong_count(&count), 1);
    }

    #[test]
    fn a_thread_ends_without_unwinding() {
        let status = in_a_child(|| {
            let _bomb = scopeguard();
            end_this_thread()
        });
        assert_eq!(status, 0);
    }

    /// Ends the process with another status when it is dropped.
    fn scopeguard() -> impl Drop {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                // SAFETY: ends the child.
                unsafe { libc::_exit(9) };
            }
        }
        Bomb
    }
}
