//! Where a thread panicked last: noted by the panic hook of the C ABI, read where the panic is caught.
//!
//! Programs that use the Rust API keep the panic hook they have, and then nothing is noted here.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes where this thread panics, and nothing of what it says: the text may quote what was being worked on.
pub(crate) fn note_place(info: &PanicHookInfo<'_>) {
    let Some(place) = info.location() else { return };
    let text = format!("{}:{}", place.file(), place.line());
    let _ = PLACE.try_with(|place| place.replace(text));
}

/// Where this thread panicked last, as `file:line`, if a hook has noted it.
pub(crate) fn last_place() -> Option<String> {
    let place = PLACE.try_with(|place| place.borrow().clone()).unwrap_or_default();
    (!place.is_empty()).then_some(place)
}
