#!/usr/bin/env bash
# Runs what grows at its whole size, on a release build, and prints the figures; takes minutes and a few GB of memory.
# scripts/scale.sh [part of a test's name]
set -euo pipefail
cd "$(dirname "$0")/.."
CONSORCIO_SCALE=full exec cargo test --release --locked --test scale -- --nocapture --test-threads=1 "$@"
