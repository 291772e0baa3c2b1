#!/usr/bin/env bash
# Simulates the consortium by seed, on all cores: scripts/simulate.sh [--seeds N] [--from SEED]
# Each of the five simulations runs N seeds: all faults, an attacker on the network, one id with two transactions, a
# consortium that grows, a lost disk.
# Ends with the coverage, and events a second. A failure prints its seed, a shrunk timeline, and the command that
# repeats it.
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
CONSORCIO_SEEDS=$seeds CONSORCIO_FROM=$from \
    cargo test --quiet --release --test worlds -- --nocapture --test-threads 1 \
    simulation::{invariants_hold,an_attacker,two_transactions,a_consortium_grows,a_lost_disk}
