//! Joining a thread without waiting for it.

use std::os::unix::thread::JoinHandleExt;
use std::ptr;
use std::thread::JoinHandle;

/// Joins a thread if it has ended, with all destructors of its thread-specific data; gives the handle back if it has not.
///
/// `JoinHandle::is_finished` tells of the end of its body only: an application's destructors come after that, and may
/// block for as long as they like.
pub fn try_join(handle: JoinHandle<()>) -> Option<JoinHandle<()>> {
    let thread = handle.as_pthread_t();
    // SAFETY: `handle` owns the thread, so it is neither joined nor detached; what it returned is not asked for.
    let outcome = unsafe { libc::pthread_tryjoin_np(thread, ptr::null_mut()) };
    if outcome != 0 {
        return Some(handle);
    }
    // Not by dropping it: that would detach a thread that is no more.
    let _joined = handle.into_pthread_t();
    None
}

/// Whether it is the calling thread, which can be asked in a destructor of its data, too.
pub fn is_this_thread(handle: &JoinHandle<()>) -> bool {
    // SAFETY: the call has no arguments and cannot fail.
    let this = unsafe { libc::pthread_self() };
    handle.as_pthread_t() == this
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{channel, Receiver};
    use std::thread;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// Blocks in its drop until it is told to go on.
    struct Slow(Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.recv_timeout(LONG).unwrap();
        }
    }

    thread_local! {
        static SLOW: RefCell<Option<Slow>> = const { RefCell::new(None) };
    }

    fn wait_until(mut is_so: impl FnMut() -> bool) {
        for _ in 0..30_000 {
            if is_so() {
                return;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        panic!("in vain");
    }

    #[test]
    fn a_thread_is_joined_once_its_destructors_are_over() {
        let (go, may_go) = channel();
        let handle = thread::spawn(move || SLOW.with(|slow| *slow.borrow_mut() = Some(Slow(may_go))));
        assert!(!is_this_thread(&handle));
        wait_until(|| handle.is_finished());
        let mut handle = try_join(handle);
        assert!(handle.is_some(), "its body is over, a destructor is not");
        go.send(()).unwrap();
        wait_until(|| {
            handle = handle.take().and_then(try_join);
            handle.is_none()
        });
    }

    #[test]
    fn a_thread_knows_its_own_handle_and_does_not_join_itself() {
        let (give, given) = channel();
        let thread = thread::spawn(move || {
            let me: JoinHandle<()> = given.recv_timeout(LONG).unwrap();
            assert!(is_this_thread(&me));
            assert!(try_join(me).is_some());
        });
        give.send(thread).unwrap();
    }
}
