#!/usr/bin/env bash
# The same transfers by our banks and by two PostgreSQL servers with PREPARE TRANSACTION, in turn, on this machine.
#
#   scripts/compare.sh                            three runs of 10 s of each, about seven minutes
#   scripts/compare.sh --runs 5 --seconds 30      more of it
#   scripts/compare.sh --cases "1 64 hot"         only these: numbers of clients, and hot (16 clients, one account)
#
# It prints a table in Markdown, and ends with 0 only if no centavo was missing on either side after any run. It needs
# PostgreSQL (Debian's package postgresql, which it installs where it may), keeps everything in a temporary folder on
# loopback, and stops what it started. docs/BENCHMARKS.md says what is measured.

set -euo pipefail

# A shell that was started with SIGINT ignored, as in the background of a script, can't trap it: begin once more.
if [[ $(trap -p INT) == *"''"* ]] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT "$0" "$@"
fi

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0"; }
refuse() {
    printf '%s\n' "$1" >&2
    usage >&2
    exit 2
}
number() { [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || refuse "$1: not a whole number above zero: $2"; }

runs=3 seconds=10 warmup=2 accounts=1000 cases='1 16 64 hot'
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage && exit 0 ;;
    --runs | --seconds | --warmup | --accounts | --cases) [ $# -ge 2 ] || refuse "$1 needs a value" ;;
    *) refuse "unknown: $1" ;;
    esac
    case $1 in
    --runs) number "$1" "$2" && runs=$2 ;;
    --seconds) number "$1" "$2" && seconds=$2 ;;
    --warmup) number "$1" "$2" && warmup=$2 ;;
    --accounts) number "$1" "$2" && accounts=$2 ;;
    --cases) cases=$2 ;;
    esac
    shift 2
done
clients_max=16
for one in $cases; do
    if [[ $one =~ ^[1-9][0-9]{0,2}$ ]] && [ "$one" -gt "$clients_max" ]; then clients_max=$one; fi
    [[ $one == hot || $one =~ ^[1-9][0-9]{0,2}$ ]] || refuse "--cases: a number of clients, or hot: $one"
done
programs=${CONSORCIO_PROGRAMS:-} # a folder with built programs, such as target/release; otherwise they are built
for name in ${!CONSORCIO_@}; do unset "$name"; done

# --- an end that leaves nothing running ------------------------------------------------------------------------------

folder='' banks=() servers=()
finish() {
    local code=$? pid server
    trap - EXIT
    for pid in ${banks[@]+"${banks[@]}"}; do kill "$pid" 2>/dev/null || true; done
    for pid in ${banks[@]+"${banks[@]}"}; do wait "$pid" 2>/dev/null || true; done
    for server in ${servers[@]+"${servers[@]}"}; do
        unprivileged "$postgres/pg_ctl" -D "$server" -m immediate -s stop >/dev/null 2>&1 || true
    done
    if [ "$code" -ne 0 ] && [ -n "$folder" ]; then tail -n 5 "$folder"/*.out "$folder"/pg/*.log >&2 2>/dev/null || true; fi
    [ -z "$folder" ] || rm -rf "$folder"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
say() { printf '%s\n' "$1" >&2; }

# --- the programs ----------------------------------------------------------------------------------------------------

find_postgres() { for postgres in /usr/lib/postgresql/*/bin; do [ -x "$postgres/initdb" ] && return; done; false; }
if ! find_postgres; then
    [ "$(id -u)" -eq 0 ] || { say 'PostgreSQL is missing; install it: apt-get install postgresql' && exit 1; }
    say 'installing postgresql ...'
    apt-get -qq update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql >&2
    find_postgres || { say 'there is no /usr/lib/postgresql/*/bin/initdb' && exit 1; }
fi
# PostgreSQL does not run as root.
user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then user=$(getent passwd postgres nobody | head -n 1 | cut -d : -f 1); fi
unprivileged() { if [ "$(id -u)" -eq 0 ]; then (cd / && exec runuser -u "$user" -- "$@"); else "$@"; fi; }

cd "$(dirname "$0")/.."
if [ -n "$programs" ]; then
    driver=$(find "$programs/deps" -name 'postgres-*' -type f -perm -u+x -printf '%T@ %p\n' | sort -n | tail -n 1)
    driver=${driver#* }
else
    say 'building ...'
    cargo build --quiet --release --bins
    driver=$(cargo bench --quiet --no-run --bench postgres --message-format json |
        sed -n 's/.*"executable":"\([^"]*\/postgres-[^"]*\)".*/\1/p' | tail -n 1)
    programs=${CARGO_TARGET_DIR:-target}/release
fi
[ -x "$driver" ] || { say 'the PostgreSQL driver was not built' && exit 1; }
driver=$(realpath "$driver")
servidor=$(realpath "$programs/servidor")
cliente=$(realpath "$programs/cliente")

folder=$(mktemp -d)
chmod 711 "$folder"
cd "$folder"
free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for ((first = 18080; first < 19000; first += 10)); do
    taken=''
    for port in $(seq "$first" $((first + 4))); do free "$port" || taken=1; done
    [ -n "$taken" ] || break
done
consortium=$first-$((first + 2)) ports=($((first + 3)) $((first + 4)))

# --- our three banks -------------------------------------------------------------------------------------------------

"$servidor" key consortium.key >/dev/null
for port in $(seq "$first" $((first + 2))); do
    "$servidor" --port "$port" --consortium "$consortium" --key-file consortium.key >"bank-$port.out" 2>&1 &
    banks+=($!)
done
"$cliente" --consortium "$consortium" ping --wait 30s >ping.out

# --- two PostgreSQL servers ------------------------------------------------------------------------------------------

mkdir pg
[ "$(id -u)" -ne 0 ] || chown "$user" pg
for port in "${ports[@]}"; do
    server=$folder/pg/$port
    unprivileged "$postgres/initdb" -D "$server" -U postgres -A trust -E UTF8 --no-sync >"initdb.out" 2>&1
    # As durable as ours, and otherwise as it comes; the logs of a run stay below what would begin a checkpoint early.
    unprivileged tee -a "$server/postgresql.conf" >/dev/null <<END
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = $((clients_max + 10))
max_prepared_transactions = $((clients_max + 10))
fsync = on
synchronous_commit = on
max_wal_size = 4GB
END
    servers+=("$server")
    unprivileged "$postgres/pg_ctl" -D "$server" -l "$server.log" -w -s start
done

# --- in turn ---------------------------------------------------------------------------------------------------------

# The cells under these headings of a CSV's last line.
cells() { awk -F , -v want="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    END { n = split(want, w, " "); for (i = 1; i <= n; i++) printf "%s%s", $at[w[i]], i < n ? " " : "\n" }' "$2"; }

ours() {
    "$cliente" --consortium "$consortium" bench --yes --csv --seconds "$seconds" --warmup "$warmup" --accounts "$accounts" \
        "$@" >measured.csv
    cells 'conserved committed_per_s not_committed p50_us p99_us max_us' measured.csv >row
}

theirs() {
    "$driver" --ports "${ports[0]},${ports[1]}" --seconds "$seconds" --warmup "$warmup" --accounts "$accounts" \
        "$@" >measured.csv
    cells 'conserved committed_per_s not_committed p50_us p99_us max_us prepared_p50_us prepared_p99_us prepared_max_us' \
        measured.csv >row
}

# note SIDE CASE: keeps the row, if all money was there.
note() {
    sed -n "s/^true /$2 $1 /p" row | tee -a rows >&2
    grep -q '^true ' row || { say "$1: money was made or lost" && exit 1; }
}

load_before=$(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || uptime)
began=$SECONDS
for ((run = 1; run <= runs; run++)); do
    for one in $cases; do
        if [ "$one" = hot ]; then arguments=(--clients 16 --hot); else arguments=(--clients "$one"); fi
        say "run $run of $runs, ${arguments[*]}"
        ours "${arguments[@]}"
        note ours "$one"
        theirs "${arguments[@]}"
        note theirs "$one"
    done
done

# --- what came of it -------------------------------------------------------------------------------------------------

show() { "$postgres/psql" -h 127.0.0.1 -p "${ports[0]}" -U postgres -Atc "$1"; }
printf 'machine: %s x %s, %s, load before %s\n' "$(nproc)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(uname -sr)" "$load_before"
printf 'ours: %s, three banks with a key, durable, transfers across two of them, driven by the client\n' "$("$servidor" --version)"
printf 'PostgreSQL: %s, two servers:' "$(show 'SHOW server_version')"
for name in max_prepared_transactions fsync synchronous_commit wal_sync_method full_page_writes shared_buffers max_wal_size; do
    printf ' %s=%s' "$name" "$(show "SHOW $name")"
done
printf '\n%s runs of %s s of each after %s s to warm up, in turn; %s accounts a bank; medians; %s s in all\n\n' \
    "$runs" "$seconds" "$warmup" "$accounts" $((SECONDS - began))
awk -v cases="$cases" '
    { n[$1, $2]++; for (i = 3; i <= NF; i++) v[$1, $2, i, n[$1, $2]] = $i }
    function median(one, side, column,    i, j, k, t, a) {
        k = n[one, side]
        for (i = 1; i <= k; i++) a[i] = v[one, side, column, i] + 0
        for (i = 2; i <= k; i++) for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
        return a[int((k + 1) / 2)]
    }
    function ms(us) { return sprintf(us < 10000 ? "%.2f" : "%.1f", us / 1000) }
    function three(one, side, from) {
        return ms(median(one, side, from)) " · " ms(median(one, side, from + 1)) " · " ms(median(one, side, from + 2))
    }
    END {
        print "| clients | ours, a second | PostgreSQL, a second | ratio | ours: verdict, ms p50 · p99 · max | PostgreSQL: committed, ms p50 · p99 · max | PostgreSQL: both prepared, ms p50 · p99 · max | not committed, ours · theirs |"
        print "| --- | --- | --- | --- | --- | --- | --- | --- |"
        m = split(cases, c, " ")
        for (i = 1; i <= m; i++) {
            one = c[i]
            a = median(one, "ours", 3); b = median(one, "theirs", 3)
            printf "| %s | %d | %d | %.1f | %s | %s | %s | %d · %d |\n", one == "hot" ? "16, one hot account" : one, a, b,
                b ? a / b : 0, three(one, "ours", 5), three(one, "theirs", 5), three(one, "theirs", 8),
                median(one, "ours", 4), median(one, "theirs", 4)
        }
    }' rows
