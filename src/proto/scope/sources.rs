//! Which scopes a token has, where several sources speak of it.
//!
//! | order | source | asked |
//! |---|---|---|
//! | 1 | the introspection answer (RFC 7662 2.2), the claim of a token whose signature was verified (RFC 9068 2.2.3) | where they are set up |
//! | 2 | the claim `scope`, else `scp`, of a JWT nobody verified (RFC 8693 4.2) | profile `auth-message` |
//! | 3 | `scope` of the token response (RFC 6749 5.1) | always; not of client credentials with `notifications`, whose rights are roles |
//! | 4 | `authorizedScope` of `GET /api/v2/tokens/me` | profile `notifications`, where 3 is silent |
//!
//! The first row that speaks decides, and what is said further down does not add to it. A source that names no scopes is
//! silent; one that names an empty list says that there are none. If nobody speaks they are *unknown*.
//!
//! Why this order: row 1 is the issuer's own word, which nobody between could have written. A claim is what the server reads
//! that the token is shown to, so it comes before the response that the token came in. `tokens/me` takes a request of its own.
//!
//! The two of the first row are trusted alike, and neither can give what the other withholds: a grant that was narrowed after
//! the token was signed is still in its claim, and an introspection answer may be cut to what concerns the one who asks (RFC
//! 7662 2.2). Where they differ only what both name counts, so that a mistake denies.

use crate::proto::mutant::{active, Mutant};

/// What each source says; `None`: nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sources {
    /// The claim of a token whose signature and claims were verified with the issuer's keys.
    pub verified: Option<Vec<String>>,
    /// `scope` of the introspection answer.
    pub introspected: Option<Vec<String>>,
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
        let Self { verified, introspected, claimed, answered, probed } = self;
        let trusted = match (introspected, verified) {
            (Some(now), Some(signed)) if !active(Mutant::WiderScopesCount) => {
                Some(now.into_iter().filter(|name| signed.contains(name)).collect())
            }
            (now, signed) => now.or(signed),
        };
        if active(Mutant::AnswerBeforeClaim) {
            return answered.or(trusted).or(claimed).or(probed);
        }
        trusted.or(claimed).or(answered).or(probed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Option<Vec<String>> {
        (text != "-").then(|| text.split_whitespace().map(str::to_owned).collect())
    }

    /// Introspected, verified, claimed, answered, probed: what counts. `-`: silent.
    const TABLE: &[([&str; 5], &str)] = &[
        (["-", "-", "-", "-", "-"], "-"),
        (["-", "-", "-", "-", "p"], "p"),
        (["-", "-", "-", "r", "p"], "r"),
        (["-", "-", "c", "r", "p"], "c"),
        (["-", "v", "c", "r", "p"], "v"),
        (["i", "-", "c", "r", "p"], "i"),
        // What is trusted more wins, be it the smaller or the larger set.
        (["-", "a", "a b", "-", "-"], "a"),
        (["-", "a b", "a", "a", "a"], "a b"),
        (["a", "-", "a b", "-", "-"], "a"),
        (["-", "-", "a b", "a", "-"], "a b"),
        (["-", "-", "a", "a b", "-"], "a"),
        // Those trusted alike have to agree, in the order of the one that was asked last.
        (["a b", "b a", "-", "-", "-"], "a b"),
        (["a", "a b", "c", "-", "-"], "a"),
        (["a b", "b", "a", "a", "a"], "b"),
        (["a", "b", "a b", "a b", "a b"], ""),
        // Nothing is a word, silence is none.
        (["-", "", "a", "a", "a"], ""),
        (["", "a", "a", "a", "a"], ""),
        (["-", "-", "", "a", "-"], ""),
        (["-", "-", "-", "", "a"], ""),
    ];

    #[test]
    fn the_order_and_the_conflicts() {
        for ([introspected, verified, claimed, answered, probed], counts) in TABLE {
            let sources = Sources {
                verified: list(verified),
                introspected: list(introspected),
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
        for number in 0..says.len().pow(5) {
            let said = |place: u32| list(says[number / says.len().pow(place) % says.len()]);
            let sources = Sources {
                introspected: said(0),
                verified: said(1),
                claimed: said(2),
                answered: said(3),
                probed: said(4),
            };
            let trusted = [&sources.introspected, &sources.verified].into_iter().flatten();
            let trusted: Vec<Vec<String>> = trusted.cloned().collect();
            let is_unknown = (0..5).all(|place| said(place).is_none());
            let counts = sources.resolve();
            assert_eq!(counts.is_none(), is_unknown);
            let within = |list: &Vec<String>| counts.iter().flatten().all(|name| list.contains(name));
            assert!(trusted.iter().all(within), "{counts:?} of {trusted:?}");
        }
    }
}
