//! Which scopes a token has, where several sources speak of it.
//!
//! | order | source | asked |
//! |---|---|---|
//! | 1 | the claim of a token whose signature was verified (RFC 9068 2.2.3), or the introspection answer (RFC 7662 2.2) | as `token.verify` has it: one of them or none |
//! | 2 | the claim `scope`, else `scp`, of a JWT nobody verified (RFC 8693 4.2) | profile `auth-message` |
//! | 3 | `scope` of the token response (RFC 6749 5.1) | always; not of client credentials with `notifications`, whose rights are roles |
//! | 4 | `authorizedScope` of `GET /api/v2/tokens/me` | profile `notifications`, where 3 is silent |
//!
//! The first row that speaks decides, and what is said further down does not add to it. A source that names no scopes is
//! silent; one that names an empty list says that there are none. If nobody speaks they are *unknown*.
//!
//! Why this order: row 1 is the issuer's own word, which nobody between could have written. A claim is what the server reads
//! that the token is shown to, so it comes before the response that the token came in. `tokens/me` takes a request of its own.

use crate::proto::mutant::{active, Mutant};

/// What each source says; `None`: nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sources {
    /// What the issuer vouches for: the claim of a token that was verified with its keys, or its answer.
    pub vouched: Option<Vec<String>>,
    /// The claim of a JWT, as it is.
    pub claimed: Option<Vec<String>>,
    /// `scope` of the token response.
    pub answered: Option<Vec<String>>,
    /// `authorizedScope` of `tokens/me`.
    pub probed: Option<Vec<String>>,
}

impl Sources {
    /// The scopes that count, in the order of who named them; `None`: unknown.
    pub fn resolve(self) -> Option<Vec<String>> {
        let Self { vouched, claimed, answered, probed } = self;
        if active(Mutant::AnswerBeforeClaim) {
            return answered.or(vouched).or(claimed).or(probed);
        }
        vouched.or(claimed).or(answered).or(probed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Option<Vec<String>> {
        (text != "-").then(|| text.split_whitespace().map(str::to_owned).collect())
    }

    /// Vouched for, claimed, answered, probed: what counts. `-`: silent.
    const TABLE: &[([&str; 4], &str)] = &[
        (["-", "-", "-", "-"], "-"),
        (["-", "-", "-", "p"], "p"),
        (["-", "-", "r", "p"], "r"),
        (["-", "c", "r", "p"], "c"),
        (["v", "c", "r", "p"], "v"),
        // What is trusted more wins, be it the smaller or the larger set.
        (["a", "a b", "-", "-"], "a"),
        (["a b", "a", "a", "a"], "a b"),
        (["-", "a b", "a", "-"], "a b"),
        (["-", "a", "a b", "-"], "a"),
        // Nothing is a word, silence is none.
        (["", "a", "a", "a"], ""),
        (["-", "", "a", "-"], ""),
        (["-", "-", "", "a"], ""),
    ];

    #[test]
    fn the_order_and_the_conflicts() {
        for ([vouched, claimed, answered, probed], counts) in TABLE {
            let sources = Sources {
                vouched: list(vouched),
                claimed: list(claimed),
                answered: list(answered),
                probed: list(probed),
            };
            assert_eq!(sources.clone().resolve(), list(counts), "{sources:?}");
        }
    }

    /// Whatever the others say: who is trusted more is never overruled by who is trusted less.
    #[test]
    fn nobody_adds_to_what_the_trusted_say() {
        let says = ["-", "", "a", "b", "a b"];
        for number in 0..says.len().pow(4) {
            let said = |place: u32| list(says[number / says.len().pow(place) % says.len()]);
            let all = [said(0), said(1), said(2), said(3)];
            let [vouched, claimed, answered, probed] = all.clone();
            let counts = Sources { vouched, claimed, answered, probed }.resolve();
            assert_eq!(counts, all.iter().flatten().next().cloned(), "{all:?}");
        }
    }
}
