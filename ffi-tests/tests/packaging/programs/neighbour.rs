//! Another Rust static library in the same program, with a std of its own: it panics, and catches that.

use std::collections::HashMap;
use std::hint::black_box;
use std::panic;
use std::sync::mpsc;
use std::thread;

/// Panics on this thread and on another one; 1 if both were caught.
#[no_mangle]
pub extern "C" fn neighbour_catches() -> i32 {
    panic::set_hook(Box::new(|_| {}));
    let here = panic::catch_unwind(|| {
        let empty: Vec<i32> = Vec::new();
        black_box(&empty)[black_box(1)]
    });
    let (sender, receiver) = mpsc::channel();
    let there = thread::spawn(move || {
        let names: HashMap<i32, String> = (0..10).map(|number| (number, number.to_string())).collect();
        sender.send(names.len()).unwrap();
        names[&black_box(11)].len()
    });
    let worked = receiver.recv() == Ok(10);
    i32::from(here.is_err() && worked && there.join().is_err())
}
