//! Development harness of genesys-ws-auth: the simulator and the tools around it.

pub mod cprog;
pub mod cxx;
pub mod example;
pub mod matrix;
pub mod names;
pub mod netlink;
pub mod netns;
pub mod proxy;
pub mod relay;
pub mod secrets;
pub mod shim;
pub mod sim;
pub mod tags;
