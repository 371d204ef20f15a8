//! The Notifications API of Genesys Cloud as plain data: its requests and answers, its frames, and the rules about topics,
//! the channel's URI and events that come twice. Who makes a channel when, is in [`super::session`].

mod date;
pub mod frames;
mod last;
mod pairs;
pub mod rest;
pub mod topics;
pub mod uri;

pub use self::last::Last;
pub use self::pairs::Pairs;
