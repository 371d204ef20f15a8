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

#[cfg(test)]
impl Value<'_> {
    /// As a test compares it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Texts(texts) => texts.join(","),
            Self::Number(number) => number.to_string(),
            Self::Signed(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// Who takes the members, by name.
pub(crate) type Fields<'f> = dyn FnMut(&'static str, Value<'_>) + 'f;
