#!/usr/bin/env bash
# Mutation testing of the core: each mutant is one small mistake in the code, and some fast test must fail on it.
#
#   scripts/mutants.sh                  the next 100 mutants that were not run yet
#   scripts/mutants.sh --most N         the next N; 0: all of them
#   scripts/mutants.sh --per-file N     at most N of each file, those of earlier runs counted
#   scripts/mutants.sh --only REGEX     those whose names match, such as ^src/core/ledger/
#   scripts/mutants.sh --shard K/N      the part K (from 0) of N parts of all mutants, for several machines
#   scripts/mutants.sh --missed         those that no test found, once more
#   scripts/mutants.sh --summary        figures per folder, and the names of those that no test found
#   scripts/mutants.sh --list-done      every mutant that was run, with its outcome
#
# The order is random and always the same. What was done is kept in mutants.out/results.tsv, so a later run goes on
# where the last one stopped. A result counts while the mutated file is unchanged; a survivor is run again with
# --missed once a test was added. `cargo mutants` mutates a copy of the core, its unit tests, the golden scripts and the
# simulation (mutants.out/tree): a tenth of the code to build, and nobody's working tree is touched.
# SEEDS=N: simulated seeds for each mutant.

set -euo pipefail
cd "$(dirname "$0")/.."

out=mutants.out tree=mutants.out/tree results=mutants.out/results.tsv
most=100 per_file=0 only='' shard=0/1 mode=run
# What is mutated.
globs=('src/core/bank/**' 'src/core/commit/**' 'src/core/ledger/**' 'src/node/{writer,release,queue}.rs' 'src/peers/**')
# The crates that the core does not need.
edges='audit|client|http|panel|server'
# Tests of tests, and those that take longer than a mutant may.
skipped=(planted_mistakes a_failure_is_shrunk mistakes_ exhaustive::)

usage() {
    sed -n '2,/^$/{s/^# \{0,1\}//;p}' "$0"
}

while [ $# -gt 0 ]; do
    case "$1" in
        --most) most=$2; shift 2 ;;
        --per-file) per_file=$2; shift 2 ;;
        --only) only=$2; shift 2 ;;
        --shard) shard=$2; shift 2 ;;
        --missed | --summary | --list-done) mode=${1#--}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

cargo mutants --version >/dev/null 2>&1 || {
    echo "cargo-mutants is not here: cargo install cargo-mutants --locked --version '^27'" >&2
    exit 1
}
mkdir -p "$out"
touch "$results"

# A line each: the hash of the mutated file, and the mutant's name.
list_mutants() {
    local files=()
    for glob in "${globs[@]}"; do files+=(--file "$glob"); done
    cargo mutants --workspace --list --colors never "${files[@]}" >"$out/names"
    cut -d: -f1 "$out/names" | sort -u | while read -r file; do
        echo "$file $(git hash-object "$file")"
    done | awk 'NR == FNR { hash[$1] = $2; next } { file = $0; sub(/:.*/, "", file); print hash[file] "\t" $0 }' - "$out/names"
}

# Of all mutants of today: the newest outcome, or `-`; then the name.
outcomes() {
    list_mutants | awk -F'\t' -v results="$results" '
        FILENAME == results { outcome[$1 "\t" $3] = $2; next }
        { key = $1 "\t" $2; print ((key in outcome) ? outcome[key] : "-") "\t" $2 }
    ' "$results" -
}

summary() {
    outcomes | awk -F'\t' '
        {
            part = $2; sub(/:.*/, "", part); sub(/^src\/(core\/)?/, "", part)
            sub(/\/.*/, "", part)
            parts[part]; all[part]++; count[part, $1]++
            total["all"]++; total[$1]++
            if ($1 == "missed" || $1 == "timeout") survivors[++survived] = $1 "  " $2
        }
        function line(name, all, caught, missed, timeout, unviable, left) {
            printf "%-8s %8s %8s %8s %8s %8s %8s\n", name, all, caught, missed, timeout, unviable, left
        }
        END {
            line("", "mutants", "caught", "missed", "timeout", "unviable", "not run")
            n = split("bank commit ledger node peers", order, " ")
            for (i = 1; i <= n; i++) {
                p = order[i]
                line(p, all[p] + 0, count[p, "caught"] + 0, count[p, "missed"] + 0, count[p, "timeout"] + 0,
                     count[p, "unviable"] + 0, count[p, "-"] + 0)
            }
            line("all", total["all"], total["caught"] + 0, total["missed"] + 0, total["timeout"] + 0,
                 total["unviable"] + 0, total["-"] + 0)
            for (i = 1; i <= survived; i++) print survivors[i]
        }'
}

# The core alone, as a package of its own. Only what changed is copied, so that little is built anew.
make_tree() {
    git ls-files --cached --others --exclude-standard -- Cargo.lock .cargo src tests/worlds/scripts tests/worlds/worlds.rs \
        tests/worlds/simulation tests/worlds/exhaustive tests/worlds/world tests/support |
        grep -Ev "^src/($edges)/" >"$out/files"
    mkdir -p "$tree/src" "$tree/tests"
    (cd "$tree" && find src tests -type f) | { grep -Fxvf "$out/files" || true; } | while read -r gone; do
        rm -f "$tree/$gone"
    done
    while read -r file; do
        [ -f "$file" ] || continue
        mkdir -p "$tree/$(dirname "$file")"
        if [ "$file" = src/lib.rs ]; then
            sed -E "/^#\[cfg\(feature/d; /^pub use consorcio_($edges) as/d" "$file" >"$out/lib.rs"
            cmp -s "$out/lib.rs" "$tree/$file" || cp "$out/lib.rs" "$tree/$file"
        else
            cmp -s "$file" "$tree/$file" || cp "$file" "$tree/$file"
        fi
    done <"$out/files"
    # Of the manifest: no programs, no crates that only the edges need, and a profile that builds fast.
    awk -v edges="^( *\"src/($edges)\",|consorcio-($edges)[. ])" '
        /^\[/ { section = $0 }
        section ~ /^\[\[(bin|bench)\]\]|^\[features\]/ || /^(default-run|exclude) *=/ || $0 ~ edges { next }
        section ~ /^\[(dev-)?dependencies\]/ && /^[a-z]/ && !/^consorcio/ {
            crate = $1; sub(/\..*/, "", crate); gsub(/-/, "_", crate)
            if (system("grep -rqE \"\\b" crate "(::|!)\" '"$tree"'/tests") != 0) next
        }
        { print }
    ' Cargo.toml >"$out/Cargo.toml"
    cat >>"$out/Cargo.toml" <<'PROFILE'

[profile.mutants]
inherits = "dev"
opt-level = 0
debug = false

[profile.mutants.package."*"]
opt-level = 2
PROFILE
    cmp -s "$out/Cargo.toml" "$tree/Cargo.toml" || cp "$out/Cargo.toml" "$tree/Cargo.toml"
}

units=(--lib)
wholes=(--test worlds)
# The packages that each kind is in.
unit_packages=(consorcio-core consorcio-node consorcio-peers)
whole_packages=(consorcio)
quiet=()
for name in "${skipped[@]}"; do quiet+=(--skip "$name"); done
# A few hundred cases of each property and some dozens of short simulated runs: two seconds for a mutant.
export PROPTEST_CASES=${CASES:-64} CONSORCIO_FROM=1 CONSORCIO_SEEDS=${SEEDS:-48}

# Runs the mutant number `$2` of the `$3` mutants of the file `$1` with these tests of the kind `$4` (unit, whole), and
# tells the outcome. It is chosen
# by its number, as a part of one: patterns for names do not choose all kinds of mutants.
run_one() {
    local file=$1 number=$2 count=$3 code=0 outcome
    local packages=()
    declare -n of="$4_packages"
    for package in "${of[@]}"; do packages+=(--test-package "$package"); done
    shift 4
    rm -rf "$out/run"
    mkdir -p "$out/run"
    (cd "$tree" && cargo mutants --workspace --file "$file" --shard "$number/$count" --in-place --no-shuffle --baseline skip \
        --timeout 180 --build-timeout 900 --profile mutants --colors never --output ../run "${packages[@]}" -- \
        "$@" -- "${quiet[@]}") >"$out/run.log" 2>&1 9>&- </dev/null || code=$?
    for outcome in caught missed timeout unviable; do
        [ "$(wc -l <"$out/run/mutants.out/$outcome.txt")" = 1 ] || continue
        [ "$(cat "$out/run/mutants.out/$outcome.txt")" = "$name" ] || break
        echo "$outcome"
        return
    done
    cat "$out/run.log" >&2
    echo "cargo mutants ended with $code, and did not run $name" >&2
    return 1
}

case "$mode" in
    summary) summary; exit 0 ;;
    list-done) outcomes | awk -F'\t' '$1 != "-" { print $1 "\t" $2 }' | sort; exit 0 ;;
esac

exec 9>"$out/lock"
flock -n 9 || { echo "another run is under way in $out" >&2; exit 1; }

make_tree
echo "The tests without a mutant:"
(cd "$tree" && cargo test --profile mutants "${unit_packages[@]/#/--package=}" "${units[@]}" -- "${quiet[@]}" &&
    cargo test --profile mutants "${whole_packages[@]/#/--package=}" "${wholes[@]}" -- "${quiet[@]}") \
    >"$out/baseline.log" 2>&1 || {
    tail -n 60 "$out/baseline.log" >&2
    echo "They fail without a mutant, or do not build; see $out/baseline.log." >&2
    exit 1
}
grep '^test result' "$out/baseline.log"

# Names do not tell two mutants in one line apart that are equal otherwise; places do.
list_mutants >"$out/today"
outcomes |
    awk -F'\t' -v mode="$mode" -v only="$only" '
        (mode == "missed" ? ($1 == "missed" || $1 == "timeout") : 1) && $2 ~ only { print }
    ' |
    sort -t$'\t' -k2,2 | sort -s -R -t$'\t' -k2,2 --random-source=<(printf 'consorcio%.0s' {1..500}) |
    awk -F'\t' -v mode="$mode" -v shard="$shard" -v per_file="$per_file" '
        BEGIN { split(shard, part, "/") }
        (NR - 1) % part[2] != part[1] { next }
        {
            file = $2; sub(/:.*/, "", file)
            if (mode == "run" && $1 != "-") done[file]++; else name[++names] = $2
        }
        END {
            for (i = 1; i <= names; i++) {
                file = name[i]; sub(/:.*/, "", file)
                if (!per_file || done[file]++ < per_file) print name[i]
            }
        }' |
    awk -F'\t' '
        NR == FNR { file = $2; sub(/:.*/, "", file); hash[$2] = $1; number[$2] = count[file]++; next }
        { file = $1; sub(/:.*/, "", file); print hash[$1] "\t" number[$1] "\t" count[file] "\t" $1 }
    ' "$out/today" - >"$out/wanted.all"
if [ "$most" -gt 0 ]; then head -n "$most" "$out/wanted.all"; else cat "$out/wanted.all"; fi >"$out/wanted"
echo "$(wc -l <"$out/wanted") mutants are run, $(wc -l <"$out/wanted.all") are left."

trap 'exit 130' INT TERM
trap summary EXIT
# Mutants of the bank run the golden scripts first, all others their unit tests; a survivor runs the rest.
while IFS=$'\t' read -r hash number count name; do
    file=${name%%:*}
    if [[ $file = src/core/bank/* ]]; then stages=(wholes units); else stages=(units wholes); fi
    for kind in "${stages[@]}"; do
        declare -n these="$kind"
        outcome=$(run_one "$file" "$number" "$count" "${kind%s}" "${these[@]}")
        [ "$outcome" = missed ] || break
    done
    printf '%s\t%s\t%s\n' "$hash" "$outcome" "$name" >>"$results"
    printf '%s  %-8s  %s\n' "$(date +%T)" "$outcome" "$name"
done <"$out/wanted"
