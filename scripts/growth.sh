#!/usr/bin/env bash
# Measures how throughput, latency and cost change with accounts, banks, segments, clients, time, load and slow syncs.
#
#   scripts/growth.sh                          all curves, in about nine minutes, into docs
#   scripts/growth.sh --quick                  few points each, in three minutes, into target/growth
#   scripts/growth.sh --rows accounts,banks    these alone; the others in docs stay as they are
#   scripts/growth.sh --rounds 3 --minutes 10  medians of three; ten minutes at full load
#   scripts/growth.sh --all                    10⁷ accounts, too: minutes and gigabytes
#   scripts/growth.sh --redraw                 pictures and page again, from docs/growth.json
#
# Banks run in a temporary folder (TMPDIR) and are removed afterwards. Each curve writes docs/growth.json, a picture of
# its own in docs/images, and its part of docs/BENCHMARKS.md as soon as it is measured, so a run can be interrupted.
# Curves: accounts banks segments clients time open-loop overload slow-disk. --points 1,64 measures other points of one
# curve; --seconds N, --warmup N and --out FOLDER go to the measurement, too. CONSORCIO_PROGRAMS names a folder with
# other programs than this build.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
--help | -h) sed -n '2,16s/^# \{0,1\}//p' "$0" && exit 0 ;;
esac

target=${CARGO_TARGET_DIR:-target}
programs=${CONSORCIO_PROGRAMS:-$target/release}
[ -n "${CONSORCIO_PROGRAMS:-}" ] || cargo build --quiet --release --bins
cargo build --quiet --release --package consorcio-speed --bin consorcio-growth
changed=$([ -z "$(git status --porcelain --untracked-files=no -- src bin Cargo.lock 2>/dev/null)" ] || echo ", changed")
build=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)$changed

folder=$(mktemp -d)
measuring=''
# Banks that outlive an interrupted measurement are known by their folder.
end() {
    [ -z "$measuring" ] || kill "$measuring" 2>/dev/null || true
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd" 2>/dev/null || true) in
        "$folder"/*) kill -9 "${process#/proc/}" 2>/dev/null || true ;;
        esac
    done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
TMPDIR=$folder "$target/release/consorcio-growth" --programs "$programs" --build "$build" "$@" &
measuring=$!
wait "$measuring"
