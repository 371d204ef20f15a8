//! Development harness of genesys-ws-auth: the simulator and the tools around it.

pub mod cprog;
pub mod proxy;
pub mod shim;
pub mod sim;
