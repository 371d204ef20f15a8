//! The same in every format of the audit records, with all that a record can repeat of a server: what it says of a token
//! request, of an authentication, of a closed socket.

use genesys_ws_auth::audit::Format;

use super::*;

#[test]
fn no_format_says_a_secret() {
    let _alone = alone();
    for format in Format::ALL {
        said().clear();
        let sim = repeating();
        let both = |config: &mut Config| {
            config.set("audit.format", format.name()).unwrap();
            config.set("audit.siem_format", format.name()).unwrap();
            config.set("audit.checkpoints", "on").unwrap();
        };
        a_server_that_repeats(&sim, &both);
        // A socket that is closed with the token as the reason, and one that comes after it.
        sim.ws().plan_next(Plan::new().on(Trigger::Auths(1), [Action::close(1008, REPEATED)]));
        live(&sim, both, |_, _| wait("state", "GapEnd", 1));
        is_heard(format);
        said().retain(|line| !line.starts_with("log of tungstenite"));
        nothing_was_said(&sim, format.name());
    }
}

/// Refusals whose texts have the client's secret, the refresh token and the access token.
fn a_server_that_repeats(sim: &Sim, both: &dyn Fn(&mut Config)) {
    let (mut secret, mut refresh) = (String::new(), String::new());
    sim.token().policy(|policy| {
        secret.clone_from(&policy.client_secret);
        refresh.clone_from(&policy.refresh_token);
    });
    for said in [secret, refresh] {
        let body = serde_json::json!({"error": "invalid_request", "error_description": format!("not {said}")});
        sim.token().then(TokenReply::Status { code: 400, headers: Vec::new(), body: body.to_string() });
        fails(sim, both);
    }
    sim.ws().refuse_auth(&format!("the token {REPEATED} is not good"));
    fails(sim, both);
}

/// Both sinks were given this format, and in it what the server has said, struck out.
fn is_heard(format: Format) {
    are_told(format, &["not ***", "the token *** is not good", "1008 ***", "audit_checkpoint"]);
}

/// Both sinks were given this format, and these texts in it.
pub fn are_told(format: Format, texts: &[&str]) {
    let begins = begins(format);
    for sink in ["audit: ", "siem: "] {
        for told in texts {
            let is_one = |line: &&String| line.starts_with(&format!("{sink}{begins}")) && line.contains(told);
            assert!(said().iter().any(|line| is_one(&line)), "{format:?}: {sink}never told {told:?}: {:#?}", said());
        }
    }
}

/// How a record of this format begins.
pub fn begins(format: Format) -> &'static str {
    match format {
        Format::Native => "{\"id\":",
        Format::Ocsf => "{\"time\":",
        Format::Ecs => "{\"@timestamp\":",
        Format::Cef => "CEF:0|",
        _ => "<8",
    }
}
