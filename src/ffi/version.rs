//! Versions of library and header.

use std::ffi::c_char;

use crate::error::{Code, Error, Stage};

use super::boundary;
use super::status::gwa_status_t;

/// Major version of this header. Until it is 1, a new minor version may change the ABI.
pub const GWA_VERSION_MAJOR: u32 = 0;
/// Minor version of this header.
pub const GWA_VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const GWA_VERSION_PATCH: u32 = 0;
/// The three in one number that grows with every version; usable in #if.
pub const GWA_VERSION_NUMBER: u32 = GWA_VERSION_MAJOR * 1000000 + GWA_VERSION_MINOR * 1000 + GWA_VERSION_PATCH;

/// GWA_VERSION_NUMBER of the library in use, which may be newer than the header.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_version_number() -> u32 {
    GWA_VERSION_NUMBER
}

/// Version of the library in use, e.g. "0.1.0".
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
/// Ownership: the text lives as long as the library. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Whether a program compiled with the header of version `header_version` can use this library: the same
/// major version (below 1.0 also the same minor version) and not a newer one. Within these bounds a newer library only
/// adds: functions, constants, keys, and fields at the end of structs that begin with struct_size. Call it first, as
/// GWA_CHECK_ABI(), if library and program are installed apart.
///
/// Returns GWA_OK or GWA_E_ABI_MISMATCH.
///
/// Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
/// Ownership: none. Since: 0.1.0.
#[no_mangle]
pub extern "C" fn gwa_check_abi(header_version: u32) -> gwa_status_t {
    boundary::status(|| {
        if fits(header_version, GWA_VERSION_NUMBER) {
            return Ok(());
        }
        Err(Error::new(Code::AbiMismatch, Stage::Call, ""))
    })
}

fn fits(header: u32, library: u32) -> bool {
    let (major, minor) = (library / 1_000_000, library / 1_000 % 1_000);
    let (header_major, header_minor) = (header / 1_000_000, header / 1_000 % 1_000);
    // Below 1.0 a patch may add something, which an older library does not have.
    header_major == major && if major == 0 { header_minor == minor && header <= library } else { header_minor <= minor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_version_of_the_crate() {
        let version = format!("{GWA_VERSION_MAJOR}.{GWA_VERSION_MINOR}.{GWA_VERSION_PATCH}");
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        assert_eq!(GWA_VERSION_NUMBER, 1_000);
    }

    #[test]
    fn versions_that_fit() {
        assert!(fits(1_000, 1_000) && fits(1_001, 1_002), "a patch only adds");
        assert!(!fits(1_002, 1_001), "what it adds is not in an older library");
        assert!(!fits(2_000, 1_000) && !fits(1_000, 2_000), "below 1.0 a minor version may");
        assert!(fits(1_001_000, 1_002_000) && !fits(1_003_000, 1_002_000) && !fits(2_000_000, 1_000_000));
        assert_eq!(gwa_check_abi(GWA_VERSION_NUMBER), 0);
        assert_eq!(gwa_check_abi(0), Code::AbiMismatch.number());
    }
}
