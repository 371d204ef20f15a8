//! genesys-ws-auth
