//! The authorization request as a URL (RFC 6749 4.1.1, RFC 7636 4.3), and what comes back by the redirect (4.1.2).

use super::form::{encoded, field, Form};
use crate::config::settings::Settings;
use crate::error::{Code, Error, Stage};
use crate::proto::frame::{printable, without_secrets};
use crate::proto::pkce::Fresh;
use crate::secret::Secret;
use zeroize::Zeroizing;

/// Largest code, and largest redirect.
const MAX_CODE: usize = 4_096;
const MAX_ANSWER: usize = 16_384;

/// What a question for an authorization code brings along.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Authorization {
    url: Secret,
    state: Secret,
    redirect_uri: String,
}

impl Authorization {
    /// One that nobody else can answer.
    pub fn new(settings: &Settings, fresh: &Fresh) -> Self {
        Self { url: url(settings, fresh), state: fresh.state.clone(), redirect_uri: settings.redirect_uri.clone() }
    }

    /// The same for a redirect that comes elsewhere: to a port that was not known before.
    #[must_use]
    pub fn at(&self, redirect_uri: &str) -> Self {
        let field = |uri: &str| Zeroizing::new(format!("&redirect_uri={}", *encoded(uri)));
        let (from, to) = (field(&self.redirect_uri), field(redirect_uri));
        // The last one is ours: what follows is encoded, and what stands before may be the application's.
        let (before, after) = self.url.expose().rsplit_once(from.as_str()).unwrap_or((self.url.expose(), ""));
        Self {
            url: Secret::new(format!("{before}{}{after}", *to)),
            state: self.state.clone(),
            redirect_uri: redirect_uri.to_owned(),
        }
    }

    /// Where a person signs in, ready-made; empty when there is no such URL.
    pub fn url(&self) -> &str {
        self.url.expose()
    }

    /// The code of an answer: the bare code, or the whole redirect (its URL, or what follows the `?` in it). Of a redirect
    /// the state has to be that of the URL, and an `error` is told as [`Code::Oauth`].
    ///
    /// # Errors
    /// `InvalidArgument` or `Oauth`; the question can still be answered.
    pub fn code_of(&self, answer: &str) -> Result<Secret, Error> {
        if answer.len() > MAX_ANSWER || answer.chars().any(char::is_control) {
            return Err(invalid("is longer than 16384 bytes or holds a control character"));
        }
        let Some(query) = self.query_of(answer) else { return checked(answer) };
        // An answer that somebody else has begun: its code would sign in somebody else (RFC 6749 10.12).
        let state = field(query, "state").map(|mut state| Secret::new(std::mem::take(&mut *state)));
        if self.state.is_empty() || state.as_ref() != Some(&self.state) {
            return Err(invalid("carries another state than the authorize URL"));
        }
        let code = field(query, "code").map(|mut code| Secret::new(std::mem::take(&mut *code)));
        if let Some(error) = field(query, "error") {
            let description = field(query, "error_description").unwrap_or_default();
            // The question stays open: who reads a log must not be able to answer it.
            let clean = |text: &str| without_secrets(text, code.iter().chain([&self.state]));
            return Err(refused(&clean(&error), &clean(&description)));
        }
        checked(code.ok_or_else(|| invalid("carries no code"))?.expose())
    }

    /// The query of a redirect; `None`: it is a bare code.
    fn query_of<'a>(&self, answer: &'a str) -> Option<&'a str> {
        let whole = answer.split('#').next().unwrap_or_default();
        let (before, query) = whole.split_once('?').unwrap_or(("", whole));
        let is_ours = !self.redirect_uri.is_empty() && answer.starts_with(&self.redirect_uri);
        let is_url = is_ours || before.contains(':') || answer.contains("://") || answer.starts_with('?');
        // One whose state got lost is a redirect all the same: as a code it would be refused, and the question be over.
        let is_field = |pair: &str| ["code=", "error=", "state="].iter().any(|name| pair.starts_with(name));
        (is_url || answer.split(['?', '&', '#']).any(is_field)).then_some(query)
    }
}

fn url(settings: &Settings, fresh: &Fresh) -> Secret {
    let mut form = Form::default();
    form.add("response_type", "code");
    form.add("client_id", &settings.client_id);
    form.add_given("redirect_uri", &settings.redirect_uri);
    form.add_given("scope", &settings.requested_scopes.join(" "));
    form.add("state", fresh.state.expose());
    if settings.pkce {
        form.add("code_challenge", &fresh.challenge);
        form.add("code_challenge_method", "S256");
    }
    let separator = if settings.authorize_url.contains('?') { '&' } else { '?' };
    Secret::new(format!("{}{separator}{}", settings.authorize_url, form.finish().expose()))
}

/// RFC 6749 A.11 wants visible ASCII; servers have been seen to take it less strictly.
fn checked(code: &str) -> Result<Secret, Error> {
    if code.is_empty() || code.len() > MAX_CODE || code.chars().any(char::is_control) {
        return Err(invalid("is not a code of 1 to 4096 bytes without control characters"));
    }
    Ok(Secret::new(code.to_owned()))
}

/// RFC 6749 4.1.2.1: the person, or the server, said no.
fn refused(error: &str, description: &str) -> Error {
    let error = printable(error);
    let text = match description {
        "" => format!("The authorization server answered {error}."),
        _ => format!("The authorization server answered {error} ({}).", printable(description)),
    };
    Error::new(Code::Oauth, Stage::Callback, text).with(|detail| detail.oauth_error = error)
}

fn invalid(why: &str) -> Error {
    Error::new(Code::InvalidArgument, Stage::Call, format!("answer {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::pkce::BYTES;
    use zeroize::Zeroizing;

    fn asked(settings: &Settings) -> (Authorization, Fresh) {
        let fresh = Fresh::new(&Zeroizing::new([7; BYTES]), |_| [9; 32]);
        (Authorization::new(settings, &fresh), fresh)
    }

    fn settings() -> Settings {
        Settings {
            client_id: "id one".into(),
            redirect_uri: "app:/back".into(),
            authorize_url: "https://login.example/oauth/authorize".into(),
            ..Settings::default()
        }
    }

    #[test]
    fn the_url_is_ready_made() {
        let (plain, fresh) = asked(&settings());
        let state = fresh.state.expose();
        let begin = "https://login.example/oauth/authorize?response_type=code&client_id=id+one";
        assert_eq!(plain.url(), format!("{begin}&redirect_uri=app%3A%2Fback&state={state}"));
        let more = Settings {
            pkce: true,
            redirect_uri: String::new(),
            requested_scopes: vec!["a:read".into(), "b".into()],
            authorize_url: "https://login.example/oauth/authorize?org=x".into(),
            ..settings()
        };
        let challenge = &fresh.challenge;
        assert_eq!(
            asked(&more).0.url(),
            format!(
                "https://login.example/oauth/authorize?org=x&response_type=code&client_id=id+one&scope=a%3Aread+b\
                 &state={state}&code_challenge={challenge}&code_challenge_method=S256"
            )
        );
        assert!(!format!("{:?}", asked(&more)).contains(challenge), "{:?}", asked(&more));
        assert!(!plain.url().contains(fresh.verifier.expose()));
    }

    #[test]
    fn the_redirect_may_come_to_a_port_that_was_not_known() {
        let settings = Settings {
            redirect_uri: "http://127.0.0.1:0/cb".into(),
            authorize_url: "https://h/a?x&redirect_uri=http%3A%2F%2F127.0.0.1%3A0%2Fcb".into(),
            ..settings()
        };
        let (question, fresh) = asked(&settings);
        let moved = question.at("http://127.0.0.1:4711/cb");
        let url = question.url().replace("%3A0%2Fcb&state", "%3A4711%2Fcb&state");
        assert_eq!(moved.url(), url);
        assert!(url.starts_with(&settings.authorize_url) && url.contains("4711"), "{url}");
        let answer = format!("http://127.0.0.1:4711/cb?code=c&state={}", fresh.state.expose());
        assert_eq!(moved.code_of(&answer), Ok(Secret::new("c".into())));
    }

    #[test]
    fn an_answer_is_a_code_or_a_whole_redirect() {
        let (question, fresh) = asked(&settings());
        let state = fresh.state.expose();
        for answer in [
            "a+b/c=".to_owned(),
            format!("app:/back?code=a%2Bb%2Fc%3D&state={state}"),
            format!("https://h/cb?iss=x&state={state}&code=a%2Bb%2Fc%3D#_=_"),
            format!("?code=a%2Bb/c=&state={state}"),
            format!("state={state}&code=a%2Bb%2Fc%3D"),
        ] {
            assert_eq!(question.code_of(&answer).map(|code| code.expose().to_owned()), Ok("a+b/c=".into()), "{answer}");
        }
    }

    #[test]
    fn another_state_is_no_answer() {
        let (question, fresh) = asked(&settings());
        let state = fresh.state.expose();
        for answer in [
            String::new(),
            "a\nb".into(),
            "x".repeat(4_097),
            "app:/back".into(),
            "app:/back?code=c".into(),
            "app:/back?code=c&state=".into(),
            format!("app:/back?code=c&state={state}x"),
            "?code=c&state=other".into(),
            "code=c&state=other".into(),
            // A redirect whose state is missing is no bare code.
            "code=c".into(),
            "#code=c".into(),
            "/cb?code=c".into(),
            "/cb?error=access_denied".into(),
            "iss=x&code=c".into(),
            "error=access_denied".into(),
            format!("state={state}"),
            "https://h/cb?error=access_denied&state=other".into(),
            format!("app:/back?state={state}"),
            format!("app:/back?code=&state={state}"),
            format!("app:/back?code=%00&state={state}"),
        ] {
            let error = question.code_of(&answer).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{answer}");
            assert!(!error.to_string().contains(state));
        }
        // Without a state nothing can be compared.
        let unknown = Authorization::default();
        assert!(unknown.code_of("?code=c&state=").is_err() && unknown.code_of("c").is_ok());
    }

    #[test]
    fn a_refusal_is_told() {
        let (question, fresh) = asked(&settings());
        let answer =
            format!("app:/back?error=access_denied&error_description=not%0Atoday&state={}", fresh.state.expose());
        let error = question.code_of(&answer).unwrap_err();
        assert_eq!((error.code(), error.detail().oauth_error.as_str()), (Code::Oauth, "access_denied"));
        assert!(error.to_string().contains("access_denied (not today)"), "{error}");
    }

    /// The question stays open: whoever reads a log could answer it.
    #[test]
    fn a_refusal_repeats_neither_state_nor_code() {
        let (question, fresh) = asked(&settings());
        let state = fresh.state.expose();
        let answer = format!(
            "app:/back?error=bad%5F{state}&error_description=bad+state+{state}+of+c%2Dhush&code=c-hush&state={state}"
        );
        let error = question.code_of(&answer).unwrap_err();
        assert_eq!(error.detail().oauth_error, "bad_***");
        assert!(error.to_string().contains("bad_*** (bad state *** of ***)"), "{error}");
    }
}
