//! What a renewal changes of the grants.

use std::collections::HashSet;

use crate::event::ScopesChanged;
use crate::proto::mutant::{active, Mutant};

/// What the newest token grants whose scopes are known. Tokens that are refused for their scopes count: what was taken away
/// is told when it is, and that it was given back when that is.
#[derive(Debug, Default)]
pub struct Grant {
    known: Option<Vec<String>>,
}

impl Grant {
    /// A token grants this; what differs from the one before, if anything does. The order of names means nothing, and neither
    /// does a name that stands twice. Scopes that are unknown are no change: the next ones that are known are compared with the
    /// last ones that were.
    pub fn compare(&mut self, scopes: Option<&[String]>, required: &[String]) -> Option<ScopesChanged> {
        let now = scopes?;
        let before = self.known.replace(now.to_vec())?;
        let without = |list: &[String], other: &[String]| -> Vec<String> {
            // A server may name thousands.
            let mut seen: HashSet<&str> = other.iter().map(String::as_str).collect();
            list.iter().filter(|name| seen.insert(name)).cloned().collect()
        };
        let (added, removed) = (without(now, &before), without(&before, now));
        let is_moved = active(Mutant::OrderIsChange) && before != now;
        if added.is_empty() && removed.is_empty() && !is_moved {
            return None;
        }
        let missing = required.iter().filter(|name| removed.contains(name)).cloned().collect();
        Some(ScopesChanged { added, removed, missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Tokens one after the other (`-`: unknown), and what each changes: added/removed/missing, of `need` and `must` required.
    const TABLE: &[&[(&str, &str)]] = &[
        &[("need x", ""), ("x need", ""), ("need x x", "")],
        &[("need", ""), ("need more", "more//"), ("need", "/more/")],
        &[("need must a b", ""), ("b c", "c/need must a/must need"), ("b c", ""), ("need must", "need must/b c/")],
        &[("-", ""), ("need", ""), ("-", ""), ("need", "")],
        &[("a b", ""), ("-", ""), ("b c", "c/a/")],
        &[("", ""), ("a a", "a//"), ("", "/a/")],
    ];

    #[test]
    fn only_what_is_known_and_differs_is_a_change() {
        for story in TABLE {
            let mut grant = Grant::default();
            for (number, (scopes, expected)) in story.iter().enumerate() {
                let scopes = (*scopes != "-").then(|| names(scopes));
                let change = grant.compare(scopes.as_deref(), &names("must need"));
                let said =
                    change.map(|change| [change.added, change.removed, change.missing].map(|list| list.join(" ")));
                assert_eq!(said.map_or(String::new(), |lists| lists.join("/")), *expected, "{number} of {story:?}");
            }
        }
    }
}
