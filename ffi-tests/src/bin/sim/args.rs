//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use ffi_tests::sim::{
    Action, AuthReply, AuthorizeReply, ClientAuth, EventPump, Options, Plan, Pump, Rotation, SignAlg, Sim, TlsOptions,
    TokenForm, TokenPolicy, Trigger,
};

pub const HELP: &str = "\
A Genesys Cloud on this machine: token endpoint, /ws, REST API and channels on one port, with a CA of its own.

usage: sim [options] [--run -- PROGRAM ARGS...]

profile     --profile NAME         auth-message (/ws), or notifications: opaque tokens without scopes, and its lines below
server      --port N               listen on 127.0.0.1:N (any free port)
            --plain                no TLS
            --tls12                no TLS 1.3
            --chacha20             no AES (for valgrind)
            --ca-file PATH         where the CA's certificate is written (a temporary file)
tokens      --lifetime SECONDS     how long access tokens are good (3600)
            --rotate               each refresh token is good once
            --grace SECONDS        each refresh token stays good so long after its use, or until the new one is used;
                                   a use after that revokes all of its login
            --consent              users consent at once on the sign-in page (/oauth/authorize)
            --public-client        no secret: PKCE, and no refresh tokens
            --opaque               access tokens are no JWTs
            --sign ALG             access tokens are JWTs signed with a published key (/.well-known/jwks.json): RS256,
                                   RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA
            --audience TEXT        aud of those (genesys-cloud)
            --keys-max-age SECONDS  how long the published keys may be kept
            --scope \"A B\"          granted scopes
            --client-id ID         --client-secret SECRET         --refresh-token TOKEN
socket      --message-every-ms N   numbered messages on every authenticated connection
            --message-size BYTES   pad them
            --binary-every N       every N-th is binary
            --echo                 send back what clients send
            --refuse-reauth        a second auth message on a socket is refused
            --ignore-reauth        a second auth message on a socket is never answered
            --drop-after SECONDS   drop the first connection once, so long after its upgrade
            --drop-after-renewals N  drop the first connection once, half a second after its N-th renewal
channels    --heartbeat SECONDS    time between two heartbeats of a socket (30)
            --event-every-ms N     events of every subscribed topic in turn
            --event-size BYTES     pad them
            --event-limit N        end after so many
            --channel-lifetime SECONDS  how long a channel lives after it was subscribed (86400)
            --rate-limit N         REST requests a minute and token, beyond that 429
            --closing-after SECONDS  the first socket gets v2.system.socket_closing so long after its upgrade, and ten
                                   seconds later a close
            --stall-after SECONDS  the first socket gets nothing any more but pongs
            --reject START         topics that begin so are rejected
run         --ready-file PATH      export lines for a shell, written when all is ready
            --run-seconds N        end after so long
            --json-summary PATH    what happened, as JSON
            --run -- PROGRAM ...   run a program with the exports in its environment, then end as it did
";

/// What the command line asked for.
pub struct Args {
    pub options: Options,
    pub notifications: bool,
    pub rejected: Vec<String>,
    pub consent: bool,
    pub reauth: Option<AuthReply>,
    pub plan: Plan,
    pub ca_file: Option<PathBuf>,
    pub ready_file: Option<PathBuf>,
    pub json_summary: Option<PathBuf>,
    pub run_time: Option<Duration>,
    pub program: Option<Vec<String>>,
    pub help: bool,
}

impl Args {
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Args {
            options: Options::default(),
            notifications: false,
            rejected: Vec::new(),
            consent: false,
            reauth: None,
            plan: Plan::new(),
            ca_file: None,
            ready_file: None,
            json_summary: None,
            run_time: None,
            program: None,
            help: false,
        };
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            if word == "--run" {
                args.program = Some(program(words)?);
                break;
            }
            if !args.take_switch(&word) {
                let value = words.next().ok_or(format!("{word} needs a value, or is not known"))?;
                args.take_value(&word, value)?;
            }
        }
        Ok(args)
    }

    /// Starts the simulator as asked.
    pub fn start(&self) -> std::io::Result<Sim> {
        let sim = Sim::try_start(self.options.clone())?;
        if let Some(reply) = &self.reauth {
            sim.ws().always_reauth(reply.clone());
        }
        sim.ws().plan(0, self.plan.clone());
        if self.consent {
            sim.token().always_authorize(AuthorizeReply::Consent);
        }
        for start in &self.rejected {
            sim.channels().reject(start, "Not permitted by --reject", &["notifications:topic:view"]);
        }
        Ok(sim)
    }

    fn take_switch(&mut self, word: &str) -> bool {
        match word {
            "--plain" => self.options.tls = None,
            "--tls12" => self.tls(|tls| tls.tls12_only = true),
            "--chacha20" => self.tls(|tls| tls.chacha20_only = true),
            "--rotate" => {
                self.options.token.rotation = Rotation::RevokeOld { grace: Duration::ZERO };
            }
            "--consent" => self.consent = true,
            "--public-client" => self.options.token.client_auth = ClientAuth::Public,
            "--opaque" => self.options.token.form = TokenForm::Opaque,
            "--echo" => self.options.ws.echo = true,
            "--refuse-reauth" => {
                let words = "re-authentication is not supported";
                self.reauth = Some(AuthReply::Refuse(Some(words.to_owned())));
            }
            "--ignore-reauth" => self.reauth = Some(AuthReply::Never),
            "--help" | "-h" => self.help = true,
            _ => return false,
        }
        true
    }

    fn take_value(&mut self, word: &str, value: String) -> Result<(), String> {
        if word.starts_with("--event-") {
            return self.take_event_value(word, &value);
        }
        if self.take_channel_value(word, &value)? {
            return Ok(());
        }
        let token = &mut self.options.token;
        match word {
            "--port" => self.options.port = number(word, &value)?,
            "--ca-file" => self.ca_file = Some(value.into()),
            "--lifetime" => token.lifetime = seconds(word, &value)?,
            "--grace" => token.rotation = Rotation::Family { grace: seconds(word, &value)? },
            "--sign" => {
                let algorithm = SignAlg::parse(&value).ok_or(format!("{word} {value}: not an algorithm"))?;
                token.form = TokenForm::Signed(algorithm);
            }
            "--audience" => token.audience = value,
            "--keys-max-age" => token.keys_cache_control = Some(format!("max-age={}", number::<u64>(word, &value)?)),
            "--scope" => (token.scope, token.answer_scope) = (value, true),
            "--client-id" => token.client_id = value,
            "--client-secret" => token.client_secret = value,
            "--refresh-token" => token.refresh_token = value,
            "--message-every-ms" => {
                self.pump().every = Duration::from_millis(number(word, &value)?);
            }
            "--message-size" => self.pump().size = number(word, &value)?,
            "--binary-every" => self.pump().binary_every = number(word, &value)?,
            "--drop-after" => {
                self.plan(after(word, &value)?, vec![Action::Drop]);
            }
            "--drop-after-renewals" => {
                let oks = number::<u64>(word, &value)?.saturating_add(1);
                self.plan(Trigger::Auths(oks), vec![Action::Pause { ms: 500 }, Action::Drop]);
            }
            "--closing-after" => {
                let actions = [Action::closing_notice(), Action::Pause { ms: 10_000 }, Action::close(1001, "closing")];
                self.plan(after(word, &value)?, actions.into());
            }
            "--stall-after" => self.plan(after(word, &value)?, vec![Action::Stall]),
            "--ready-file" => self.ready_file = Some(value.into()),
            "--run-seconds" => self.run_time = Some(seconds(word, &value)?),
            "--json-summary" => self.json_summary = Some(value.into()),
            _ => return Err(format!("{word} is not known")),
        }
        Ok(())
    }

    /// Whether the word is one of those about channels, other than their events.
    fn take_channel_value(&mut self, word: &str, value: &str) -> Result<bool, String> {
        let notify = &mut self.options.notify;
        match word {
            "--profile" => self.set_profile(value)?,
            "--heartbeat" => notify.heartbeat = seconds(word, value)?,
            "--channel-lifetime" => notify.channel_lifetime = seconds(word, value)?,
            "--rate-limit" => notify.rate_limit = Some(number(word, value)?),
            "--reject" => self.rejected.push(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_event_value(&mut self, word: &str, value: &str) -> Result<(), String> {
        let second = EventPump::every(Duration::from_secs(1));
        let events = || self.options.notify.events.get_or_insert(second);
        match word {
            "--event-every-ms" => events().every = Duration::from_millis(number(word, value)?),
            "--event-size" => events().size = number(word, value)?,
            "--event-limit" => events().limit = number(word, value)?,
            _ => return Err(format!("{word} is not known")),
        }
        Ok(())
    }

    /// Options after this one still change what the profile sets.
    fn set_profile(&mut self, name: &str) -> Result<(), String> {
        self.notifications = match name {
            "auth-message" => false,
            "notifications" => true,
            _ => return Err(format!("--profile {name}: auth-message or notifications")),
        };
        if self.notifications {
            let genesys = TokenPolicy::genesys();
            let token = &mut self.options.token;
            (token.form, token.lifetime, token.answer_scope) = (genesys.form, genesys.lifetime, genesys.answer_scope);
        }
        Ok(())
    }

    fn tls(&mut self, change: impl FnOnce(&mut TlsOptions)) {
        if let Some(tls) = &mut self.options.tls {
            change(tls);
        }
    }

    fn pump(&mut self) -> &mut Pump {
        let second = Pump::every(Duration::from_secs(1));
        self.options.ws.pump.get_or_insert(second)
    }

    fn plan(&mut self, trigger: Trigger, actions: Vec<Action>) {
        self.plan = std::mem::take(&mut self.plan).on(trigger, actions);
    }
}

fn after(word: &str, value: &str) -> Result<Trigger, String> {
    Ok(Trigger::AfterMs(seconds(word, value)?.as_millis() as u64))
}

fn program(mut words: impl Iterator<Item = String>) -> Result<Vec<String>, String> {
    if words.next().as_deref() != Some("--") {
        return Err("--run comes last, followed by -- PROGRAM ARGS".to_owned());
    }
    let program: Vec<String> = words.collect();
    if program.is_empty() {
        Err("--run -- needs a program".to_owned())
    } else {
        Ok(program)
    }
}

fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{word} {value}: not a number it can be"))
}

fn seconds(word: &str, value: &str) -> Result<Duration, String> {
    let bad = |_| format!("{word} {value}: not a time it can be");
    let secs: f64 = number(word, value)?;
    Duration::try_from_secs_f64(secs).map_err(bad)
}
