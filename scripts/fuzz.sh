#!/usr/bin/env bash
# Fuzzes the wire, transactions, the journal reader and whole sessions. fuzz/README.md says what is checked.
#
#   scripts/fuzz.sh [SECONDS [TARGET …]]
#
# SECONDS for each target, 600 unless told. With FUZZ_KEEP=yes what was reached is minimised and put into the corpus.

set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(wire transaction journal session)

command -v cargo-fuzz >/dev/null || {
    echo "cargo-fuzz is not here: cargo install cargo-fuzz --version '^0.13'" >&2
    exit 1
}
command -v c++ >/dev/null || {
    echo "c++ is not here: libFuzzer is compiled with it (Debian: apt-get install g++)" >&2
    exit 1
}
# Coverage needs flags that a stable compiler takes only like this.
export RUSTC_BOOTSTRAP=1

for target in "${targets[@]}"; do
    printf '\n== %s, %s seconds\n' "$target" "$seconds"
    mkdir -p "fuzz/found/$target"
    cargo fuzz run -s none -O "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=1024 -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 \
        -print_final_stats=1 -verbosity=1 2>&1 | grep -Ev '^#[0-9]+\s+(NEW|REDUCE)'
    if [ "${FUZZ_KEEP:-}" ]; then
        # Only what reaches code that the corpus does not reach.
        cargo fuzz run -s none -O "$target" "fuzz/corpus/$target" "fuzz/found/$target" -- \
            -set_cover_merge=1 -use_counters=0 -max_len=1024
    fi
done
