#!/usr/bin/env bash
# Explores every state of the larger configurations of tests/worlds/exhaustive too; takes minutes and some GB of memory.
# CONSORCIO_WORLD=<part of a name> explores those of that name alone.

set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo test --release --locked --test worlds exhaustive:: -- --include-ignored --nocapture "$@"
