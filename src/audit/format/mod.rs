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
#[cfg(test)]
mod read;
#[cfg(test)]
mod specimens;
mod syslog;
#[cfg(test)]
mod tests;

use super::json::{Body, Context, Entry, Sink};
use super::seal::Seal;
use super::Record;
use crate::metrics::Totals;
use facts::Facts;

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

/// A record as `on_siem` would be given it, of a client with these texts: for tests and fuzzing of what reads and writes
/// them. `None` is a loss marker.
#[doc(hidden)]
pub fn specimen(format: Format, record: Option<Record>, region: &str, client_id: &str, is_sealed: bool) -> String {
    let context = Context {
        region: region.to_owned(),
        client_id: client_id.to_owned(),
        source: "genesys_websocket_authenticator".to_owned(),
        boot_id: "5f0c3f9e-6a55-4c0b-9d5e-1f5a0f6f8a01".to_owned(),
    };
    let totals = record.as_ref().map_or(Totals::default(), |record| Totals::default().after(record));
    let body = record.map_or(Body::Loss { first: 3 }, Body::Record);
    let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479".to_owned();
    let entry = Entry { seq: 7, id, wall_ms: 1_715_769_005_123, totals, body };
    let formats = Formats { siem: format, ..Formats::default() };
    let seal = is_sealed.then_some(Seal { epoch: 12 });
    let mut out = String::new();
    formats.render_with_nul(&entry, &context, Sink::Siem { prev_seq: 5 }, seal.as_ref(), &mut out);
    out.pop();
    out
}
