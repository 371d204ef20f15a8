//! What `make install` puts into a prefix, and consumers of it that know nothing but the prefix.
//!
//! It is installed once, into an empty directory by `DESTDIR`, and then moved: all consumers use the moved prefix. What is
//! installed is built as users build it, link-time optimisation included, in the target directory that `make demo` uses
//! too (half a minute of one core, and nothing when the library has not changed).

mod abi;
mod consumers;
mod gates;
mod install;
mod neighbours;
mod plugin;
mod prefix;

/// Messages that a consumer waits for.
const MESSAGES: &str = "10";
