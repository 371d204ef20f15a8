//! The signal mask of our threads.

use std::mem::MaybeUninit;
use std::ptr;

/// Signals that a fault of the thread itself raises, and the profiler's: these stay as they are.
const LEFT_ALONE: [libc::c_int; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
    libc::SIGPROF,
];

/// Blocks every other signal in the calling thread, so that the application's handlers run on the application's threads.
///
/// What is blocked already stays blocked. Called first thing in each of our threads.
pub fn block_signals_in_this_thread() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `set` is room for one sigset_t, which the call fills.
    unsafe { libc::sigfillset(set.as_mut_ptr()) };
    for signal in LEFT_ALONE {
        // SAFETY: `set` was filled above and `signal` is the number of a signal.
        unsafe { libc::sigdelset(set.as_mut_ptr(), signal) };
    }
    // SAFETY: `set` was filled above and is only read; the old mask is not asked for. With these arguments
    // the call cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_all_but_the_synchronous_ones() {
        std::thread::spawn(|| {
            block_signals_in_this_thread();
            let mask = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = mask.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
            let blocked = u64::from_str_radix(line.trim(), 16).unwrap();
            let is_blocked = |signal: libc::c_int| blocked & (1 << (signal - 1)) != 0;
            assert!([libc::SIGTERM, libc::SIGINT, libc::SIGALRM, libc::SIGPIPE, libc::SIGCHLD]
                .into_iter()
                .all(is_blocked));
            assert!(!LEFT_ALONE.into_iter().any(is_blocked));
        })
        .join()
        .unwrap();
    }
}
