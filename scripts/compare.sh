#!/usr/bin/env bash
# The same transfers by our banks and by PostgreSQL, Redis and TigerBeetle, in turn, on this machine.
#
#   scripts/compare.sh                            three runs of 10 s of each, about 25 minutes
#   scripts/compare.sh --runs 5 --seconds 30      more of it
#   scripts/compare.sh --rows "1 64 in-batch"     only these rows
#   scripts/compare.sh --peers "redis"            beside these peers alone
#   scripts/compare.sh --rows 1 --record FILE     appends the figures to FILE; --from FILE prints the tables of such a file
#
# Rows across two banks, and two PostgreSQL servers: numbers of clients, and hot (16 clients, one account). Rows inside
# one bank, or one server: in-1, in-16, in-64, in-64x16 (16 under way each), in-batch (8,192 under way, or one batch).
# It prints tables in Markdown; --json FILE writes all runs. It ends with 0 only if no centavo was missing anywhere. It
# needs PostgreSQL (Debian's package postgresql, which it installs where it may), redis-server, and tigerbeetle in the
# path; a peer that is missing is named and left out. Everything is in a temporary folder on loopback, and stopped at
# the end. docs/BENCHMARKS.md says what is measured.

set -euo pipefail

# A shell that was started with SIGINT ignored, as in the background of a script, can't trap it: begin once more.
if [[ $(trap -p INT) == *"''"* ]] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT "$0" "$@"
fi

usage() { sed -n '2,16s/^# \{0,1\}//p' "$0"; }
refuse() {
    printf '%s\n' "$1" >&2
    usage >&2
    exit 2
}
number() { [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || refuse "$1: not a whole number above zero: $2"; }

runs=3 seconds=10 warmup=2 accounts=1000 record='' from='' json=''
rows='1 16 64 hot in-1 in-16 in-64 in-64x16 in-batch' peers='postgres redis tigerbeetle'
while [ $# -gt 0 ]; do
    case $1 in
    --help | -h) usage && exit 0 ;;
    --runs | --seconds | --warmup | --accounts | --rows | --peers | --record | --from | --json)
        [ $# -ge 2 ] && [ -n "$2" ] || refuse "$1 needs a value"
        ;;
    *) refuse "unknown: $1" ;;
    esac
    case $1 in
    --runs) number "$1" "$2" && runs=$2 ;;
    --seconds) number "$1" "$2" && seconds=$2 ;;
    --warmup) number "$1" "$2" && warmup=$2 ;;
    --accounts) number "$1" "$2" && accounts=$2 ;;
    --rows) rows=$2 ;;
    --peers) peers=$2 ;;
    --record) record=$(realpath -m "$2") ;;
    --from) from=$(realpath -m "$2") ;;
    --json) json=$(realpath -m "$2") ;;
    esac
    shift 2
done
# What a row takes: its clients, how many transfers each has under way, and how many accounts move money.
clients_of() { case $1 in hot) echo 16 ;; in-batch) echo 64 ;; in-64x16) echo 64 ;; in-*) echo "${1#in-}" ;; *) echo "$1" ;; esac; }
depth_of() { case $1 in in-batch) echo 128 ;; in-64x16) echo 16 ;; *) echo 1 ;; esac; }
clients_max=16 across='' inside=''
for one in $rows; do
    [[ $one =~ ^(hot|in-(1|16|64|64x16|batch)|[1-9][0-9]{0,2})$ ]] || refuse "--rows: no row is named $one"
    if [[ $one == in-* ]]; then inside=1; else across=1; fi
    if [ "$(clients_of "$one")" -gt "$clients_max" ]; then clients_max=$(clients_of "$one"); fi
done
[[ $rows =~ [^\ ] ]] || refuse "--rows: no row is named"
for one in $peers; do
    [[ $one =~ ^(postgres|redis|tigerbeetle)$ ]] || refuse "--peers: postgres, redis or tigerbeetle: $one"
done
programs=${CONSORCIO_PROGRAMS:-} # a folder with built programs, such as target/release; otherwise they are built
for name in ${!CONSORCIO_@}; do unset "$name"; done

# --- the report ------------------------------------------------------------------------------------------------------

root=$(cd "$(dirname "$0")/.." && pwd)
report() {
    awk -f "$root/benches/peers/tables.awk" "$1"
    [ -z "$json" ] || awk -f "$root/benches/peers/json.awk" "$1" >"$json"
}

if [ -n "$from" ]; then
    [ -f "$from" ] || refuse "--from: there is no such file: $from"
    report "$from"
    exit 0
fi

# --- an end that leaves nothing running ------------------------------------------------------------------------------

folder='' processes=() servers=()
end_process() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}
finish() {
    local code=$? pid server
    trap - EXIT
    for pid in ${processes[@]+"${processes[@]}"}; do kill "$pid" 2>/dev/null || true; done
    for pid in ${processes[@]+"${processes[@]}"}; do end_process "$pid"; done
    for server in ${servers[@]+"${servers[@]}"}; do
        unprivileged "$postgres/pg_ctl" -D "$server" -m immediate -s stop >/dev/null 2>&1 || true
    done
    if [ "$code" -ne 0 ] && [ -n "$folder" ]; then
        tail -n 5 "$folder"/*.out "$folder"/*/*.out "$folder"/pg/*.log >&2 2>/dev/null || true
    fi
    [ -z "$folder" ] || rm -rf "$folder"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
say() { printf '%s\n' "$1" >&2; }

# --- the programs ----------------------------------------------------------------------------------------------------

wants() { [[ " $peers " == *" $1 "* ]]; }
# without PEER SENTENCE: goes on without the peer.
left_out=()
without() {
    peers=$(printf ' %s ' "$peers" | sed "s/ $1 / /")
    left_out+=("$2") && say "$2"
}

find_postgres() { for postgres in /usr/lib/postgresql/*/bin; do [ -x "$postgres/initdb" ] && return; done; false; }
if wants postgres && ! find_postgres && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    say 'installing postgresql ...'
    apt-get -qq update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql >&2 || true
fi
! wants postgres || find_postgres || without postgres 'PostgreSQL is not measured: it is missing (apt-get install postgresql)'
# PostgreSQL does not run as root.
user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then user=$(getent passwd postgres nobody | head -n 1 | cut -d : -f 1); fi
unprivileged() { if [ "$(id -u)" -eq 0 ]; then (cd / && exec runuser -u "$user" -- "$@"); else "$@"; fi; }
# Both have rows inside one server alone.
if [ -n "$inside" ]; then
    ! wants redis || command -v redis-server >/dev/null ||
        without redis 'Redis is not measured: it is missing (apt-get install redis-server)'
    ! wants tigerbeetle || command -v tigerbeetle >/dev/null ||
        without tigerbeetle 'TigerBeetle is not measured: there is no tigerbeetle in the path, and no package has the server'
else
    peers=$(printf ' %s ' "$peers" | sed 's/ redis / /; s/ tigerbeetle / /')
fi

cd "$root"
if [ -z "$programs" ]; then
    say 'building ...'
    cargo build --quiet --release --bins
    programs=${CARGO_TARGET_DIR:-target}/release
fi
driver=$(realpath "$programs/consorcio-compare")
servidor=$(realpath "$programs/servidor")
cliente=$(realpath "$programs/cliente")

folder=$(mktemp -d)
chmod 711 "$folder"
cd "$folder"
: >figures
about() { printf 'about %s\n' "$1" >>figures; }
free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for ((first = 18080; first < 19000; first += 10)); do
    taken=''
    for port in $(seq "$first" $((first + 7))); do free "$port" || taken=1; done
    [ -n "$taken" ] || break
done
consortium=$first-$((first + 2)) alone=127.0.0.1:$((first + 5))
ports=($((first + 3)) $((first + 4))) redis_port=$((first + 6)) beetle_port=$((first + 7))

about "machine: $(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(uname -sr)"
about "$runs runs of $seconds s of each after $warmup s to warm up, in turn; $accounts accounts a bank; medians"
for sentence in ${left_out[@]+"${left_out[@]}"}; do about "$sentence"; done

# --- our banks: three, and one alone ---------------------------------------------------------------------------------

# bank FOLDER PORT CONSORTIUM
bank() {
    mkdir -p "$1" && cd "$1"
    [ -f consortium.key ] || "$servidor" key consortium.key >/dev/null
    "$servidor" --port "$2" --consortium "$3" --key-file consortium.key >"bank-$2.out" 2>&1 &
    processes+=($!)
    cd "$folder"
}
cliente_of() { (cd "$1" && shift && exec "$cliente" "$@"); }
if [ -n "$across" ]; then
    for port in $(seq "$first" $((first + 2))); do bank three "$port" "$consortium"; done
    cliente_of three --consortium "$consortium" ping --wait 30s >ping.out
    about "ours across: $("$servidor" --version), three banks with a key, durable, transfers across two of them, driven by the client"
fi
if [ -n "$inside" ]; then
    bank one $((first + 5)) "$alone"
    cliente_of one --consortium "$alone" ping --wait 30s >ping.out
    about "ours inside: $("$servidor" --version), one bank, durable, EXECUTE of a debit and a credit"
fi

# --- PostgreSQL servers ----------------------------------------------------------------------------------------------

start_postgres() {
    mkdir -p pg
    [ "$(id -u)" -ne 0 ] || chown "$user" pg
    local server=$folder/pg/$1
    unprivileged "$postgres/initdb" -D "$server" -U postgres -A trust -E UTF8 --no-sync >initdb.out 2>&1
    # As durable as ours, and otherwise as it comes; the logs of a run stay below what would begin a checkpoint early.
    unprivileged tee -a "$server/postgresql.conf" >/dev/null <<END
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = ''
max_connections = $((clients_max + 10))
max_prepared_transactions = $((clients_max + 10))
fsync = on
synchronous_commit = on
max_wal_size = 4GB
END
    servers+=("$server")
    unprivileged "$postgres/pg_ctl" -D "$server" -l "$server.log" -w -s start
}
show() { "$postgres/psql" -h 127.0.0.1 -p "${ports[0]}" -U postgres -Atc "$1"; }
if wants postgres; then
    start_postgres "${ports[0]}"
    [ -z "$across" ] || start_postgres "${ports[1]}"
    settings=''
    for name in max_prepared_transactions fsync synchronous_commit wal_sync_method full_page_writes shared_buffers max_wal_size; do
        settings+=" $name=$(show "SHOW $name")"
    done
    about "PostgreSQL: $(show 'SHOW server_version'), two servers across, one inside:$settings"
fi

# --- Redis and TigerBeetle -------------------------------------------------------------------------------------------

if wants redis; then
    mkdir redis
    # The log is not rewritten during a run.
    redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$folder/redis" --save '' --appendonly yes --appendfsync always \
        --auto-aof-rewrite-percentage 0 --daemonize no >redis.out 2>&1 &
    processes+=($!)
    for ((try = 0; try < 600; try++)); do
        free "$redis_port" || break
        sleep 0.1
    done
    about "Redis: $(redis-server --version | sed 's/.*v=\([0-9.]*\).*/\1/'), one server, appendonly yes, appendfsync always"
fi
if wants tigerbeetle; then about "TigerBeetle: $(tigerbeetle version), one replica"; fi

# beetle_run BATCH CLIENTS TRANSFERS: a new cluster of one replica, and its own benchmark.
beetle_run() {
    rm -rf beetle && mkdir beetle
    tigerbeetle format --cluster=0 --replica=0 --replica-count=1 beetle/0_0.tigerbeetle >beetle.out 2>&1
    tigerbeetle start --addresses="127.0.0.1:$beetle_port" beetle/0_0.tigerbeetle >>beetle.out 2>&1 &
    local pid=$!
    processes+=("$pid")
    for ((try = 0; try < 600; try++)); do
        free "$beetle_port" || break
        sleep 0.1
    done
    tigerbeetle benchmark --addresses="127.0.0.1:$beetle_port" --account-count="$accounts" --transfer-count="$3" \
        --no-history --transfer-batch-count="$1" --clients="$2" --query-count=0 --validate >measured.out 2>&1
    end_process "$pid"
    rm -rf beetle
    # It validates its own transfers, and fails otherwise.
    awk '/^load accepted/ { rate = $4 } /^batch latency p50 / { a = $5 } /^batch latency p99 / { b = $5 } /^batch latency p100/ { c = $5 }
        END { print (rate > 0 ? "true" : "false"), rate, 0, a * 1000, b * 1000, c * 1000 }' measured.out >row
}

# --- in turn ---------------------------------------------------------------------------------------------------------

# The cells under these headings of a CSV's last line.
cells() { awk -F , -v want="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
    END { n = split(want, w, " "); for (i = 1; i <= n; i++) printf "%s%s", $at[w[i]], i < n ? " " : "\n" }' "$2"; }

ours() {
    local one=$1 where=three list=$consortium arguments=()
    case $one in
    hot) arguments=(--hot) ;;
    in-*) where=one list=$alone arguments=(--kind single --via-bank) ;;
    esac
    cliente_of "$where" --consortium "$list" bench --yes --csv --seconds "$seconds" --warmup "$warmup" --accounts "$accounts" \
        --clients "$(clients_of "$one")" --depth "$(depth_of "$one")" ${arguments[@]+"${arguments[@]}"} >measured.csv
    cells 'conserved committed_per_s not_committed p50_us p99_us max_us' measured.csv >row
}

# driven SERVER PORTS ROW COLUMNS
driven() {
    local arguments=()
    [ "$3" != hot ] || arguments=(--hot)
    "$driver" --server "$1" --ports "$2" --seconds "$seconds" --warmup "$warmup" --accounts "$accounts" \
        --clients "$(clients_of "$3")" --depth "$(depth_of "$3")" ${arguments[@]+"${arguments[@]}"} >measured.csv
    cells "conserved committed_per_s not_committed p50_us p99_us max_us$4" measured.csv >row
}
postgres() {
    case $1 in
    in-*) driven postgres "${ports[0]}" "$1" '' ;;
    *) driven postgres "${ports[0]},${ports[1]}" "$1" ' prepared_p50_us prepared_p99_us prepared_max_us' ;;
    esac
}
redis() { driven redis "$redis_port" "$1" ''; }
# As many transfers as take about as long as a run of the others.
beetle() {
    case $1 in
    in-batch) beetle_run 8189 1 $((seconds * 200000)) ;;
    *) beetle_run 1 "$(clients_of "$1")" $((seconds * 1000)) ;;
    esac
}

# note SIDE ROW: keeps the figures, if all money was there.
note() {
    sed -n "s/^true /$2 ${1/beetle/tigerbeetle} /p" row | tee -a figures >&2
    grep -q '^true ' row || { say "$1: money was made or lost" && exit 1; }
}

about "load before: $(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || uptime)"
for ((run = 1; run <= runs; run++)); do
    for one in $rows; do
        say "run $run of $runs, row $one"
        sides=(ours)
        if [[ $one == in-* ]] && wants redis; then sides+=(redis); fi
        if wants postgres; then sides+=(postgres); fi
        # A cluster has 64 sessions at most, and a client one batch under way: of one transfer, or full.
        if [[ $one =~ ^in-(1|16|batch)$ ]] && wants tigerbeetle; then sides+=(beetle); fi
        for side in "${sides[@]}"; do
            "$side" "$one"
            note "$side" "$one"
        done
    done
done

[ -z "$record" ] || cat figures >>"$record"
report figures
