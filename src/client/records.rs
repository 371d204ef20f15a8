//! What no machine knows and is on record all the same: with what a client, or a source of tokens, starts.

use crate::audit::Record;
use crate::config::Written;
use crate::shell::{crypto, Net};

/// The configuration in force and the authorities that are trusted, if TLS is spoken at all.
///
/// The fingerprint is that of [`Config::to_json`](crate::Config::to_json): `sha256sum` of what `gwa_client_config()` returns.
pub(super) fn loaded(written: &Written, net: &Net) -> Vec<Record> {
    let digest = crypto::sha256(written.json().as_bytes());
    let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let trust = net.trust_report().map(|report| Record::TrustLoaded {
        store: report.store.clone(),
        roots: count(report.roots),
        pins: count(net.settings.pins.len()),
    });
    std::iter::once(Record::ConfigurationLoaded { fingerprint }).chain(trust).collect()
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
