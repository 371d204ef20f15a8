//! The handles a test scripts the simulator with.

use super::hub::Hub;
use super::policy::{Issue, TokenPolicy, WsPolicy};
use super::script::{Action, AuthReply, AuthorizeReply, Plan, TcpReply, TokenReply, UpgradeReply};
use super::token::{Code, Issued};
use super::writer::Order;

/// Scripts what happens to TCP connections before anything is read from them.
#[derive(Clone, Copy)]
pub struct TcpScript<'a> {
    pub(super) hub: &'a Hub,
}

impl TcpScript<'_> {
    /// For the next connection not scripted yet.
    pub fn then(self, reply: TcpReply) -> Self {
        self.hub.script().tcp.next.push_back(reply);
        self
    }

    /// For all that are not scripted.
    pub fn always(self, reply: TcpReply) -> Self {
        self.hub.script().tcp.always = reply;
        self
    }
}

/// Scripts the token endpoint, and reads and changes its books.
#[derive(Clone, Copy)]
pub struct TokenScript<'a> {
    pub(super) hub: &'a Hub,
}

impl TokenScript<'_> {
    /// For the next request not scripted yet.
    pub fn then(self, reply: TokenReply) -> Self {
        self.hub.script().token.next.push_back(reply);
        self
    }

    /// For the next `n` requests not scripted yet.
    pub fn times(self, n: usize, reply: &TokenReply) -> Self {
        let replies = std::iter::repeat_n(reply.clone(), n);
        self.hub.script().token.next.extend(replies);
        self
    }

    /// For all that are not scripted.
    pub fn always(self, reply: TokenReply) -> Self {
        self.hub.script().token.always = reply;
        self
    }

    /// Forgets the script: honest answers from now on.
    pub fn honest(self) -> Self {
        let mut script = self.hub.script();
        script.token.next.clear();
        script.token.always = TokenReply::Issue(Issue::new());
        drop(script);
        self
    }

    /// Changes the policy; tokens already issued stay as they are.
    pub fn policy(self, change: impl FnOnce(&mut TokenPolicy)) -> Self {
        change(&mut self.hub.ledger().policy);
        self
    }

    /// Every token issued so far.
    pub fn issued(self) -> Vec<Issued> {
        self.hub.ledger().issued.clone()
    }

    /// A good token without a request: for clients that bring their own.
    pub fn mint(self, issue: &Issue) -> Issued {
        self.hub.ledger().mint(issue)
    }

    /// Registers an authorization code; it is good once.
    pub fn register_code(self, code: &str, terms: Code) -> Self {
        self.hub.ledger().codes.insert(code.to_owned(), terms);
        self
    }

    /// A SAML assertion that is good for this organisation, any number of times.
    pub fn register_assertion(self, organization: &str, assertion: &str) -> Self {
        let known = (organization.to_owned(), assertion.to_owned());
        self.hub.ledger().assertions.insert(known);
        self
    }

    /// What the user does the next time somebody is on the sign-in page.
    pub fn on_authorize(self, reply: AuthorizeReply) -> Self {
        self.hub.script().authorize.next.push_back(reply);
        self
    }

    /// What users do when nothing else is scripted.
    pub fn always_authorize(self, reply: AuthorizeReply) -> Self {
        self.hub.script().authorize.always = reply;
        self
    }

    /// How often a spent refresh token ended its family: see [`super::Rotation::Family`].
    pub fn families_revoked(self) -> u64 {
        self.hub.ledger().refresh.revoked
    }

    /// A further refresh token that is good.
    pub fn add_refresh(self, token: &str) -> Self {
        self.hub.ledger().refresh.add(token);
        self
    }

    /// A refresh token that is good no longer.
    pub fn revoke_refresh(self, token: &str) -> Self {
        self.hub.ledger().refresh.forget(token);
        self
    }

    /// No access token issued so far is good any longer. Live sockets of `/ws` stay; channels end with their tokens, and
    /// what their sockets get then is [`super::NotifyPolicy::close_after_expiry`].
    pub fn revoke_access(self) -> Self {
        self.hub.ledger().forget_access();
        self
    }
}

/// Scripts `/ws`, and orders live connections about.
///
/// Orders are done by each connection's own thread a moment later: wait on the record, or on the client.
#[derive(Clone, Copy)]
pub struct WsScript<'a> {
    pub(super) hub: &'a Hub,
}

impl WsScript<'_> {
    /// For the next upgrade not scripted yet.
    pub fn on_upgrade(self, reply: UpgradeReply) -> Self {
        self.hub.script().upgrade.next.push_back(reply);
        self
    }

    /// For all upgrades that are not scripted.
    pub fn always_upgrade(self, reply: UpgradeReply) -> Self {
        self.hub.script().upgrade.always = reply;
        self
    }

    /// For the next `auth` frame, first or again, that neither [`WsScript::on_first_auth`] nor
    /// [`WsScript::on_reauth`] has a reply for.
    pub fn on_auth(self, reply: AuthReply) -> Self {
        self.hub.script().any_auth.push_back(reply);
        self
    }

    /// For the next `auth` frame on a socket that is not authenticated.
    pub fn on_first_auth(self, reply: AuthReply) -> Self {
        self.hub.script().first_auth.next.push_back(reply);
        self
    }

    /// For the next `auth` frame on a socket that is authenticated.
    pub fn on_reauth(self, reply: AuthReply) -> Self {
        self.hub.script().reauth.next.push_back(reply);
        self
    }

    /// For all first `auth` frames that are not scripted.
    pub fn always_first_auth(self, reply: AuthReply) -> Self {
        self.hub.script().first_auth.always = reply;
        self
    }

    /// For all further `auth` frames that are not scripted: `Refuse` or `Never` make a server that cannot
    /// re-authenticate in band.
    pub fn always_reauth(self, reply: AuthReply) -> Self {
        self.hub.script().reauth.always = reply;
        self
    }

    /// Refuses the next `auth` frame with a message.
    pub fn refuse_auth(self, message: &str) -> Self {
        self.on_auth(AuthReply::Refuse(Some(message.to_owned())))
    }

    /// Does not answer the next `auth` frame.
    pub fn never_acknowledge(self) -> Self {
        self.on_auth(AuthReply::Never)
    }

    /// What the connection of that index, from 0, does by itself. Several plans for one index add up.
    pub fn plan(self, connection: usize, plan: Plan) -> Self {
        self.hub.script().plans.push((connection, plan));
        self
    }

    /// What the next connection does by itself.
    pub fn plan_next(self, plan: Plan) -> Self {
        let next = self.hub.record.ws_connects();
        self.plan(next, plan)
    }

    /// What every connection from now on does by itself, besides its own plan.
    pub fn plan_every(self, plan: Plan) -> Self {
        self.hub.script().every = plan;
        self
    }

    /// Changes the policy. The pump starts with a connection's first authentication; what else a connection read
    /// at its start stays.
    pub fn policy(self, change: impl FnOnce(&mut WsPolicy)) -> Self {
        change(&mut self.hub.ws());
        self
    }

    /// Indices of the live connections.
    pub fn live(self) -> Vec<usize> {
        self.hub.live()
    }

    /// A text message to every authenticated connection.
    pub fn push_text(self, text: &str) -> Self {
        self.push(None, Action::Text(text.to_owned()))
    }

    /// A binary message to every authenticated connection.
    pub fn push_binary(self, data: &[u8]) -> Self {
        self.push(None, Action::Binary(data.to_vec()))
    }

    /// Any action on one connection, or on all, if authenticated.
    pub fn push(self, connection: Option<usize>, action: Action) -> Self {
        self.hub.order(connection, &Order::Push(action));
        self
    }

    /// Actions in order on one connection, or on all, authenticated or not.
    pub fn act(self, connection: Option<usize>, actions: impl IntoIterator<Item = Action>) -> Self {
        self.hub.order(connection, &Order::Act(actions.into_iter().collect()));
        self
    }

    /// Ends every connection's TCP without a close frame, at once.
    pub fn drop_all(self) -> Self {
        self.hub.drop_sockets();
        self
    }

    /// Resets every connection's TCP.
    pub fn reset_all(self) -> Self {
        self.act(None, [Action::Reset])
    }

    /// Sends a close frame on every connection.
    pub fn close_all(self, code: u16, reason: &str) -> Self {
        self.act(None, [Action::close(code, reason)])
    }

    /// Every connection stops sending and answering.
    pub fn go_silent(self) -> Self {
        self.act(None, [Action::GoSilent])
    }
}
