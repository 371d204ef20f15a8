#!/usr/bin/env bash
# Runs every fuzz target for a while, two at a time: run.sh [SECONDS [TARGET…]]. Needs clang or g++ and the stable
# toolchain, no cargo-fuzz. Inputs that break a law are left in target/fuzz/artifacts, new ones that do not in
# target/fuzz/found; the committed corpus is only read.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-15}
[ $# -eq 0 ] || shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=($(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' ffi-tests/fuzz/Cargo.toml))

host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz sets: libFuzzer's coverage, AddressSanitizer, and the cfg that the library shows its targets under.
# Sanitizers are unstable, which RUSTC_BOOTSTRAP lets the stable compiler do.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
-Cllvm-args=-simplifycfg-branch-fold-threshold=0"
cargo build --release --quiet --locked --manifest-path ffi-tests/fuzz/Cargo.toml --target "$host" --target-dir target/fuzz

mkdir -p target/fuzz/artifacts
fuzz() { # fuzz TARGET
  local found=target/fuzz/found/$1 log=target/fuzz/$1.log
  mkdir -p "$found"
  if "target/fuzz/$host/release/$1" "$found" "ffi-tests/fuzz/corpus/$1" -max_total_time="$seconds" -max_len=8192 \
    -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="target/fuzz/artifacts/$1-" >"$log" 2>&1; then
    printf '%-16s %s runs, %s\n' "$1" "$(sed -n 's/^stat::number_of_executed_units: //p' "$log")" \
      "$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$log" | tail -n 1)"
  else
    printf '%-16s FAILED, see %s\n' "$1" "$log"
    tail -n 40 "$log"
    return 1
  fi
}
export -f fuzz
export host seconds
printf '%s\n' "${targets[@]}" | xargs -P 2 -I {} bash -c 'fuzz {}'
