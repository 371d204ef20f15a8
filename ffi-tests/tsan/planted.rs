//! What ThreadSanitizer has to find, and what it must not take for a race: see `c/planted_race.c`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Mutex};
use std::thread;

static mut RACED: u64 = 0;

/// Two threads write a plain static.
#[no_mangle]
pub extern "C" fn planted_race() -> u64 {
    let write = || {
        for _ in 0..1_000 {
            // SAFETY: none. This is the race.
            unsafe { RACED = std::ptr::read_volatile(&raw const RACED) + 1 };
        }
    };
    let other = thread::spawn(write);
    write();
    other.join().unwrap();
    // SAFETY: the other thread has ended.
    unsafe { RACED }
}

/// Threads that share by channel, mutex, atomic and join: no race.
#[no_mangle]
pub extern "C" fn planted_none() -> u64 {
    static SUM: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (sender, receiver) = mpsc::channel::<Box<u64>>();
    let (bounded, others) = mpsc::sync_channel::<Vec<u64>>(1);
    let senders: Vec<_> = (0..4)
        .map(|n| {
            let (sender, bounded) = (sender.clone(), bounded.clone());
            thread::spawn(move || {
                for i in 0..250 {
                    sender.send(Box::new(n * 250 + i)).unwrap();
                    bounded.send(vec![i]).unwrap();
                    COUNT.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    drop((sender, bounded));
    let drains = thread::spawn(move || others.into_iter().map(|one| one[0]).sum::<u64>());
    for value in receiver {
        SUM.lock().unwrap().push(*value);
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert_eq!(drains.join().unwrap(), 4 * (0..250).sum::<u64>());
    let sum = SUM.lock().unwrap().iter().sum::<u64>();
    assert_eq!(sum, (0..1_000).sum::<u64>());
    COUNT.load(Ordering::Relaxed)
}
