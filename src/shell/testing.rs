//! Help for the tests of this directory: certificates, servers on loopback, a client side that waits.
