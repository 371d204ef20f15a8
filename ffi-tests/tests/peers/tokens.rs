//! The simulator's signed access tokens and published keys, judged by `PyJWT` and `cryptography`: what should verify
//! does, and each thing that can be wrong with a token is found, under the name that it has there.

use std::time::Duration;

use ffi_tests::sim::{Forgery, Issue, Options, Retired, SignAlg, Sim, TokenForm};
use serde_json::{json, Value};

use super::harness::{available, start_client, Env, Peer};
use super::runtimes::simulator;

const LIMIT: Duration = Duration::from_secs(60);

/// A simulator, and what `PyJWT` is to judge.
struct Court {
    sim: Sim,
    env: Env,
    cases: Vec<Value>,
}

impl Court {
    fn new(name: &str) -> Self {
        let (sim, env) = simulator(name, Options::default());
        Self { sim, env, cases: Vec::new() }
    }

    /// Adds a token; only this algorithm is taken.
    fn token(&mut self, algorithm: SignAlg, issue: Issue) -> &mut Self {
        let token = self.sim.token().mint(&issue.form(TokenForm::Signed(algorithm))).access_token;
        let (issuer, audience) = (self.sim.issuer(), "genesys-cloud");
        let algorithms = [algorithm.name()];
        self.cases.push(json!({"token": token, "issuer": issuer, "audience": audience, "algorithms": algorithms}));
        self
    }

    /// One verdict for each token so far.
    fn judge(&mut self) -> Vec<Value> {
        let mut judge = start_client(Peer::Python.program("tokens", &[]), &self.env);
        let cases = std::mem::take(&mut self.cases);
        judge.write(&json!({"keys": self.sim.keys_url(), "cases": cases}).to_string());
        let output = judge.finish(LIMIT);
        assert!(output.success, "{output:#?}");
        let Value::Array(verdicts) = output.json("") else { panic!("{output:#?}") };
        verdicts
    }

    fn verdicts(&mut self) -> Vec<String> {
        let verdicts = self.judge();
        verdicts.iter().map(|one| one["verdict"].as_str().expect("a name").to_owned()).collect()
    }
}

#[test]
fn every_algorithm_is_verified_by_somebody_else() {
    if !available("every_algorithm_is_verified_by_somebody_else", &[Peer::Python]) {
        return;
    }
    let mut court = Court::new("tokens-algorithms");
    for algorithm in SignAlg::ALL {
        court.token(algorithm, Issue::new());
    }
    let verdicts = court.judge();
    for (algorithm, seen) in SignAlg::ALL.into_iter().zip(&verdicts) {
        assert_eq!((&seen["verdict"], &seen["header"]["alg"]), (&json!("ok"), &json!(algorithm.name())), "{seen}");
        assert_eq!((&seen["header"]["typ"], &seen["claims"]["sub"]), (&json!("at+jwt"), &json!("abc123-def456")));
    }
    assert_eq!(verdicts.len(), SignAlg::ALL.len());
}

#[test]
fn what_is_wrong_with_a_token_is_found_by_somebody_else() {
    if !available("what_is_wrong_with_a_token_is_found_by_somebody_else", &[Peer::Python]) {
        return;
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let cases = [
        (Issue::new(), "ok"),
        (Issue::new().forged(Forgery::OtherKey), "InvalidSignatureError"),
        (Issue::new().forged(Forgery::Flipped), "InvalidSignatureError"),
        (Issue::new().forged(Forgery::Cut), "InvalidSignatureError"),
        (Issue::new().forged(Forgery::UnknownKid), "PyJWKClientError"),
        (Issue::new().forged(Forgery::AlgNone), "InvalidAlgorithmError"),
        (Issue::new().forged(Forgery::PublicKeyAsSecret), "InvalidAlgorithmError"),
        (Issue::new().claim("exp", json!(now - 60)), "ExpiredSignatureError"),
        (Issue::new().claim("nbf", json!(now + 600)), "ImmatureSignatureError"),
        (Issue::new().claim("aud", json!("somebody-else")), "InvalidAudienceError"),
        (Issue::new().claim("iss", json!("https://evil.example")), "InvalidIssuerError"),
        (Issue::new().without_claim("jti"), "MissingRequiredClaimError"),
        (Issue::new().header("kid", json!("sim-999")), "PyJWKClientError"),
    ];
    let mut court = Court::new("tokens-forged");
    for algorithm in [SignAlg::Rs256, SignAlg::Ps256, SignAlg::Es256, SignAlg::EdDsa] {
        for (issue, _) in &cases {
            court.token(algorithm, issue.clone());
        }
        let wanted: Vec<_> = cases.iter().map(|(_, verdict)| *verdict).collect();
        assert_eq!(court.verdicts(), wanted, "{}", algorithm.name());
    }
}

#[test]
fn keys_are_rotated_as_somebody_else_sees_it() {
    if !available("keys_are_rotated_as_somebody_else_sees_it", &[Peer::Python]) {
        return;
    }
    let mut court = Court::new("tokens-rotated");
    let of = SignAlg::Rs256;
    court.token(of, Issue::new());
    court.sim.keys().rotate(of, Retired::Kept);
    court.token(of, Issue::new());
    let tokens = court.cases.clone();
    assert_eq!(court.verdicts(), ["ok", "ok"]);
    court.sim.keys().rotate(of, Retired::Dropped);
    court.cases = tokens;
    court.token(of, Issue::new());
    assert_eq!(court.verdicts(), ["PyJWKClientError", "PyJWKClientError", "ok"]);
}
