//! Every conversion between C texts and Rust ones, and `gwa_text_t`.

use std::ffi::{c_char, c_void, CStr};
use std::ptr;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Stage};

use super::boundary;
use super::live::Live;
use super::raw::{self, invalid, Out};

/// Text that C can read: a NUL byte follows it. Wiped when dropped.
#[derive(Clone)]
pub(super) struct Text(Zeroizing<Vec<u8>>);

impl Text {
    /// A copy of `text`.
    pub(super) fn new(text: &str) -> Self {
        // The exact capacity: growing would leave an unwiped copy behind.
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Self(Zeroizing::new(bytes))
    }

    /// The bytes with the NUL that follows them.
    pub(super) fn with_nul(&self) -> &[u8] {
        &self.0
    }
}

/// A text of the library's, e.g. statistics; freed by gwa_text_free().
pub struct gwa_text_t {
    text: Text,
    _live: Live,
}

impl gwa_text_t {
    /// An owned text for C.
    pub(super) fn owned(text: &str) -> *mut Self {
        raw::give(Self { text: Text::new(text), _live: Live::new() })
    }
}

/// Gives `with_nul` without its NUL to C: the address returned, the length to `len`.
pub(super) fn lend(with_nul: Option<&[u8]>, len: Option<Out<'_, usize>>) -> *const c_char {
    if let Some(len) = len {
        len.write(with_nul.map_or(0, |bytes| bytes.len().saturating_sub(1)));
    }
    with_nul.map_or(ptr::null(), |bytes| bytes.as_ptr().cast())
}

/// A text that `pick` finds in an object, lent to C as [`lend`] does; NULL if there is none.
///
/// # Safety
/// `object` is as [`raw::borrowed`] asks and outlives the text's use; `len` is NULL or writable.
pub(super) unsafe fn read<T>(
    object: *const T,
    len: *mut usize,
    pick: impl FnOnce(&T) -> Option<&[u8]>,
) -> *const c_char {
    // SAFETY: NULL or writable, as the caller guarantees.
    let len = unsafe { raw::optional_out(len) };
    // SAFETY: NULL or a living object, as the caller guarantees.
    let object = unsafe { raw::borrowed(object) };
    boundary::value(ptr::null(), || lend(object.and_then(pick), len))
}

/// A text argument that ends with NUL.
///
/// # Safety
/// `text` is NULL or points to a text that ends with NUL, readable and unchanged for `'a`.
pub(super) unsafe fn c_text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(invalid(name, "is NULL"));
    }
    // SAFETY: not NULL, and the caller guarantees the NUL at its end.
    let text = unsafe { CStr::from_ptr(text) };
    utf8(text.to_bytes(), name)
}

/// A text argument that ends with NUL, or the empty text for NULL.
///
/// # Safety
/// As [`c_text`].
pub(super) unsafe fn optional_c_text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Error> {
    if text.is_null() {
        return Ok("");
    }
    // SAFETY: the same contract.
    unsafe { c_text(text, name) }
}

/// An argument of `len` bytes; NULL is allowed when there are none.
///
/// # Safety
/// `data` is NULL or points to `len` bytes, readable and unchanged for `'a`.
pub(super) unsafe fn bytes<'a>(data: *const c_void, len: usize, name: &str) -> Result<&'a [u8], Error> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(invalid(name, "is NULL"));
    }
    if isize::try_from(len).is_err() {
        return Err(invalid("len", "is larger than any object can be"));
    }
    // SAFETY: not NULL, of a possible size, and the caller guarantees `len` readable bytes.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// An array of `count` texts that end with NUL; NULL is allowed when there are none.
///
/// # Safety
/// `texts` is NULL or points to `count` pointers, each as [`c_text`] asks.
pub(super) unsafe fn c_texts<'a>(texts: *const *const c_char, count: usize, name: &str) -> Result<Vec<&'a str>, Error> {
    if count > 65_536 {
        return Err(invalid(name, "has more than 65536 elements"));
    }
    // SAFETY: `count` pointers are readable, as the caller guarantees; their size cannot overflow.
    let raw = unsafe { bytes(texts.cast(), count * size_of::<*const c_char>(), name) }?;
    let mut list = Vec::with_capacity(count);
    for index in 0..raw.len() / size_of::<*const c_char>() {
        // SAFETY: `index` is below `count`.
        let element = unsafe { texts.add(index) };
        // SAFETY: the element lies within the caller's array.
        let text = unsafe { element.read() };
        // SAFETY: every element ends with NUL, as the caller guarantees.
        list.push(unsafe { c_text(text, name) }?);
    }
    Ok(list)
}

/// Checks that bytes are text.
pub(super) fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let why = format!("{name} is not UTF-8 at byte {}", error.valid_up_to());
        Error::new(Code::InvalidUtf8, Stage::Call, why)
    })
}

/// The text, ending with NUL; NULL for NULL. `len`, if not NULL, takes its length in bytes without the NUL.
/// UTF-8. Valid until gwa_text_free().
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: the text object keeps it. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_text_data(text: *const gwa_text_t, len: *mut usize) -> *const c_char {
    // SAFETY: the caller's pointers: a text or NULL, a writable length or NULL.
    unsafe { read(text, len, |text| Some(text.text.with_nul())) }
}

/// Frees a text, and wipes it. NULL is nothing.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: takes the text. Since: 0.1.0.
#[no_mangle]
pub unsafe extern "C" fn gwa_text_free(text: *mut gwa_text_t) {
    // SAFETY: the caller gives up what a function of ours gave it.
    boundary::value((), || unsafe { raw::free(text) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_checked() {
        // SAFETY: each argument is NULL or a literal that ends with NUL.
        let code = |text| unsafe { c_text(text, "key") }.map_err(|error| error.code());
        assert_eq!(code(ptr::null()), Err(Code::InvalidArgument));
        assert_eq!(code(c"ok".as_ptr()), Ok("ok"));
        assert_eq!(code(c"\xff".as_ptr()), Err(Code::InvalidUtf8));
    }

    #[test]
    fn lengths_are_checked_before_memory_is_touched() {
        let byte = [1u8];
        // SAFETY: nothing is read: no bytes, NULL, or an impossible length.
        let nothing = unsafe { bytes(ptr::null(), 0, "data") };
        assert!(nothing.is_ok_and(<[u8]>::is_empty));
        // SAFETY: as above.
        assert!(unsafe { bytes(ptr::null(), 1, "data") }.is_err());
        // SAFETY: as above.
        assert!(unsafe { bytes(byte.as_ptr().cast(), usize::MAX, "data") }.is_err());
        // SAFETY: as above.
        assert!(unsafe { c_texts(ptr::null(), 2, "required") }.is_err());
    }

    #[test]
    fn arrays_of_texts_are_read() {
        let texts = [c"a".as_ptr(), c"b".as_ptr()];
        // SAFETY: two literals that end with NUL.
        assert_eq!(unsafe { c_texts(texts.as_ptr(), 2, "required") }.unwrap(), ["a", "b"]);
    }

    #[test]
    fn a_text_has_a_length_and_a_nul() {
        let text = gwa_text_t::owned("hello");
        let mut len = 0;
        // SAFETY: a living text and a writable length.
        let data = unsafe { gwa_text_data(text, &raw mut len) };
        // SAFETY: the text ends with NUL.
        assert_eq!(unsafe { CStr::from_ptr(data) }.to_bytes(), b"hello");
        assert_eq!(len, 5);
        // SAFETY: NULL is allowed.
        assert!(unsafe { gwa_text_data(ptr::null(), &raw mut len) }.is_null());
        assert_eq!(len, 0);
        // SAFETY: freed once; NULL is nothing.
        unsafe { gwa_text_free(text) };
        // SAFETY: as above.
        unsafe { gwa_text_free(ptr::null_mut()) };
    }
}
