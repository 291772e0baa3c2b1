#!/usr/bin/env bash
# The bank test with real processes and real faults, for as long as you like.
#
#   scripts/bank-test.sh                          one minute
#   scripts/bank-test.sh --minutes 10 --seed 7    ten minutes of this seed's faults
#   scripts/bank-test.sh --out FOLDER             where result.json, run.svg (the picture) and history.txt go;
#                                                 it says where they are at its end
#
# It ends with 0 only if all that must hold held. The seed fixes the faults and what clients ask for, not the moment
# at which each happens.

set -euo pipefail

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0"; }
refuse() {
    printf '%s\n' "$1" >&2
    usage >&2
    exit 2
}
number() { [[ $2 =~ ^[0-9]{1,9}$ ]] || refuse "$1: not a whole number: $2"; }

minutes=1 seed=1 out=''
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage && exit 0 ;;
    --minutes | --seed | --out) [ $# -ge 2 ] || refuse "$1 needs a value" ;;
    *) refuse "unknown: $1" ;;
    esac
    case $1 in
    --minutes) number "$1" "$2" && minutes=$((10#$2)) ;;
    --seed) number "$1" "$2" && seed=$((10#$2)) ;;
    --out) mkdir -p "$2" && out=$(cd "$2" && pwd) ;;
    esac
    shift 2
done

cd "$(dirname "$0")/.."
[ -n "$out" ] && export BANK_TEST_OUT=$out
export BANK_TEST_SECONDS=$((minutes * 60)) BANK_TEST_SEED=$seed
exec cargo test --release --test kills -- --ignored --exact bank_test::for_minutes --nocapture
