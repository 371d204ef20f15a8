#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| genesys_ws_auth::fuzz::run("audit_formats", data));
