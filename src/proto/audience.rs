//! Who hears of the tokens of one source: every client that uses it, and no client that has given up on them.
//!
//! A client *gives up* when its server refused two different tokens alike, or the client itself. That says nothing about
//! the others: the source goes on for them, and the one that gave up hears nothing more until somebody acts. Only when all
//! of them have given up, as the only client of a source of its own does, is the source told to stop trying.
//!
//! Who joins late is told what all others know: the token in force, and what the refresher last said that still holds.

use std::sync::Arc;

use super::refresher::News;
use super::session::Input;
use super::time::Now;
use super::token::Token;
use crate::audit::Record;
use crate::error::Error;

/// The clients of a source, each with the `T` by which it is told.
#[derive(Debug)]
pub struct Audience<T> {
    members: Vec<Member<T>>,
    last_id: u64,
    token: Option<Arc<Token>>,
    /// The record of its issue.
    issue: Option<Record>,
    /// The record of the issue of a token that is about to be published.
    next_issue: Option<Record>,
    /// What was said after the token.
    news: Option<News>,
}

#[derive(Debug)]
struct Member<T> {
    id: u64,
    outlet: T,
    gave_up: Option<Error>,
}

impl<T> Default for Audience<T> {
    fn default() -> Self {
        Self { members: Vec::new(), last_id: 0, token: None, issue: None, next_issue: None, news: None }
    }
}

impl<T> Audience<T> {
    /// One more; its number, which is never given out again.
    pub fn join(&mut self, outlet: T) -> u64 {
        self.last_id += 1;
        self.members.push(Member { id: self.last_id, outlet, gave_up: None });
        self.last_id
    }

    /// One less; what it was told by, if it was there.
    pub fn leave(&mut self, id: u64) -> Option<T> {
        let index = self.members.iter().position(|member| member.id == id)?;
        Some(self.members.swap_remove(index).outlet)
    }

    /// Everybody leaves.
    pub fn dissolve(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.members).into_iter().map(|member| member.outlet)
    }

    /// Whether this one is there.
    pub fn has(&self, id: u64) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whom to tell.
    pub fn hearers(&self) -> impl Iterator<Item = &T> {
        self.members.iter().filter(|member| member.gave_up.is_none()).map(|member| &member.outlet)
    }

    /// By what this one is told, whether it has given up or not.
    pub fn outlet(&self, id: u64) -> Option<&T> {
        self.members.iter().find(|member| member.id == id).map(|member| &member.outlet)
    }

    /// This one has given up; whether nobody is left who has not. Nobody is asked twice: `false` for a stranger.
    pub fn give_up(&mut self, id: u64, why: &Error) -> bool {
        let Some(member) = self.members.iter_mut().find(|member| member.id == id) else { return false };
        member.gave_up = Some(why.clone());
        self.despair().is_some()
    }

    /// Why nobody hears any more, if all who are there have given up.
    pub fn despair(&self) -> Option<&Error> {
        let mut reasons = self.members.iter().map(|member| member.gave_up.as_ref());
        reasons.try_fold(None, |_, why| why.map(Some)).flatten()
    }

    /// By what this one is told, or why it has given up.
    pub fn standing(&self, id: u64) -> Option<Result<&T, &Error>> {
        let member = self.members.iter().find(|member| member.id == id)?;
        Some(member.gave_up.as_ref().map_or(Ok(&member.outlet), Err))
    }

    /// The application acted for this one: it tries again.
    pub fn wake(&mut self, id: u64) {
        self.members.iter_mut().filter(|member| member.id == id).for_each(|member| member.gave_up = None);
    }

    /// There are new credentials: all try again. Whether one of them had given up.
    pub fn wake_all(&mut self) -> bool {
        self.members.iter_mut().fold(false, |any, member| member.gave_up.take().is_some() | any)
    }

    /// A token was published.
    pub fn published(&mut self, token: &Arc<Token>) {
        (self.token, self.news) = (Some(Arc::clone(token)), None);
        self.issue = self.next_issue.take().or(self.issue.take());
    }

    /// A record was made. That of an issue is every client's, whenever it joins.
    pub fn recorded(&mut self, record: &Record) {
        if matches!(record, Record::TokenIssued { .. }) {
            self.next_issue = Some(record.clone());
        }
    }

    /// Something else was said.
    pub fn said(&mut self, news: &News) {
        // The end of a round is an event: what holds afterwards was said before it.
        if !matches!(news, News::RoundFailed { .. }) {
            self.news = Some(news.clone());
        }
    }

    /// The token that the refresher still has; `None` takes it back.
    pub fn holds(&mut self, token: Option<&Arc<Token>>) {
        self.token.take_if(|_| token.is_none());
    }

    /// Nothing of what was said holds any longer: the refresher has stopped.
    pub fn forget(&mut self) {
        (self.token, self.issue, self.next_issue, self.news) = (None, None, None, None);
    }

    /// What somebody who joins now has missed.
    pub fn missed(&self, now: Now) -> Vec<Input> {
        let token = self.token.clone().filter(|token| token.is_usable(now.boot_ms)).map(Input::Publish);
        let issue = self.issue.clone().filter(|_| token.is_some());
        let records = issue.into_iter().chain(self.next_issue.clone()).map(Input::Recorded);
        // It was not there for the attempts before: what it hears of begins with it.
        let news = self.news.clone().map(|news| match news {
            News::Blocked { error, .. } => News::Blocked { error, started_ms: now.boot_ms },
            news => news,
        });
        // Who waits for its first token hears at once that it will take long.
        let failed = match &news {
            Some(News::Throttled { error, long: true, .. }) => {
                Some(News::RoundFailed { error: error.clone(), started_ms: now.boot_ms })
            }
            _ => None,
        };
        records.chain(token).chain(news.into_iter().chain(failed).map(Input::News)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Stage};
    use crate::proto::dice::Dice;
    use crate::proto::token::Schedule;
    use crate::secret::Secret;

    fn token(serial: u64) -> Arc<Token> {
        Arc::new(Token {
            access_token: Secret::new(format!("hush-{serial}")),
            token_type: "bearer".into(),
            lifetime_ms: 60_000,
            refresh_token: None,
            scope: String::new(),
            granted_at_wall_ms: 0,
            serial,
            schedule: Schedule::new(0, 60_000, None, &mut Dice::new(0)),
            scopes: None,
        })
    }

    fn at(boot_ms: u64) -> Now {
        Now { boot_ms, ..Now::default() }
    }

    fn error() -> Error {
        Error::new(Code::ThrottledLong, Stage::Token, "")
    }

    fn heard(audience: &Audience<char>) -> String {
        audience.hearers().collect()
    }

    #[test]
    fn one_that_gave_up_hears_nothing_until_somebody_acts() {
        let mut audience = Audience::default();
        let (a, b) = (audience.join('a'), audience.join('b'));
        assert!(!audience.give_up(a, &error()), "the other goes on");
        assert_eq!(heard(&audience), "b");
        assert_eq!((audience.outlet(a), audience.outlet(77)), (Some(&'a'), None), "what is its own goes on");
        assert!(matches!(audience.standing(a), Some(Err(why)) if why.code() == error().code()));
        assert!(matches!(audience.standing(b), Some(Ok('b'))) && audience.standing(77).is_none());
        audience.wake(b);
        assert_eq!(heard(&audience), "b", "somebody else acted");
        audience.wake(a);
        assert_eq!(heard(&audience), "ab");
        assert!(!audience.give_up(a, &error()) && audience.give_up(b, &error()), "now nobody goes on");
        assert!(!audience.give_up(77, &error()), "a stranger");
        assert!(audience.despair().is_some());
        assert!(audience.wake_all() && !audience.wake_all());
        assert!(audience.despair().is_none());
        assert_eq!(heard(&audience), "ab");
    }

    #[test]
    fn who_has_left_is_not_counted() {
        let mut audience = Audience::default();
        let (a, b) = (audience.join('a'), audience.join('b'));
        assert_eq!((audience.leave(b), audience.leave(b)), (Some('b'), None));
        assert!(audience.give_up(a, &error()), "the last one");
        let c = audience.join('c');
        assert!(audience.despair().is_none(), "one more who has not");
        audience.leave(c);
        assert!(audience.despair().is_some(), "the last who had not has left");
        assert_eq!(audience.leave(a), Some('a'));
        assert!(audience.is_empty() && audience.despair().is_none(), "nobody is there");
        assert!(audience.join('c') > c && c > b, "numbers are not used again");
        assert_eq!(audience.dissolve().collect::<String>(), "c");
        assert_eq!(audience.len(), 0);
    }

    #[test]
    fn who_joins_late_is_told_what_holds() {
        let mut audience = Audience::<char>::default();
        let missed = |audience: &Audience<char>, boot_ms| format!("{:?}", audience.missed(at(boot_ms)));
        assert_eq!(missed(&audience, 0), "[]");
        audience.said(&News::Fetching);
        assert_eq!(missed(&audience, 0), "[News(Fetching)]");
        audience.published(&token(1));
        assert!(matches!(audience.missed(at(1))[..], [Input::Publish(_)]), "what was said before is over");
        assert!(audience.missed(at(60_000)).is_empty(), "it is dead by now");
        audience.said(&News::Waiting);
        audience.said(&News::RoundFailed { error: error(), started_ms: 5 });
        assert!(matches!(audience.missed(at(1))[..], [Input::Publish(_), Input::News(News::Waiting)]));
        audience.holds(Some(&token(1)));
        assert_eq!(audience.missed(at(1)).len(), 2);
        audience.holds(None);
        assert!(matches!(audience.missed(at(1))[..], [Input::News(News::Waiting)]), "it was refused");
        audience.forget();
        assert!(audience.missed(at(1)).is_empty());
    }

    #[test]
    fn who_joins_while_there_is_no_hope_is_told_so() {
        let mut audience = Audience::<char>::default();
        audience.said(&News::Blocked { error: error(), started_ms: 5 });
        let [Input::News(News::Blocked { started_ms, .. })] = audience.missed(at(70))[..] else { panic!() };
        assert_eq!(started_ms, 70, "its attempt begins with it");
        audience.said(&News::Throttled { error: error(), until_ms: 900, long: true });
        let [Input::News(News::Throttled { until_ms: 900, .. }), Input::News(News::RoundFailed { started_ms: 70, .. })] =
            audience.missed(at(70))[..]
        else {
            panic!()
        };
        audience.said(&News::Throttled { error: error(), until_ms: 900, long: false });
        assert_eq!(audience.missed(at(70)).len(), 1);
    }
}
