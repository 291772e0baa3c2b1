#!/usr/bin/env bash
# Counts the instructions of the hot path under valgrind, row by row, and compares them with a table.
#
#   scripts/instructions.sh                     fails if a row takes more than 2 % above its figure in the table
#   scripts/instructions.sh --update "REASON"   writes the new figures, with the reason, into the lines that changed
#   scripts/instructions.sh --rows '*parse*'    counts and compares these rows alone
#
# It needs valgrind and gungraun-runner, and names the commands that install them. The table is
# benches/instructions/table.txt; --table FILE takes another one, and --counts FILE compares counts that are in a file.
# Exit codes: 1 a row grew, has no line or failed, 2 the command line is wrong, 3 nothing can be counted or compared here.
set -euo pipefail
cd "$(dirname "$0")/.."

table=benches/instructions/table.txt counts='' reason='' rows=''
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) sed -n '2,10s/^# \{0,1\}//p' "$0" && exit 0 ;;
    --update | --rows | --table | --counts)
        [ $# -ge 2 ] && [ -n "$2" ] || { echo "$1 needs a value" >&2 && exit 2; }
        case $1 in
        --update) reason=$2 ;;
        --rows) rows=$2 ;;
        --table) table=$2 ;;
        --counts) counts=$2 ;;
        esac
        shift 2
        ;;
    *) echo "unknown: $1" >&2 && exit 2 ;;
    esac
done

cannot() {
    echo "Instructions can't be counted here: $1" >&2
    exit 3
}

# What the figures depend on, besides the code.
tools() {
    local avx2=none
    grep -qw avx2 /proc/cpuinfo && avx2=AVX2
    echo "$(rustc --version | cut -d' ' -f1,2), $(valgrind --version), glibc $(ldd --version | sed -n '1s/.* //p'), $avx2"
}

count() {
    local target=${CARGO_TARGET_DIR:-target} version log
    command -v valgrind >/dev/null || cannot "valgrind is not installed (Debian: apt-get install valgrind)"
    version=$(sed -n 's/^gungraun = "=\(.*\)"$/\1/p' Cargo.toml)
    [ "$(gungraun-runner --version 2>/dev/null)" = "gungraun-runner $version" ] ||
        cannot "gungraun-runner $version is not installed (cargo install gungraun-runner --locked --version $version)"
    cargo build --quiet --locked --release --package consorcio-instructions
    rm -rf "$target/instructions" && mkdir -p "$target/instructions"
    log=$target/instructions/log
    # Its own path is in the memory of the program, so a longer one would move what is allocated after it.
    folder=$(env -u TMPDIR mktemp -d)
    cp "$target/release/consorcio-instructions" "$folder/rows"
    # The cache simulation would depend on this machine's cache, and is slow.
    "$folder/rows" --bench --parallel=auto --home "$PWD/$target/instructions" \
        --callgrind-args=--cache-sim=no ${rows:+"$rows"} >"$log" 2>&1 || { cat "$log" >&2 && exit 1; }
    echo "tools $(tools)"
    find "$target/instructions" -name 'callgrind.*.out' -exec awk '/^totals:/ {
        name = FILENAME; sub(/.*callgrind\./, "", name); sub(/\.out$/, "", name); print name, $2 }' {} \; | sort
}

folder=''
trap 'rm -rf "$folder"' EXIT
if [ -z "$counts" ]; then
    counts=$(mktemp)
    trap 'rm -rf "$folder" "$counts" "$counts.table"' EXIT
    count >"$counts"
fi

# The planted row is parse.prepare with needless work: if it looks no slower, the counts are worth nothing.
awk '
    { count[$1] = $2 }
    END {
        if (!("planted.parse_prepare" in count) || !("parse.prepare" in count)) exit
        ratio = count["planted.parse_prepare"] / count["parse.prepare"]
        if (ratio <= 1.02) { printf "the planted slowdown is not found: %.3f\n", ratio; exit 1 }
        printf "the planted slowdown of parse.prepare is found: %.3f\n\n", ratio
    }' "$counts" || exit 1

if [ -n "$reason" ]; then
    [ -f "$table" ] || : >"$table"
    # Figures that differ by no more than 0.1 % keep their lines.
    awk -v reason="$reason" -v partial="$rows" '
        FNR == 1 { file++ }
        file == 1 && $1 == "tools" { sub(/^tools /, ""); tools = $0; next }
        file == 1 && $1 !~ /^planted\./ { count[$1] = $2; next }
        file == 2 && /^#/ { if ($0 !~ /^# tools: /) print; next }
        file == 2 { line[$1] = $0; figure[$1] = $2 }
        END {
            print "# tools: " tools
            if (partial) for (row in line) if (!(row in count)) print line[row] | "sort"
            for (row in count) {
                change = row in figure ? count[row] / figure[row] - 1 : 1
                if (change < 0) change = -change
                if (change <= 0.001) print line[row] | "sort"
                else printf "%-20s %9d  %s\n", row, count[row], reason | "sort"
            }
        }' "$counts" "$table" >"$counts.table"
    cat "$counts.table" >"$table"
fi

awk -v partial="$rows" -v table="$table" '
    FNR == 1 { file++ }
    file == 1 && /^# tools: / { sub(/^# tools: /, ""); before = $0; next }
    file == 1 && !/^#/ { figure[$1] = $2; next }
    file == 2 && $1 == "tools" { sub(/^tools /, ""); now = $0; next }
    file == 2 && $1 !~ /^planted\./ {
        if (FNR <= 2) printf "%-20s %12s %12s %7s\n", "row", "table", "now", "ratio"
        if (!($1 in figure)) { printf "%-20s %12s %12d %7s  no line in the table\n", $1, "-", $2, "-"; bad++; next }
        ratio = $2 / figure[$1]
        note = ratio > 1.02 ? "  grew" : ratio < 0.98 ? "  shrank: the table allows more than it takes" : ""
        printf "%-20s %12d %12d %7.3f%s\n", $1, figure[$1], $2, ratio, note
        bad += ratio > 1.02
        delete figure[$1]
    }
    END {
        for (row in figure) if (!partial) { printf "%-20s %12d: it was not counted\n", row, figure[row]; bad++ }
        if (now && now != before) {
            print "\nThe table was made with " before "\nThese counts are from    " now
            if (bad) { print "So they can not be compared: --update them on a revision that is known to be good."; exit 3 }
        }
        if (bad) {
            print "\nMake it cheaper, or say why it must cost more: scripts/instructions.sh --update \"REASON\" (" table ")"
            exit 1
        }
    }' "$table" "$counts"
