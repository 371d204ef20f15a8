//! The matrices of the C ABI as data: `matrix/functions.txt` says for every function of the header how it is called, what
//! comes of it inside a callback and outside, and what NULL does for each pointer.
//!
//! From it are made: the calls the C programs `matrix_callbacks.c` and `matrix_arguments.c` include ([`functions_inc`]), the
//! verdict on every cell they print ([`judge`]), and the page `include/doc/callback-safety.md` ([`page()`]).

mod calls;
mod page;
mod verdict;

use std::collections::BTreeMap;
use std::fs;

pub use self::calls::functions_inc;
pub use self::page::page;
pub use self::verdict::{cells, judge, sizes, Cell};
use crate::cprog::ROOT;
use crate::tags::{self, Function};

/// The callbacks, and the release functions, which are no callbacks of a client.
pub const COLUMNS: [&str; 10] =
    ["message", "audit", "siem", "state", "token", "ask", "sent", "log", "thread", "release"];

/// What a call does inside a callback of the same client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InCallback {
    /// What it does outside.
    Allowed,
    /// `GWA_DEFERRED`; the client ends.
    Deferred,
    /// `GWA_DEFERRED` in a thread hook, elsewhere what it does outside.
    DeferredInThread,
    /// `GWA_E_REENTRANT`.
    Reentrant,
    /// `GWA_E_REENTRANT` with `delivery = poll`, elsewhere what it does outside.
    ReentrantInPoll,
}

/// A function of the header and what the matrix says of it.
#[derive(Clone, Debug)]
pub struct Row {
    /// As declared and documented in the header.
    pub function: Function,
    /// Arguments of a call that is right, in C.
    arguments: Vec<String>,
    /// Inside a callback.
    pub in_callback: InCallback,
    outside: Vec<String>,
    outside_in_poll: Vec<String>,
    /// By parameter; `same`: as without NULL.
    nulls: BTreeMap<String, String>,
}

/// One for each function of the header, in its order.
///
/// # Panics
///
/// If the file lacks a function of the header, names one that is none, or contradicts a declaration or a tag `Callback`.
pub fn rows() -> Vec<Row> {
    let header = fs::read_to_string(format!("{ROOT}/include/genesys_ws_auth.h")).expect("the header");
    let data = fs::read_to_string(format!("{ROOT}/ffi-tests/matrix/functions.txt")).expect("the matrix");
    read(&header, &data).unwrap_or_else(|why| panic!("ffi-tests/matrix/functions.txt: {why}"))
}

fn read(header: &str, data: &str) -> Result<Vec<Row>, String> {
    let lines = data.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut lines: BTreeMap<&str, &str> = lines.filter_map(|line| Some((line.split_once('(')?.0, line))).collect();
    let functions = tags::parse(header).into_iter();
    let row = |function: Function| {
        let line = lines.remove(&*function.name).ok_or_else(|| format!("{} is missing", function.name))?;
        row(function, line).map_err(|why| format!("{line}: {why}"))
    };
    let rows = functions.map(row).collect::<Result<Vec<_>, _>>()?;
    if let Some(name) = lines.keys().next() {
        return Err(format!("{name} is not in the header"));
    }
    Ok(rows)
}

fn row(function: Function, line: &str) -> Result<Row, String> {
    let mut fields = line.split(" | ");
    let mut field = || fields.next().unwrap_or_default();
    let call = field().split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).ok_or("no call")?;
    let in_callback = match field() {
        "allowed" => InCallback::Allowed,
        "deferred" => InCallback::Deferred,
        "deferred in thread" => InCallback::DeferredInThread,
        "reentrant" => InCallback::Reentrant,
        "reentrant in poll" => InCallback::ReentrantInPoll,
        other => return Err(format!("{other:?} is not what a callback can do")),
    };
    let outside = field();
    let (outside, in_poll) = outside.split_once("; poll: ").unwrap_or((outside, outside));
    let pairs = field().split("; ").filter_map(|pair| pair.split_once(": "));
    let row = Row {
        arguments: arguments(call),
        in_callback,
        outside: words(outside),
        outside_in_poll: words(in_poll),
        nulls: pairs.map(|(name, result)| (name.to_owned(), result.to_owned())).collect(),
        function,
    };
    row.check()?;
    Ok(row)
}

fn words(list: &str) -> Vec<String> {
    list.split(", ").map(str::to_owned).collect()
}

/// At the commas that are in no parentheses.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut all) = (0_u32, vec![String::new()]);
    for c in call.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => (),
        }
        all.last_mut().expect("one").push(c);
    }
    let all = all.iter().map(|text| text.trim().to_owned());
    all.filter(|text| !text.is_empty()).collect()
}

impl Row {
    /// Index and name of every parameter that can be NULL.
    fn pointers(&self) -> impl Iterator<Item = (usize, &tags::Param)> {
        let pointer = |ctype: &str| ctype.ends_with('*') || ctype.ends_with("_fn");
        self.function.params.iter().enumerate().filter(move |(_, param)| pointer(&param.ctype))
    }

    /// The file agrees with the declaration and with what its documentation says.
    fn check(&self) -> Result<(), String> {
        let Function { params, .. } = &self.function;
        if self.arguments.len() != params.len() {
            return Err(format!("{} arguments, the header has {}", self.arguments.len(), params.len()));
        }
        let named: Vec<_> = self.nulls.keys().map(String::as_str).collect();
        let mut wanted: Vec<_> = self.pointers().map(|(_, param)| param.name.as_str()).collect();
        wanted.sort_unstable();
        if named != wanted {
            return Err(format!("NULL is said for {named:?}, pointers are {wanted:?}"));
        }
        let tag = match self.in_callback {
            InCallback::Allowed | InCallback::DeferredInThread => "allowed",
            InCallback::Deferred => "GWA_DEFERRED",
            InCallback::Reentrant | InCallback::ReentrantInPoll => "GWA_E_REENTRANT",
        };
        if self.function.tag("Callback") != tag {
            return Err(format!("the header says Callback: {}", self.function.tag("Callback")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "/**\n * Sets.\n *\n * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.\n\
        * Ownership: none. Since: 0.1.0.\n */\ngwa_status_t gwa_set(gwa_config_t *config, uint32_t n);\n";
    const DATA: &str = "# comment\n\ngwa_set(own_config(), f(1, 2)) | allowed | GWA_OK | config: GWA_E_BAD_HANDLE\n";

    #[test]
    fn a_line_is_read() {
        let [row] = &read(HEADER, DATA).unwrap()[..] else { panic!("one row") };
        assert_eq!(row.arguments, ["own_config()", "f(1, 2)"]);
        assert_eq!((row.in_callback, &row.nulls["config"][..]), (InCallback::Allowed, "GWA_E_BAD_HANDLE"));
    }

    #[test]
    fn what_contradicts_the_header_is_refused() {
        for (good, bad, why) in [
            ("gwa_set(", "gwa_put(", "gwa_set is missing"),
            ("\ngwa", "\ngwa_put() | allowed | done\ngwa", "gwa_put is not in the header"),
            ("own_config(), ", "", "1 arguments"),
            ("| allowed", "| deferred", "the header says Callback: allowed"),
            ("config: ", "other: ", "pointers are"),
            (" | config: GWA_E_BAD_HANDLE", "", "pointers are"),
        ] {
            let error = read(HEADER, &DATA.replace(good, bad)).unwrap_err();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }
}
