//! Network and mount namespaces for tests: a loopback of their own, a resolver of their own, tun devices. Needs root.
//!
//! Namespaces belong to threads: what a thread starts after [`isolate`] lives in its namespaces, what ran before
//! stays where it was.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

/// `_IOW('T', 202, int)` of linux/if_tun.h.
const TUNSETIFF: libc::c_ulong = 0x4004_54CA;

/// Why namespaces cannot be had here, if they cannot. Tries it, on a thread that ends.
pub fn missing() -> Option<String> {
    let tried = std::thread::spawn(|| {
        isolate()?;
        open_tun("probe").map(drop)
    });
    match tried.join() {
        Ok(outcome) => outcome.err().map(|error| format!("no namespaces here: {error}")),
        Err(_) => Some("no namespaces here".to_owned()),
    }
}

/// Moves this thread into namespaces of its own; loopback is up in them.
pub fn isolate() -> io::Result<()> {
    // SAFETY: takes flags, and changes what belongs to this thread alone.
    check("unshare", unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) })?;
    mount(None, Path::new("/"), libc::MS_REC | libc::MS_PRIVATE)?;
    ip("link set lo up")
}

/// Programs in this mount namespace ask this DNS server and no other, each time for so many seconds, twice.
pub fn resolve_at(server: &str, seconds: u32, scratch: &Path) -> io::Result<()> {
    let conf = format!("nameserver {server}\noptions timeout:{seconds} attempts:2\n");
    for (name, text) in [("resolv.conf", conf.as_str()), ("nsswitch.conf", "hosts: files dns\n")] {
        let own = scratch.join(format!("{}-{name}", std::process::id()));
        fs::write(&own, text)?;
        let system = fs::canonicalize(Path::new("/etc").join(name))?;
        mount(Some(&own), &system, libc::MS_BIND)?;
        // The mount keeps the file.
        fs::remove_file(&own)?;
    }
    Ok(())
}

/// A point-to-point device in this network namespace, up. Packets are read from and written to the file, which does
/// not block.
pub fn tun(name: &str, own: &str, peer: &str) -> io::Result<File> {
    let file = open_tun(name)?;
    ip(&format!("addr add {own} peer {peer} dev {name}"))?;
    ip(&format!("link set {name} up mtu 1400"))?;
    Ok(file)
}

fn open_tun(name: &str) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // struct ifreq: the name, then flags, then room.
    let mut request = [0_u8; 40];
    assert!(name.len() < libc::IFNAMSIZ, "a device's name is short");
    request[..name.len()].copy_from_slice(name.as_bytes());
    let flags = libc::IFF_TUN as u16 | libc::IFF_NO_PI as u16;
    request[libc::IFNAMSIZ..libc::IFNAMSIZ + 2].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: the descriptor is open, and the request is as large as struct ifreq.
    check("TUNSETIFF", unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF as _, request.as_mut_ptr()) })?;
    Ok(file)
}

fn ip(words: &str) -> io::Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn mount(source: Option<&Path>, target: &Path, flags: libc::c_ulong) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes()).map_err(io::Error::other);
    let source = source.map(text).transpose()?;
    let target = text(target)?;
    let from = source.as_ref().map_or(std::ptr::null(), |source| source.as_ptr());
    // SAFETY: both texts end with NUL and live through the call; neither type nor data is needed with these flags.
    check("mount", unsafe { libc::mount(from, target.as_ptr(), std::ptr::null(), flags, std::ptr::null()) })
}

fn check(what: &str, status: libc::c_int) -> io::Result<()> {
    let error = io::Error::last_os_error();
    if status < 0 {
        return Err(io::Error::new(error.kind(), format!("{what}: {error}")));
    }
    Ok(())
}
