#!/usr/bin/env bash
# Measures this build, and beside it another one, in turn, on this machine.
#
#   scripts/speed.sh                        this build alone, five rounds
#   scripts/speed.sh --against REV          ... and beside it that of a revision, which it builds in target/speed
#   scripts/speed.sh --quick --against REV  the four rows that matter most, in about two minutes
#   scripts/speed.sh --rows clients,alone --rounds 9 --seconds 10
#
# For each row it prints both medians, the ratio of each pair, latencies, the processor time of a transaction by client,
# banks, user and kernel, syncs, and memory. Other options go to the measurement: --warmup N, --json FILE.
# docs/BENCHMARKS.md says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."

against='' arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) sed -n '2,11s/^# \{0,1\}//p' "$0" && exit 0 ;;
    --against)
        [ $# -ge 2 ] || { echo '--against needs a revision' >&2 && exit 2; }
        against=$(git rev-parse --verify --quiet "$2^{commit}") || { echo "no revision is named $2" >&2 && exit 2; }
        shift 2
        ;;
    --quick) arguments+=(--quick --rounds 2 --seconds 3 --warmup 1) && shift ;;
    *) arguments+=("$1") && shift ;;
    esac
done

cargo build --quiet --release --bins
target=${CARGO_TARGET_DIR:-target}
arguments+=(--build "this=$target/release")
if [ -n "$against" ]; then
    folder=$target/speed/$against
    if [ ! -x "$folder/release/cliente" ] || [ ! -x "$folder/release/servidor" ]; then
        source=$(mktemp -d)
        trap 'rm -rf "$source"' EXIT
        git archive "$against" | tar -x -C "$source"
        echo "building $against in $folder ..." >&2
        cargo build --quiet --release --bins --manifest-path "$source/Cargo.toml" --target-dir "$folder"
    fi
    arguments+=(--build "$(git rev-parse --short "$against")=$folder/release")
fi
cargo run --quiet --release --package consorcio-speed -- "${arguments[@]}"
