//! Topics: which are acceptable, and under which names their events come.

use serde_json::{json, Value};

/// The longest combined topic (Genesys Cloud, "Combining topics").
const COMBINED_MAX: usize = 200;

/// Why a topic is not permitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Rejection {
    pub(crate) reason: String,
    pub(crate) missing: Vec<String>,
}

impl Rejection {
    fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), missing: Vec::new() }
    }
}

/// Wrong in itself, whoever asks.
pub(crate) fn fault(topic: &str) -> Option<Rejection> {
    let plain = |c: char| c.is_ascii_graphic();
    match topic {
        _ if topic.starts_with("v2.system.") => Some(Rejection::because("System topics cannot be subscribed to")),
        _ if !topic.starts_with("v2.") || !topic.chars().all(plain) => Some(Rejection::because("Unknown topic")),
        _ if topic.contains('?') && topic.len() > COMBINED_MAX => {
            Some(Rejection::because("Combined topics have at most 200 characters"))
        }
        _ if names(topic).iter().any(|name| name.ends_with('.')) => Some(Rejection::because("Unknown topic")),
        _ => None,
    }
}

/// The names events of this topic have: `v2.users.1?presence&routingStatus` is two.
pub(crate) fn names(topic: &str) -> Vec<String> {
    match topic.split_once('?') {
        Some((stem, ends)) => ends.split('&').map(|end| format!("{stem}.{end}")).collect(),
        None => vec![topic.to_owned()],
    }
}

/// The ids of a subscription's body: `[{"id": …}, …]`; `None` when it is something else.
pub(crate) fn listed(body: &[u8]) -> Option<Vec<String>> {
    let all: Value = serde_json::from_slice(body).ok()?;
    let id = |topic: &Value| topic.get("id")?.as_str().map(str::to_owned);
    all.as_array()?.iter().map(id).collect()
}

/// One entity of the answer to a subscription.
pub(crate) fn entity(channel: &str, topic: &str, rejection: Option<&Rejection>) -> Value {
    let own = format!("/api/v2/notifications/channels/{channel}/subscriptions/{topic}");
    let Some(no) = rejection else {
        return json!({"id": topic, "state": "Permitted", "selfUri": own});
    };
    let mut entity = json!({"id": topic, "state": "Rejected", "rejectionReason": no.reason, "selfUri": own});
    if !no.missing.is_empty() {
        entity["missingPermissions"] = json!(no.missing);
    }
    entity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combined_topics_are_several_names() {
        assert_eq!(names("v2.users.1?presence&routingStatus"), ["v2.users.1.presence", "v2.users.1.routingStatus"]);
        assert_eq!(names("v2.users.1.presence"), ["v2.users.1.presence"]);
    }

    #[test]
    fn topics_have_a_form() {
        assert_eq!(fault("v2.users.1.presence"), None);
        assert!(fault(&format!("v2.{}", "x".repeat(300))).is_none(), "the limit is that of combined topics");
        for bad in
            ["users.1", "v2.system.socket_closing", "v2.users.1?", "v2.us ers", &format!("v2.{}?a", "x".repeat(200))]
        {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn bodies_are_lists_of_ids() {
        assert_eq!(listed(br#"[{"id":"a"},{"id":"b","x":1}]"#), Some(vec!["a".to_owned(), "b".to_owned()]));
        for bad in [&b"{}"[..], b"[1]", b"[{}]", b"", b"[{\"id\":1}]"] {
            assert_eq!(listed(bad), None);
        }
    }
}
