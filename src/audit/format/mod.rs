//! The formats of a record. `native` is the tutorial's JSON (`json.rs`); all others are written here, from the same
//! [`Facts`], so that no fact is in one and not in the next.
//!
//! Whatever a peer sent, a text is one line of UTF-8 without a NUL and bounded in size: what would break it is escaped,
//! or replaced where the format has no escape for it, and what is too long is cut and says so ([`facts::MAX_TEXT`]).

mod cef;
mod ecs;
mod facts;
mod level;
mod ocsf;
#[cfg(any(test, fuzzing))]
pub(crate) mod read;
#[cfg(test)]
mod specimens;
mod syslog;
#[cfg(test)]
mod tests;

use super::checkpoint::{Checkpoint, Reason};
use super::json::{Body, Context, Entry, Sink};
use super::seal::Seal;
use super::{Kind, Record};
use crate::error::Error;
use crate::metrics::{Metrics, Tally, Totals};
use facts::Facts;
#[cfg(test)]
use tests::api;

pub use syslog::Syslog;

/// Who makes the records, wherever a format asks for vendor and product.
const PRODUCT: &str = "genesys-ws-auth";
/// Its version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// In which form a sink is given its records.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// The tutorial's JSON.
    #[default]
    Native,
    /// OCSF 1.8.0 (Open Cybersecurity Schema Framework), JSON.
    Ocsf,
    /// ECS 9.4.0 (Elastic Common Schema), JSON.
    Ecs,
    /// CEF:0 (ArcSight Common Event Format), for a SIEM that takes lines of text.
    Cef,
    /// A syslog message (RFC 5424).
    Rfc5424,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Native, Self::Ocsf, Self::Ecs, Self::Cef, Self::Rfc5424];

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
            Self::Cef => "cef",
            Self::Rfc5424 => "rfc5424",
        }
    }
}

/// How each sink wants its records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Formats {
    /// `audit.format`.
    pub audit: Format,
    /// `audit.siem_format`.
    pub siem: Format,
    /// What RFC 5424 wants beyond the record.
    pub syslog: Syslog,
}

impl Formats {
    /// Replaces `out` by the record's text in the format of its sink, and one NUL byte. With a seal the text has room
    /// for the chain's link, where [`super::seal::find`] finds it.
    pub(crate) fn render_with_nul(
        &self,
        entry: &Entry,
        context: &Context,
        sink: Sink,
        seal: Option<&Seal>,
        out: &mut String,
    ) {
        out.clear();
        let facts = Facts::new(entry, context, sink);
        match if sink == Sink::Audit { self.audit } else { self.siem } {
            Format::Native => return entry.render_with_nul(context, sink, seal, out),
            Format::Ocsf => ocsf::render(&facts, seal, out),
            Format::Ecs => ecs::render(&facts, seal, out),
            Format::Cef => cef::render(&facts, seal, out),
            Format::Rfc5424 => syslog::render(&facts, &self.syslog, seal, out),
        }
        out.push('\0');
    }
}

/// What a test or a fuzzer wants to see in every format.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub enum Specimen {
    /// A record of the machines.
    Record(Record),
    /// The marker of a loss.
    Loss,
    /// A checkpoint, of a chain whose state could not be kept.
    Checkpoint(Error),
}

impl Specimen {
    /// What it is about.
    pub fn about(&self) -> Kind {
        match self {
            Self::Record(record) => record.about(),
            Self::Loss => Kind::Loss,
            Self::Checkpoint(_) => Kind::Checkpoint,
        }
    }

    /// As `on_siem` would be given it, of a client with these texts; without the NUL byte.
    pub fn render(&self, format: Format, region: &str, client_id: &str, is_sealed: bool) -> String {
        let context = Context {
            region: region.to_owned(),
            client_id: client_id.to_owned(),
            source: "genesys_websocket_authenticator".to_owned(),
            boot_id: "5f0c3f9e-6a55-4c0b-9d5e-1f5a0f6f8a01".to_owned(),
        };
        let formats = Formats { siem: format, ..Formats::default() };
        let mut out = String::new();
        let seal = is_sealed.then_some(Seal { epoch: 12 });
        formats.render_with_nul(&self.entry(), &context, Sink::Siem { prev_seq: 5 }, seal.as_ref(), &mut out);
        out.pop();
        out
    }

    fn entry(&self) -> Entry {
        let (totals, body) = match self.clone() {
            Self::Record(record) => (Totals::default().after(&record), Body::Record(record)),
            Self::Loss => (Totals::default(), Body::Loss { first: 3 }),
            Self::Checkpoint(error) => {
                let (reason, chain) = (Reason::StateFailed(error), "forward-secure");
                let tally = Tally::default().after(Kind::Closed, Kind::Closed.level());
                let counted = Metrics { hook_failures: 2, token_requests: 4, connects: 5, ..Metrics::default() };
                let checkpoint = Checkpoint { reason, chain, tally, lost: 1, counted, state_failures: 3 };
                (Totals::default().after(&Record::Closed), Body::Checkpoint(Box::new(checkpoint)))
            }
        };
        let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479".to_owned();
        Entry { seq: 7, id, wall_ms: 1_715_769_005_123, totals, body }
    }
}
