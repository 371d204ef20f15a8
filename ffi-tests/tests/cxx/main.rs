//! The C++ wrapper `include/genesys_ws_auth.hpp`: clean in every standard, with both compilers, in every exception mode;
//! reaches every function of the header; and does what it promises, in programs against a simulator (`ffi-tests/cpp`).

mod behaviour;
mod matrix;
