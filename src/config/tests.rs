//! Tests of keys, values and checks.
