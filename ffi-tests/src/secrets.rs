//! What must not stand in anything that is printed: the secrets of a simulator.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine as _;

use crate::sim::Sim;

/// Every secret a simulator has given out or expects, and the forms it could leak in, each with its name.
pub fn secrets(sim: &Sim) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let (mut id, mut secret) = (String::new(), String::new());
    sim.token().policy(|policy| {
        id.clone_from(&policy.client_id);
        secret.clone_from(&policy.client_secret);
        all.push(("a refresh token", policy.refresh_token.clone()));
    });
    for issued in sim.token().issued() {
        all.push(("an access token", issued.access_token));
        all.extend(issued.refresh_token.map(|token| ("a refresh token", token)));
    }
    all.push(("the Basic header", STANDARD.encode(format!("{id}:{secret}"))));
    all.push(("the client secret", secret));
    let encoded: Vec<_> = all.iter().flat_map(|(what, text)| encodings(text).map(|form| (*what, form))).collect();
    all.extend(encoded);
    all.retain(|(_, text)| text.len() >= 8);
    all
}

/// Which secret of the simulator stands in a text.
pub fn leaked(sim: &Sim, text: &str) -> Option<&'static str> {
    secrets(sim).into_iter().find(|(_, secret)| text.contains(secret.as_str())).map(|(what, _)| what)
}

/// Base64, in both alphabets, and form-url-encoded with the characters tokens have.
fn encodings(secret: &str) -> [String; 3] {
    let urlencoded = secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    [STANDARD.encode(secret).trim_end_matches('=').to_owned(), URL_SAFE_NO_PAD.encode(secret), urlencoded]
}
