#!/usr/bin/env bash
# Runs what grows at its whole size, on a release build, and prints the figures; takes minutes and a few GB of memory.
# scripts/scale.sh [part of a test's name]
set -euo pipefail
cd "$(dirname "$0")/.."
export CONSORCIO_SCALE=full
cargo test --release --locked --test programs scale:: -- --nocapture --test-threads=1 "$@"
# 10,000 sessions that do not read, each verb; a burst of 5,000 connections.
cargo test --release --locked --test programs server:: -- --ignored --nocapture --test-threads=1 "$@"
# A data disk, a step log and a peer that hang for a minute each: only debug builds have a disk that hangs.
cargo test --locked --test programs server::end:: -- --nocapture --test-threads=1 "$@"
