//! The session in the profile `notifications`, fed by hand: what it says, in words.

use std::sync::Arc;

use super::alone::token;
use crate::config::settings::{Profile, Settings};
use crate::event::{Gap, Notice, State, TopicState};
use crate::proto::http::{Method, Reply};
use crate::proto::session::{Input, Output, Rounds, Session, Whose};
use crate::proto::time::Now;

pub(super) const PONG: &str = r#"{"topicName":"channel.metadata","eventBody":{"message":"pong"}}"#;
pub(super) const HOUR: u64 = 3_600_000;

pub(super) fn settings() -> Settings {
    Settings {
        profile: Profile::Notifications,
        api_url: "https://api.x".into(),
        streaming_host: "streaming.x".into(),
        topics: vec!["v2.a".into(), "v2.b".into()],
        linger_ms: 0,
        ..Settings::default()
    }
}

/// A session and what it said, in words.
pub(super) struct Lone {
    pub session: Session,
    pub at_ms: u64,
    pub said: Vec<String>,
    pub gaps: Vec<Gap>,
    /// What is on record of sockets, channels and clocks, in words.
    pub recorded: Vec<String>,
    /// Numbers of the requests that are not answered, newest last.
    pub asked: Vec<u64>,
    /// How many channels were made.
    channels: u32,
}

pub(super) fn event(id: &str, body: u32) -> String {
    format!(r#"{{"topicName":"v2.a","eventBody":{{"n":{body}}},"metadata":{{"CorrelationId":"{id}"}}}}"#)
}

fn reply(status: u16, body: String) -> Reply {
    Reply { status, body: body.into(), ..Reply::default() }
}

impl Lone {
    pub fn with(settings: Settings) -> Self {
        let session = Session::new(Arc::new(settings), None);
        let (said, gaps, recorded, asked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { session, at_ms: 0, said, gaps, recorded, asked, channels: 0 }
    }

    /// Live on socket 1 with a token of an hour.
    pub fn live() -> Self {
        Self::with(settings()).become_live()
    }

    pub fn become_live(mut self) -> Self {
        self.feed(Input::Start(Rounds::Forever));
        self.feed(Input::Publish(token(1, HOUR)));
        self.opens(1);
        assert_eq!(self.session.state(), State::Ready);
        self
    }

    pub fn feed(&mut self, input: Input) {
        let now = self.now();
        self.session.handle(now, 7, input);
        self.said.clear();
        while let Some(output) = self.session.poll() {
            if let Some(words) = super::step_on_record(&output) {
                self.recorded.push(words);
                continue;
            }
            let words = self.words(output);
            self.said.push(words);
        }
        assert!(self.session.next_timeout().is_none_or(|at| at > self.at_ms), "a deadline in the past");
    }

    fn words(&mut self, output: Output) -> String {
        match output {
            Output::Dial { epoch, hold, uri } => {
                format!("dial {epoch} {hold} {}", uri.as_ref().map_or("", |uri| uri.expose()))
            }
            Output::Rest { id, request } => {
                self.asked.push(id);
                let path = request.url.strip_prefix("https://api.x/api/v2/notifications/channels").unwrap();
                let bearer = request.authorization.expose().strip_prefix("Bearer hush-").unwrap();
                let method = match request.method {
                    Method::Post => "POST",
                    Method::Put => "PUT",
                    Method::Head => "HEAD",
                    Method::Delete => "DELETE",
                    Method::Get => "GET",
                };
                format!("{method} {bearer} {path} {}", request.body.text()).trim_end().to_owned()
            }
            Output::DropRest { id } => {
                self.asked.retain(|asked| *asked != id);
                "drop".to_owned()
            }
            Output::SendAuth { epoch, frame } => format!("send {epoch} {}", frame.expose()),
            Output::Notice(Notice::State(change)) => format!("{:?}", change.to),
            Output::Notice(Notice::GapBegin(gap)) => {
                self.gaps.push(gap.clone());
                format!("gap {}", gap.last_correlation_id)
            }
            Output::Notice(Notice::GapEnd(_)) => "gap ends".to_owned(),
            Output::Notice(Notice::Topics(topics)) => {
                let permitted = topics.results.iter().filter(|topic| topic.state == TopicState::Permitted).count();
                format!("topics {permitted}/{}", topics.results.len())
            }
            Output::Notice(Notice::Handover(handover)) => {
                format!("handover {} {}", handover.from_connection, handover.to_connection)
            }
            Output::Failed { error, .. } => format!("failed {:?}", error.code()),
            Output::GiveUp { error, .. } => format!("give up {:?}", error.code()),
            Output::Refused { serial } => format!("refused {serial}"),
            Output::Leave { epoch, .. } => format!("leave {epoch}"),
            Output::Release { epoch } => format!("release {epoch}"),
            Output::Abort { epoch } => format!("abort {epoch}"),
            Output::SendOn(epoch) => format!("send on {epoch:?}"),
            other => format!("{other:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
        }
    }

    pub fn now(&self) -> Now {
        Now { boot_ms: self.at_ms, awake_ms: self.at_ms, wall_ms: self.at_ms }
    }

    /// Time passes, and the timers that fall into it are served.
    pub fn until(&mut self, at_ms: u64) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(next) = self.session.next_timeout().filter(|next| *next <= at_ms) {
            self.at_ms = next;
            self.feed(Input::Timeout);
            said.extend(self.said.iter().cloned());
        }
        self.at_ms = at_ms;
        said
    }

    /// The same, while heartbeats come by this socket.
    pub fn until_beating(&mut self, epoch: u64, at_ms: u64) -> Vec<String> {
        let mut said = Vec::new();
        while self.at_ms < at_ms {
            let next = (self.at_ms + 30_000).min(at_ms);
            said.extend(self.until(next));
            self.hears(epoch, PONG);
            said.extend(self.said.iter().cloned());
        }
        said
    }

    pub fn has(&self, words: &str) -> bool {
        self.said.iter().any(|said| said == words)
    }

    /// The newest request is answered.
    pub fn answer(&mut self, reply: Reply) {
        let id = self.asked.pop().expect("a request");
        self.feed(Input::Rest { id, outcome: Ok(reply) });
    }

    pub fn made(&mut self) {
        self.channels += 1;
        let id = format!("streaming-{}", self.channels);
        let body = format!(r#"{{"id":"{id}","connectUri":"wss://streaming.x/channels/{id}"}}"#);
        self.answer(reply(200, body));
    }

    pub fn subscribed(&mut self) {
        self.answer(reply(
            200,
            r#"{"entities":[{"id":"v2.a","state":"Permitted"},{"id":"v2.b"},{"id":"v2.c"}]}"#.into(),
        ));
    }

    pub fn refuse(&mut self, status: u16) {
        self.answer(reply(status, r#"{"code":"some.code"}"#.into()));
    }

    /// From the request for a channel to the first frame.
    pub fn opens(&mut self, epoch: u64) {
        self.made();
        self.subscribed();
        self.handshake(epoch);
    }

    pub fn handshake(&mut self, epoch: u64) {
        self.feed(Input::Connected { epoch });
        self.feed(Input::Opened { epoch });
        assert!(self.has(&format!(r#"send {epoch} {{"message":"ping"}}"#)), "{:?}", self.said);
        self.hears(epoch, PONG);
    }

    /// A text comes, and goes where it is judged to go; whether it is delivered.
    pub fn hears(&mut self, epoch: u64, text: &str) -> bool {
        let whose = self.session.judge(epoch, text.as_bytes());
        let now = self.now();
        self.said.clear();
        match whose {
            Whose::Application => {
                let delivered = self.session.admit(now, epoch, text.as_bytes());
                self.session.heard(now, epoch);
                delivered
            }
            Whose::Ours => {
                self.session.heard(now, epoch);
                self.feed(Input::Reply { epoch, text: text.as_bytes().to_vec() });
                false
            }
        }
    }

    /// A text comes by a socket whose messages are held back.
    pub fn holds(&mut self, epoch: u64, text: &str) {
        assert_eq!(self.session.judge(epoch, text.as_bytes()), Whose::Application);
        self.session.heard(self.now(), epoch);
    }

    pub fn releases(&mut self, epoch: u64, text: &str) -> bool {
        self.session.admit(self.now(), epoch, text.as_bytes())
    }
}
