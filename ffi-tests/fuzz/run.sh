#!/usr/bin/env bash
# Runs every fuzz target for a while, two at a time: run.sh [SECONDS [TARGET…]]. Needs clang or g++ and the stable
# toolchain, no cargo-fuzz. Inputs that break a law are left in target/fuzz/artifacts, new ones that do not in
# target/fuzz/found; the committed corpus is only read. GWA_FUZZ_SEED: the same inputs every time; else new ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-15}
[ $# -eq 0 ] || shift
manifest=ffi-tests/fuzz/Cargo.toml
# A row of targets that is shorter than it should be would pass for less work: every [[bin]] has a name, and a corpus.
programs=($(sed -n '/^\[\[bin\]\]/,/^name/ s/^name = "\(.*\)"$/\1/p' "$manifest"))
listed=$(grep -c '^\[\[bin\]\]' "$manifest" || true)
if [ "$listed" -eq 0 ] || [ ${#programs[@]} -ne "$listed" ]; then
  echo "$manifest has $listed programs, and names of ${#programs[@]} were found" >&2
  exit 1
fi
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${programs[@]}")
for target in "${targets[@]}"; do
  if [[ " ${programs[*]} " != *" $target "* ]] || [ ! -d "ffi-tests/fuzz/corpus/$target" ]; then
    echo "no target $target: it needs a [[bin]] in $manifest and a corpus" >&2
    exit 1
  fi
done

host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz sets: libFuzzer's coverage, AddressSanitizer, and the cfg that the library shows its targets under.
# Sanitizers are unstable, which RUSTC_BOOTSTRAP lets the stable compiler do.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
-Cllvm-args=-simplifycfg-branch-fold-threshold=0"
cargo build --release --quiet --locked --manifest-path "$manifest" --target "$host" --target-dir target/fuzz

rm -rf target/fuzz/done
mkdir -p target/fuzz/artifacts target/fuzz/done
fuzz() { # fuzz TARGET
  local found=target/fuzz/found/$1 corpus=ffi-tests/fuzz/corpus/$1 log=target/fuzz/$1.log files runs
  mkdir -p "$found"
  files=$(find "$found" "$corpus" -type f | wc -l)
  if ! "target/fuzz/$host/release/$1" "$found" "$corpus" -max_total_time="$seconds" -max_len=8192 \
    -seed="${GWA_FUZZ_SEED:-0}" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="target/fuzz/artifacts/$1-" >"$log" 2>&1; then
    printf '%-16s FAILED, see %s\n' "$1" "$log"
    tail -n 40 "$log"
    return 1
  fi
  runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  # The files and the empty input are run whatever the time: that alone is no fuzzing.
  if [ "${runs:-0}" -le $((files + 20)) ]; then
    printf '%-16s FAILED: %s runs in %s s, with %s files to begin from; see %s\n' \
      "$1" "${runs:-no}" "$seconds" "$files" "$log"
    return 1
  fi
  printf '%-16s %s runs, %s\n' "$1" "$runs" "$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$log" | tail -n 1)"
  touch "target/fuzz/done/$1"
}
export -f fuzz
export host seconds
status=0
printf '%s\n' "${targets[@]}" | xargs -P 2 -I {} bash -c 'fuzz {}' || status=1
kept=$(find target/fuzz/done -type f | wc -l)
echo "$kept of ${#targets[@]} targets ran and kept their laws"
[ "$kept" -eq ${#targets[@]} ] || status=1
exit $status
