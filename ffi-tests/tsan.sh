#!/usr/bin/env bash
# The library under ThreadSanitizer: tsan.sh DIRECTORY
#
# Without an instrumented std ThreadSanitizer reports races that are none, and the Rust of this project brings no sources
# of std. Debian has a compiler with them, and a clang with the same LLVM to compile and link C with: both are unpacked
# into DIRECTORY/root, not installed. The library and std are then built into DIRECTORY/build, and so is planted.rs: races
# planted in Rust, for the proof that they would be found.
set -euo pipefail
mkdir -p "$1"
directory=$(cd "$1" && pwd)
cd "$(dirname "$0")"
root=$directory/root
packages="rustc-web libstd-rust-web-dev libstd-rust-web-1.96 rust-web-src clang-22 libclang-cpp22 libclang-common-22-dev
  libclang-rt-22-dev libllvm22 libz3-4 libedit2 libbsd0 libmd0 libxml2 libicu72"

exec 9>"$directory/lock"
flock 9

if [ ! -e "$root/unpacked" ]; then
  rm -rf "$root" "$directory/packages"
  mkdir -p "$root" "$directory/packages"
  (
    cd "$directory/packages"
    get() { apt-get download -qq -o APT::Sandbox::User=root $packages; }
    get || { apt-get update -qq && get; }
  )
  for package in "$directory"/packages/*.deb; do dpkg -x "$package" "$root"; done
  rm -rf "$directory/packages"
  touch "$root/unpacked"
fi

export LD_LIBRARY_PATH=$root/usr/lib/$(uname -m)-linux-gnu:$root/usr/lib/llvm-22/lib
export RUSTC=$root/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=thread CARGO_INCREMENTAL=0
export CARGO_TARGET_DIR=$directory/build
"$RUSTC" --version
"$root/usr/bin/clang-22" --version | head -n 1
triple=$(uname -m)-unknown-linux-gnu
made=$(cargo rustc -q -Zbuild-std --manifest-path ../Cargo.toml -p genesys-ws-auth --lib --crate-type staticlib \
  --target "$triple" --message-format json-render-diagnostics | grep -o '"/[^"]*\.rlib"' | tr -d '"')

# A sysroot of what Cargo has just made of std, for the one file.
sysroot=$directory/sysroot
libraries=$sysroot/lib/rustlib/$triple/lib
rm -rf "$sysroot"
mkdir -p "$libraries"
for library in $made; do ln -s "$library" "$libraries"; done
"$RUSTC" --sysroot "$sysroot" --edition 2021 --target "$triple" -Zsanitizer=thread -Cdebuginfo=1 \
  --crate-type staticlib --crate-name planted -o "$directory/libplanted.a" tsan/planted.rs
