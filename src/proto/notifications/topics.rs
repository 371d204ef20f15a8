//! Which topics are asked for (Genesys Cloud, "Use the notification service").

use std::collections::BTreeSet;

/// Most topics of a channel.
pub const MAX_TOPICS: usize = 1_000;
/// Longest topic, a combined one included.
pub const MAX_TOPIC: usize = 200;

/// Comes without being asked for, and must not be.
const SYSTEM: &str = "v2.system.";

/// Why a list of topics cannot be subscribed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unfit {
    /// More than [`MAX_TOPICS`].
    TooMany,
    /// Longer than [`MAX_TOPIC`], empty, or with something else than visible ASCII; its place in the list.
    NoTopic(usize),
}

/// Whether these topics can be subscribed to at once.
pub fn check(topics: &[String]) -> Result<(), Unfit> {
    if let Some(at) = topics.iter().position(|topic| !is_topic(topic)) {
        return Err(Unfit::NoTopic(at));
    }
    if distinct(topics).count() > MAX_TOPICS {
        return Err(Unfit::TooMany);
    }
    Ok(())
}

/// What is sent of a list: each topic once and in its order, those of the system not at all. What is no topic, or one too
/// many, would make the server refuse all of them: it is left out.
pub fn wanted(topics: &[String]) -> Vec<String> {
    distinct(topics).take(MAX_TOPICS).cloned().collect()
}

fn distinct(topics: &[String]) -> impl Iterator<Item = &String> {
    let mut seen = BTreeSet::new();
    let fit = topics.iter().filter(|topic| is_topic(topic) && !topic.starts_with(SYSTEM));
    fit.filter(move |topic| seen.insert(topic.as_str()))
}

fn is_topic(topic: &str) -> bool {
    (1..=MAX_TOPIC).contains(&topic.len()) && topic.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(topics: &[&str]) -> Vec<String> {
        topics.iter().map(|topic| (*topic).to_owned()).collect()
    }

    #[test]
    fn each_once_in_order_and_none_of_the_system() {
        let given = list(&["b", "v2.system.socket_closing", "a", "b", "", "v2.users.x?presence&routingStatus", "a b"]);
        assert_eq!(wanted(&given), list(&["b", "a", "v2.users.x?presence&routingStatus"]));
    }

    #[test]
    fn a_thousand_of_two_hundred_characters() {
        let mut many: Vec<String> = (0..1_000).map(|n| format!("{n:0>200}")).collect();
        assert_eq!(check(&many), Ok(()));
        many.push(many[3].clone());
        assert_eq!(check(&many), Ok(()), "twice the same is one");
        many.push("v2.one.more".into());
        assert_eq!(check(&many), Err(Unfit::TooMany));
        assert_eq!(check(&list(&["a", &"x".repeat(201)])), Err(Unfit::NoTopic(1)));
    }
}
