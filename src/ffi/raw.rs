//! Every conversion of a pointer to an object that C gave us.

use std::mem::MaybeUninit;

use crate::error::{Code, Error, Stage};

use super::boundary;

/// A place of the caller's that takes one result.
pub(super) struct Out<'a, T>(&'a mut MaybeUninit<T>);

impl<T> Out<'_, T> {
    /// Hands the result over. What was there before is not read.
    pub(super) fn write(self, value: T) {
        self.0.write(value);
    }
}

/// The error of an argument that is NULL or out of range.
pub(super) fn invalid(argument: &str, why: &str) -> Error {
    Error::new(Code::InvalidArgument, Stage::Call, format!("{argument} {why}"))
}

/// An out-parameter that is needed.
///
/// # Safety
/// `pointer` is NULL, or aligned and writable for one `T` that nothing else touches during the call.
pub(super) unsafe fn out<'a, T>(pointer: *mut T, name: &str) -> Result<Out<'a, T>, Error> {
    // SAFETY: the same contract.
    unsafe { optional_out(pointer) }.ok_or_else(|| invalid(name, "is NULL"))
}

/// An out-parameter that may be NULL.
///
/// # Safety
/// As [`out`].
pub(super) unsafe fn optional_out<'a, T>(pointer: *mut T) -> Option<Out<'a, T>> {
    // SAFETY: NULL gives `None`; else the caller guarantees a writable, unshared place, initialised or not.
    unsafe { pointer.cast::<MaybeUninit<T>>().as_mut() }.map(Out)
}

/// A plain object that C holds, or `None` for NULL.
///
/// # Safety
/// `pointer` is NULL or was given out by this library and not freed, and stays so for `'a`.
pub(super) unsafe fn borrowed<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: the caller's contract; objects are never changed once given out.
    unsafe { pointer.as_ref() }
}

/// What `pick` reads from an object, or `default` for NULL or after a panic.
///
/// # Safety
/// As [`borrowed`], for the time of the call.
pub(super) unsafe fn read<T, R: Copy>(object: *const T, default: R, pick: impl FnOnce(&T) -> R) -> R {
    // SAFETY: the same contract.
    let object = unsafe { borrowed(object) };
    boundary::value(default, || object.map_or(default, pick))
}

/// Gives an object to C, to be freed by [`free`].
pub(super) fn give<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// Frees an object made by [`give`]; NULL is nothing.
///
/// # Safety
/// `pointer` is NULL or came from [`give`] and was not freed; nothing refers to it any more.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: it came from `Box::into_raw`, and the caller gives it up.
        drop(unsafe { Box::from_raw(pointer) });
    }
}

/// Zeroes a struct that begins with `struct_size`, as far as the caller has it, and sets that size.
///
/// # Safety
/// `place` is NULL, or aligned and writable for `struct_size` bytes.
pub(super) unsafe fn init_sized<T>(place: *mut T, struct_size: u32) {
    if place.is_null() || (struct_size as usize) < size_of::<u32>() {
        return;
    }
    // SAFETY: the caller has this many bytes.
    unsafe { place.cast::<u8>().write_bytes(0, struct_size as usize) };
    // SAFETY: the struct begins with its size.
    unsafe { place.cast::<u32>().write(struct_size) };
}

/// How many bytes of a struct that begins with `struct_size` the caller has, at most as many as we know.
///
/// # Safety
/// `place` is NULL, or readable for its first four bytes.
pub(super) unsafe fn room<T>(place: *const T, name: &str) -> Result<usize, Error> {
    // SAFETY: NULL or four readable bytes.
    let size = unsafe { borrowed(place.cast::<u32>()) }.ok_or_else(|| invalid(name, "is NULL"))?;
    if (*size as usize) < 2 * size_of::<u32>() {
        return Err(invalid(name, "has no struct_size: set it up with its INIT macro first"));
    }
    Ok((*size as usize).min(size_of::<T>()))
}

/// Copies the first `room` bytes of `value`, all but its `struct_size`, to the caller's struct.
///
/// # Safety
/// `place` is aligned and writable for `room` bytes; `room` is at most `size_of::<T>()` and at least 4; `T` is `repr(C)`
/// without padding.
pub(super) unsafe fn fill<T>(place: *mut T, room: usize, value: &T) {
    let skip = size_of::<u32>();
    // SAFETY: within the caller's struct.
    let to = unsafe { place.cast::<u8>().add(skip) };
    // SAFETY: within `value`.
    let from = unsafe { std::ptr::from_ref(value).cast::<u8>().add(skip) };
    // SAFETY: both have `room` bytes, and the value is ours, so they do not overlap.
    unsafe { to.copy_from_nonoverlapping(from, room - skip) };
}
