#!/usr/bin/env bash
# Three banks and many clients that fight over few accounts, from nothing, with kill -9 of whoever you like meanwhile.
#
#   scripts/contention.sh                                 builds, then 16 clients for 30 s, and a verdict
#   scripts/contention.sh --kill-every 3s                 kills a random bank every 3 s, and starts it again
#   scripts/contention.sh --kill-clients 5s               kills one of two further cliente processes every 5 s
#   scripts/contention.sh --html run.html ...             writes a page: the run over time, faults, slowest transactions
#   scripts/contention.sh --port 9000                     banks on 9000 to 9002; 8886 to 8888, if free, without it
#   scripts/contention.sh --keep ...                      keeps the folder with journals, and says where
#   scripts/contention.sh --clients 64 --rate 500 ...     all else goes to: cliente contention (see its --help);
#                                                         a --rate is shared with the clients that are killed
#
# The step logs stay in a folder of their own in logs/. It ends with an audit of all banks, and one of their journals;
# with 0 only if all of it holds. It stops what it started, and removes the journals unless something does not hold.

set -euo pipefail

# A shell that was started with SIGINT ignored, as in the background of a script, can't trap it: begin once more.
if [[ $(trap -p INT) == *"''"* ]] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT "$0" "$@"
fi

usage() { sed -n '2,15s/^# \{0,1\}//p' "$0"; }
# span 3s: in milliseconds.
span() {
    case $1 in
    *[!0-9ms]* | '') return 1 ;;
    *ms) echo "$((10#${1%ms}))" ;;
    *s) echo "$((10#${1%s} * 1000))" ;;
    *m) return 1 ;;
    *) echo "$((10#$1 * 1000))" ;;
    esac
}

kill_every=0 kill_clients=0 keep='' first='' rate='' fighters=16 more=()
while [ $# -gt 0 ]; do
    case $1 in
    --kill-every | --kill-clients)
        every=$(span "${2:-}" 2>/dev/null) && [ "$every" -gt 0 ] || {
            echo "$1 takes a time, such as 3s or 500ms" >&2
            exit 2
        }
        if [ "$1" = --kill-every ]; then kill_every=$every; else kill_clients=$every; fi
        shift 2
        ;;
    --port)
        first=${2:-}
        if ! [[ $first =~ ^[0-9]{1,5}$ ]] || ((10#$first < 1 || 10#$first > 65533)); then
            echo "--port takes the first of three ports: a number from 1 to 65533" >&2
            exit 2
        fi
        first=$((10#$first))
        shift 2
        ;;
    --rate | --clients)
        # Without a number of its own, cliente contention says what is wrong.
        [[ ${2:-} =~ ^[0-9]{1,7}$ ]] || { more+=("$1" "${@:2:1}") && shift $(($# > 1 ? 2 : 1)) && continue; }
        if [ "$1" = --rate ]; then rate=$((10#$2)); else fighters=$((10#$2)) more+=("$1" "$2"); fi
        shift 2
        ;;
    --html)
        [ -n "${2:-}" ] || { echo "--html takes the name of a file" >&2 && exit 2; }
        # Clients with logs of their own, so that its pictures show both ends of each message.
        case $2 in /*) more+=(--client-logs --html "$2") ;; *) more+=(--client-logs --html "$PWD/$2") ;; esac
        shift 2
        ;;
    --port=* | --rate=* | --clients=* | --html=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    --keep) keep=yes && shift ;;
    -h | --help) usage && exit 0 ;;
    *) more+=("$1") && shift ;;
    esac
done
# The two further processes have four clients each; the rate is that of all clients together.
rate_of_killed=()
if [ -n "$rate" ]; then
    others=0
    [ "$kill_clients" -eq 0 ] || others=8
    whole=$((fighters + others > 0 ? fighters + others : 1))
    each=$((rate * 4 / whole))
    rate_of_killed=(--rate $((each > 1 ? each : 1)))
    own=$((rate * fighters / whole))
    more+=(--rate $((own > 1 || rate == 0 ? own : 1)))
fi
programs=${CONSORCIO_PROGRAMS:-} # a folder with built programs, for tests of this script
for name in ${!CONSORCIO_@}; do unset "$name"; done
here=$(cd "$(dirname "$0")/.." && pwd)

if [ -z "$programs" ]; then
    (cd "$here" && cargo build --release --bins)
    programs=${CARGO_TARGET_DIR:-$here/target}/release
fi
servidor=$programs/servidor cliente=$programs/cliente

# A wrong command line ends before anything is started.
"$cliente" contention "${more[@]}" --help >/dev/null

folder='' killers=() clients=()
say() { printf '== %s\n' "$1"; }
pid_of() { cat "$folder/$1.pid" 2>/dev/null || true; }
alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

finish() {
    local code=$? pid name
    trap - EXIT
    for pid in "${killers[@]}" "${clients[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${killers[@]}" "${clients[@]}"; do wait "$pid" 2>/dev/null || true; done
    [ -z "$folder" ] || for name in bank-0 bank-1 bank-2 client-0 client-1; do
        pid=$(pid_of "$name")
        [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
        while alive "$pid"; do sleep 0.05; done
    done
    if [ -n "$folder" ]; then
        if [ "$code" -eq 0 ] && [ -z "$keep" ]; then
            cd / && rm -rf "$folder"
        else
            printf '\nThe journals stay in %s\n' "$folder"
        fi
        printf 'The step logs are in %s\n' "$CONSORCIO_LOG_DIR"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
all_free() { free "$1" && free $(($1 + 1)) && free $(($1 + 2)); }
if [ -n "$first" ]; then
    all_free "$first" || { echo "one of the ports $first to $((first + 2)) is taken" >&2 && exit 1; }
else
    first=8886
    taken=''
    while ! all_free "$first"; do
        taken=yes
        first=$((10000 + RANDOM % 22000))
    done
    [ -z "$taken" ] || echo "One of the ports 8886 to 8888 is taken, so others are used; --port chooses them."
fi
ports=("$first" $((first + 1)) $((first + 2)))
consortium=$(IFS=, && echo "${ports[*]}")
logs=$PWD/logs/contention-$(date -u +%Y%m%d-%H%M%S)-$$
mkdir -p "$logs"
chmod 700 "$logs"
export CONSORCIO_LOG_DIR=$logs
folder=$(mktemp -d "${TMPDIR:-/tmp}/consorcio-contention.XXXXXX")
cd "$folder"
"$servidor" key consortium.key >/dev/null

# start BANK: it runs until it is killed; its process is in bank-BANK.pid.
start() {
    : >"bank-$1.out"
    "$servidor" --port "${ports[$1]}" --consortium "$consortium" --key-file consortium.key >"bank-$1.out" 2>&1 &
    echo $! >"bank-$1.pid"
    disown $!
    local until=$((SECONDS + 30))
    until grep -q "ready on" "bank-$1.out"; do
        if ! alive "$(pid_of "bank-$1")" || [ "$SECONDS" -gt "$until" ]; then
            echo "bank $1 does not start:" && cat "bank-$1.out"
            return 1
        fi
        sleep 0.02
    done
}

# pause MS
pause() { sleep "$(($1 / 1000)).$(printf '%03d' $(($1 % 1000)))"; }

kill_banks() {
    while pause "$kill_every"; do
        local bank=$((RANDOM % 3)) pid
        pid=$(pid_of "bank-$bank")
        kill -9 "$pid" && while alive "$pid"; do sleep 0.01; done
        echo "killed and started bank $bank" >>killed
        start "$bank" || { echo "$bank" >start-failed && return 1; }
    done
}

# Two further cliente processes, of which one at a time is killed in the middle of whatever it does.
further() {
    "$cliente" --consortium "$consortium" --name "killed-$1" --output table contention --clients 4 --seconds 86400 \
        "${rate_of_killed[@]}" \
        >"client-$1.out" 2>&1 &
    echo $! >"client-$1.pid"
    disown $!
}
kill_some_clients() {
    while pause "$kill_clients"; do
        local client=$((RANDOM % 2)) pid
        pid=$(pid_of "client-$client")
        kill -9 "$pid" 2>/dev/null || true
        echo "killed and started client $client" >>killed
        further "$client"
    done
}

say "three banks on ports ${ports[*]}, their step logs in $logs"
for bank in 0 1 2; do start "$bank"; done
: >killed
if [ "$kill_clients" -gt 0 ]; then
    for client in 0 1; do further "$client"; done
    kill_some_clients 2>/dev/null &
    killers+=($!)
fi

say "the clients fight"
code=0
CONSORCIO_OUTPUT=table "$cliente" --consortium "$consortium" --name contention contention "${more[@]}" &
run=$!
clients+=("$run")
if [ "$kill_every" -gt 0 ]; then
    # Not before the run has opened its accounts at all three banks: the fourth connection is its first cut's.
    connections() { cat "$logs/cliente-contention.log" 2>/dev/null | grep -c ' connect ' || true; }
    until [ "$(connections)" -ge 4 ] || ! alive "$run"; do sleep 0.05; done
    kill_banks 2>/dev/null &
    killers+=($!)
fi
wait "$run" || code=$?
clients=()

for pid in "${killers[@]}"; do kill "$pid" 2>/dev/null || true; done
for pid in "${killers[@]}"; do wait "$pid" 2>/dev/null || true; done
killers=()
for client in 0 1; do
    pid=$(pid_of "client-$client")
    [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
done
[ ! -e start-failed ] || { echo "a bank did not start again:" >&2 && cat bank-*.out >&2 && exit 1; }
for bank in 0 1 2; do alive "$(pid_of "bank-$bank")" || start "$bank"; done
sort killed | uniq -c
[ "$code" -eq 0 ] || { echo "cliente contention ended with exit code $code" >&2 && exit "$code"; }

# A transaction of a client that was killed is ended by the banks; until then no cut is possible.
until=$((SECONDS + 30))
until "$cliente" --consortium "$consortium" --json audit >audit.out 2>&1; do
    [ "$SECONDS" -le "$until" ] || { cat audit.out >&2 && exit 1; }
    sleep 0.2
done
say "an audit of all banks"
CONSORCIO_OUTPUT=table "$cliente" --consortium "$consortium" audit
say "an audit of their journals"
CONSORCIO_OUTPUT=table "$cliente" audit --journals data
say "Nothing is lost."
