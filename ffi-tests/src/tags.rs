//! What the header says about every function, as data.
//!
//! The comment of a function ends with seven tags, in this order:
//!
//! ```text
//! Thread: any. Callback: GWA_DEFERRED, does not wait. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
//! Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
//! ```
//!
//! ```text
//! tag       = name ": " value [", " remark] "."       the remark is for people; no tag name with a colon in it
//!
//! Thread    = any
//! Callback  = allowed | GWA_DEFERRED | GWA_E_REENTRANT                what a call from a callback of the same client does
//! Fork      = allowed | inert | GWA_E_FORKED | GWA_E_BAD_HANDLE | number
//!                                                     what a call in a child does with a handle of its parent; allowed
//!                                                     where no handle is involved; inert: nothing happens; number: what
//!                                                     it returns
//! Signal    = safe | unsafe
//! Blocking  = no | up to timeout_ms | up to free.timeout_ms | reads files
//! Ownership = none | anything else, in words
//! Since     = number "." number "." number
//! ```

use std::collections::BTreeMap;

/// Names of the tags, in their order.
pub const NAMES: [&str; 7] = ["Thread", "Callback", "Fork", "Signal", "Blocking", "Ownership", "Since"];

/// A function of the header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// `gwa_client_new`.
    pub name: String,
    /// Type of what it returns: `gwa_status_t`, `const char *`, `void`.
    pub returns: String,
    /// Its parameters; none for `(void)`.
    pub params: Vec<Param>,
    /// Its comment, in one line, without the tags.
    pub text: String,
    /// Its tags by name ([`NAMES`]).
    pub tags: BTreeMap<&'static str, Tag>,
}

impl Function {
    /// The value of a tag, one of those of the grammar.
    ///
    /// # Panics
    ///
    /// If there is no tag of that name.
    pub fn tag(&self, name: &str) -> &str {
        &self.tags[name].value
    }
}

/// A parameter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Param {
    /// `const gwa_config_t *`, `uint32_t`, `const char *const *`.
    pub ctype: String,
    /// `config`.
    pub name: String,
}

/// What a tag says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag {
    /// What the grammar knows; for Ownership all of it.
    pub value: String,
    /// What follows the comma, or "".
    pub remark: String,
}

/// All functions of a header, in its order.
///
/// # Panics
///
/// If one has no comment, lacks a tag, or has one that the grammar does not know.
pub fn parse(header: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    for (at, _) in header.match_indices("/**\n") {
        let Some((comment, rest)) = header[at..].split_once("*/\n") else { continue };
        let declaration = rest.split_once(';').map_or("", |(declaration, _)| declaration);
        if is_function(declaration) {
            functions.push(function(declaration, &unwrapped(comment)));
        }
    }
    functions
}

/// Not a macro, a type or a field.
fn is_function(declaration: &str) -> bool {
    let first = declaration.split('(').next().unwrap_or_default();
    declaration.ends_with(')')
        && !declaration.starts_with(['#', ' '])
        && first.contains("gwa_")
        && !first.contains('{')
        && !first.starts_with("typedef")
}

/// A comment as one line.
fn unwrapped(comment: &str) -> String {
    let lines = comment.trim_start_matches("/**").lines().map(|line| line.trim().trim_start_matches('*').trim());
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn function(declaration: &str, comment: &str) -> Function {
    let words = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
    let (head, params) = words.trim_end_matches(')').split_once('(').expect("a parameter list");
    let Param { ctype: returns, name } = param(head);
    let start = comment.find("Thread:").unwrap_or_else(|| panic!("{name} has no tags"));
    let params = params.split(", ").filter(|text| *text != "void").map(param).collect();
    let tags = tags(&name, &comment[start..]);
    Function { name, returns, params, text: comment[..start].trim().to_owned(), tags }
}

/// `const char *key` is a `const char *` of the name `key`.
fn param(text: &str) -> Param {
    let at = text.rfind([' ', '*']).map_or(0, |at| at + 1);
    Param { ctype: text[..at].trim().to_owned(), name: text[at..].to_owned() }
}

fn tags(function: &str, text: &str) -> BTreeMap<&'static str, Tag> {
    let mut rest = text;
    let mut tags = BTreeMap::new();
    for (n, name) in NAMES.into_iter().enumerate() {
        let after = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        let after = after.unwrap_or_else(|| panic!("{function}: {name} is expected, not {rest:?}"));
        let end = NAMES.get(n + 1).map_or(Some(after.len()), |next| after.find(&format!(" {next}: ")));
        let end = end.unwrap_or_else(|| panic!("{function}: something is missing behind {name}"));
        tags.insert(name, tag(name, &after[..end]).unwrap_or_else(|why| panic!("{function}: {name}: {why}")));
        rest = after[end..].trim_start();
    }
    tags
}

fn tag(name: &str, text: &str) -> Result<Tag, String> {
    let text = text.strip_suffix('.').ok_or_else(|| format!("{text:?} has no full stop"))?;
    let (value, remark) = match text.split_once(", ") {
        Some((value, remark)) if name != "Ownership" => (value, remark),
        _ => (text, ""),
    };
    if !is_known(name, value) {
        return Err(format!("{value:?} is not in the grammar (ffi-tests/src/tags.rs)"));
    }
    Ok(Tag { value: value.to_owned(), remark: remark.to_owned() })
}

fn is_known(name: &str, value: &str) -> bool {
    let number = |text: &str| text.parse::<i32>().is_ok();
    match name {
        "Thread" => value == "any",
        "Callback" => ["allowed", "GWA_DEFERRED", "GWA_E_REENTRANT"].contains(&value),
        "Fork" => ["allowed", "inert", "NULL", "GWA_E_FORKED", "GWA_E_BAD_HANDLE"].contains(&value) || number(value),
        "Signal" => ["safe", "unsafe"].contains(&value),
        "Blocking" => ["no", "up to timeout_ms", "up to free.timeout_ms", "reads files"].contains(&value),
        "Ownership" => !value.is_empty(),
        _ => value.split('.').count() == 3 && value.split('.').all(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "/**\n * A client. Two\n * lines.\n *\n * Thread: any. Callback: GWA_DEFERRED, does not\n * wait. \
        Fork: -1. Signal: safe. Blocking: no.\n * Ownership: yours, (a); b. Since: 0.1.0.\n */\n\
        const char *gwa_x(const gwa_config_t *config,\n                  const char *const *required, uint32_t n);\n";

    #[test]
    fn a_function_is_taken_apart() {
        let [function] = &parse(GOOD)[..] else { panic!("one function") };
        assert_eq!(
            (&*function.name, &*function.returns, &*function.text),
            ("gwa_x", "const char *", "A client. Two lines.")
        );
        let params: Vec<_> = function.params.iter().map(|param| (&*param.ctype, &*param.name)).collect();
        assert_eq!(
            params,
            [("const gwa_config_t *", "config"), ("const char *const *", "required"), ("uint32_t", "n")]
        );
        assert_eq!((function.tag("Callback"), &*function.tags["Callback"].remark), ("GWA_DEFERRED", "does not wait"));
        assert_eq!((function.tag("Fork"), function.tag("Ownership")), ("-1", "yours, (a); b"));
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused() {
        for (good, bad) in [
            ("Signal: safe", "Signal: mostly safe"),
            ("Callback: GWA_DEFERRED,", "Callback: GWA_DEFERRED"),
            ("Blocking: no.", ""),
            ("0.1.0", "soon"),
            ("any. ", "any "),
        ] {
            let header = GOOD.replace(good, bad);
            assert_ne!(header, GOOD);
            assert!(std::panic::catch_unwind(|| parse(&header)).is_err(), "{bad}");
        }
    }
}
