//! A judge that runs: a line in, a verdict out.

use std::time::Duration;

use genesys_ws_auth::audit::Format;
use serde_json::{json, Value};

use crate::harness::{Peer, Running};

/// A program of `peers/judge`.
pub struct Judge(Running);

impl Judge {
    /// `lines` or `ecs`.
    pub fn start(program: &str) -> Self {
        Self(Running::spawn(&mut Peer::Judge.program(program, &[])).expect("the judge starts"))
    }

    /// What it says of a line.
    pub fn judge(&mut self, format: Format, line: &str) -> Value {
        assert!(!line.contains('\n'), "{line}");
        self.0.write(&format!("{}\n", json!({"format": format.name(), "line": line})));
        let verdict = self.0.wait_for(|line| line.starts_with("JUDGED "));
        serde_json::from_str(verdict.trim_start_matches("JUDGED ")).expect("a verdict")
    }

    /// It ends with its input.
    pub fn end(self) {
        let output = self.0.finish(Duration::from_secs(60));
        assert!(output.success, "{}", output.stderr);
    }
}

/// What it found wrong.
pub fn problems(verdict: &Value) -> &Vec<Value> {
    verdict["problems"].as_array().expect("a verdict")
}
