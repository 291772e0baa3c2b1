#!/usr/bin/env bash
# Simulates the consortium by seed, on all cores: scripts/simulate.sh [--seeds N] [--from SEED]
# A seed that fails is named; CONSORCIO_SEED=<seed> cargo test --release --test simulation repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=10000 from=0
while [ $# -gt 0 ]; do
    case "$1" in
        --seeds) seeds=$2; shift 2 ;;
        --from) from=$2; shift 2 ;;
        *) echo "usage: scripts/simulate.sh [--seeds N] [--from SEED]" >&2; exit 2 ;;
    esac
done

# The asserts of the simulation and of the core are on in every profile.
cargo build --quiet --release --test simulation
cores=$(nproc)
share=$(((seeds + cores - 1) / cores))
began=$(date +%s.%N)
pids=()
for ((core = 0; core < cores; core++)); do
    CONSORCIO_SEEDS=$share CONSORCIO_FROM=$((from + core * share)) \
        cargo test --quiet --release --test simulation whatever -- --nocapture &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
awk -v began="$began" -v ended="$(date +%s.%N)" -v seeds="$((share * cores))" \
    'BEGIN { printf "%d seeds in %.1f s\n", seeds, ended - began }'
exit "$failed"
