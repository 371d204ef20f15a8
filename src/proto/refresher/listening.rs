//! The redirect of a question may come to this machine (`token.redirect_listener`): whoever listens needs to know for how long.

use super::{Phase, Refresher};

impl Refresher {
    /// Number of the question for an authorization code that is open.
    pub fn open_question(&self) -> Option<u64> {
        if let Phase::Blocked { asked, .. } = self.phase {
            asked
        } else {
            None
        }
    }

    /// The redirect of the open question comes here: what the authorize URL said has to be said when the code is exchanged
    /// (RFC 6749 4.1.3).
    pub fn redirect_to(&mut self, redirect_uri: String) {
        self.credentials.redirect_uri = Some(redirect_uri);
    }
}
