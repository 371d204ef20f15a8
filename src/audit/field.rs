//! The members of a record by type, so that every format writes the same facts.

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Texts(&'a [String]),
    Number(u64),
    Signed(i64),
    Flag(bool),
}

/// Who takes the members, by name.
pub(crate) type Fields<'f> = dyn FnMut(&'static str, Value<'_>) + 'f;
