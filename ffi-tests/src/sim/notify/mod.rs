//! The `notifications` profile of the platform: REST API, channels, their sockets and their events.

mod api;
mod channels;
mod clock;
mod handles;
mod policy;
mod record;
mod script;
mod stream;
mod topics;

pub(super) use api::serve as serve_api;
pub(super) use channels::{Books, NoSocket};
pub use handles::{ApiScript, ChannelScript};
pub use policy::{EventPump, Farewell, NotifyPolicy};
pub use record::{ChannelEnd, ChannelSeen, Emitted, SystemSent};
pub use script::{ApiReply, Route};
pub(super) use stream::{metadata, Streaming};
