//! Pages of a thread's stack that were needed once.

use std::mem::MaybeUninit;
use std::ptr;

/// Unit in which the kernel takes memory back; where its pages are larger, it refuses what does not begin with one.
const PAGE: usize = 4 << 10;
/// Left alone below the frame that asks: the frames of what it calls.
const MARGIN: usize = 4 << 10;

/// Gives the kernel back what lies below the caller's frame in this thread's stack. It comes back as zeros when it is
/// needed again.
///
/// A verified TLS handshake takes some 30 KiB of stack and a thread of ours makes one in hours or days. Costs a few
/// system calls; where one of them fails, the memory stays where it is. `inline(never)`: the frame has to be its own, so
/// that nothing below it belongs to a caller.
#[inline(never)]
pub fn give_back_stack() {
    let here = ptr::from_ref(&MaybeUninit::<u8>::uninit()).addr();
    let Some((low, high)) = bounds() else { return };
    let begin = low.next_multiple_of(PAGE);
    let end = here.saturating_sub(MARGIN) / PAGE * PAGE;
    // Sanitizers may keep locals elsewhere.
    if (low..high).contains(&here) && begin < end {
        // SAFETY: `begin..end` lies in this thread's stack, a private mapping, and below every frame that is in use:
        // nothing lives there, and the next call that gets there writes before it reads.
        unsafe { libc::madvise(ptr::without_provenance_mut(begin), end - begin, libc::MADV_DONTNEED) };
    }
}

/// Where this thread's stack begins and ends.
fn bounds() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the call has no arguments and cannot fail.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: `attributes` is room for one pthread_attr_t, which the call fills; `this` is a live thread.
    if unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut low, mut size) = (ptr::null_mut(), 0);
    // SAFETY: `attributes` was filled above; the call only writes to the two locals.
    let found = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size) };
    // SAFETY: `attributes` was filled above, and nobody uses it from here on.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| (low.addr(), low.addr().saturating_add(size)))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Takes a lot of stack; where it lay.
    #[inline(never)]
    fn deep() -> (usize, usize) {
        let bytes = black_box([1_u8; 200 << 10]);
        (bytes.as_ptr().addr(), bytes.len())
    }

    /// KiB in memory of the mapping around an address.
    fn resident_kib(address: usize) -> usize {
        let text = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in text.lines() {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let number = |text| usize::from_str_radix(text, 16).ok();
            if let Some((from, to)) = range.and_then(|(from, to)| number(from).zip(number(to))) {
                inside = (from..to).contains(&address);
            } else if let Some(kib) = line.strip_prefix("Rss:").filter(|_| inside) {
                return kib.trim_end_matches("kB").trim().parse().unwrap();
            }
        }
        panic!("no such mapping");
    }

    #[test]
    fn what_no_call_uses_is_given_back_and_locals_stay() {
        let thread = std::thread::Builder::new().stack_size(512 << 10);
        let body = || {
            let local = black_box([7_u8; 10_000]);
            let (address, size) = deep();
            let before = resident_kib(address);
            assert!(before >= size >> 10, "{before}");
            give_back_stack();
            // Looking takes some stack as well.
            let after = resident_kib(address);
            assert!(after + 100 <= before, "{before} {after}");
            assert!(black_box(local).iter().all(|&byte| byte == 7));
            assert_eq!(deep().1, size);
        };
        thread.spawn(body).unwrap().join().unwrap();
    }

    #[test]
    fn the_bounds_hold_a_local() {
        let local = black_box(0);
        let (low, high) = bounds().unwrap();
        assert!((low..high).contains(&ptr::from_ref(&local).addr()));
    }
}
