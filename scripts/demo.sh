#!/usr/bin/env bash
# Three banks and their clients, from nothing: what commits, what aborts, and what happens when somebody is killed.
#
#   scripts/demo.sh                      builds, then shows it on ports 8886, 8887 and 8888
#   scripts/demo.sh --step               waits for Enter between chapters, and after each phase of a transaction
#   CONSORCIO_PORT=9000 scripts/demo.sh  the same on 9000, 9001 and 9002
#
# Each line that begins with $ is the very command that runs next; it can be typed in another terminal as well.
# Every step is checked; it ends with 0 only if all of them hold. It stops what it started, and leaves nothing
# behind but the logs.

set -euo pipefail

# A shell that was started with SIGINT ignored, as in the background of a script, can't trap it: begin once more.
if [[ $(trap -p INT) == *"''"* ]] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT "$0" "$@"
fi

step=''
usage() { sed -n '2,10s/^# \{0,1\}//p' "$0"; }
case "$*" in
'') ;;
--step) step=1 ;;
-h | --help) usage && exit 0 ;;
*) usage >&2 && exit 2 ;;
esac
first=${CONSORCIO_PORT:-8886}
if ! [[ $first =~ ^[0-9]{1,5}$ ]] || ((10#$first < 1 || 10#$first > 65533)); then
    echo "CONSORCIO_PORT is the first of three ports: a number from 1 to 65533" >&2
    exit 2
fi
programs=${CONSORCIO_PROGRAMS:-} # a folder with built programs, for tests of this script
# What the programs would take from the environment must not change what is shown.
for name in ${!CONSORCIO_@}; do unset "$name"; done
export CONSORCIO_LANG=en # its words are checked below
export CONSORCIO_OUTPUT=table # also where nobody sits at a terminal
ports=("$first" $((first + 1)) $((first + 2)))
consortium=$first-$((first + 2))
list=() # 8886-8888 is what the programs take by default
[ "$first" -eq 8886 ] || list=(--consortium "$consortium")
# What a paused client reads: the person's Enter, or the end of its input, at which it goes on at once.
if [ -n "$step" ]; then exec 6<&0; else exec 6</dev/null; fi
here=$(cd "$(dirname "$0")/.." && pwd)

# --- words, checks, and an end that leaves nothing running -----------------------------------------------------------

bold='' dim='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'; fi

# The programs write into pipes and files; what they write still fits this terminal.
columns=''
if [ -t 1 ]; then { columns=$(stty size <&3 2>/dev/null) && columns=${columns#* } || columns=''; } 3<&1; fi
[ "${columns:-0}" = 0 ] && columns='' || export COLUMNS=$columns
fit() { if [ -n "$columns" ]; then fold -s -w "$columns"; else cat; fi; }

folder='' client='' banks=('' '' '')

finish() {
    local code=$? pid
    trap - EXIT
    for pid in "${banks[@]}" "$client"; do
        [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true
    done
    if [ -n "$folder" ]; then
        case $code in
        0) ;;
        130 | 143) printf '\nInterrupted.\n' >&2 ;;
        *) cat "$folder"/*.out >&2 || true ;;
        esac
        for pid in "${banks[@]}"; do
            while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
        done
        rm -rf "$folder/data" "$folder/consortium.key" "$folder/go" "$folder"/*.out
        case $code in
        0 | 130 | 143) ;;
        *) printf '\n%sA step did not hold.%s\n' "$red" "$plain" >&2 ;;
        esac
        printf '\nThe logs stay in %s/logs\n' "$folder"
    fi
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

chapters=0
chapter() {
    if [ -n "$step" ] && [ "$chapters" -gt 0 ]; then
        printf '\n%sEnter goes on with: %s%s' "$dim" "$1" "$plain"
        read -r <&6 || step='' # the end of the input: nobody is there to wait for
        [ -t 6 ] || echo
    fi
    chapters=$((chapters + 1))
    printf '\n%s== %s%s\n' "$bold" "$1" "$plain"
}
say() { printf '%s%s%s\n' "$dim" "$(fit <<<"$1")" "$plain"; }
fail() {
    printf '%sDoes not hold: %s%s\n' "$red" "$1" "$plain" >&2
    exit 1
}
same() { [ "$1" = "$2" ] || fail "$3: $1 instead of $2"; }

# typed WORD...: the command line that runs next, word for word, quoted as a shell needs it.
typed() {
    local word line=''
    for word in "$@"; do
        case $word in
        *[\"\$\`\\]*) line+=" $(printf '%q' "$word")" ;;
        '' | *[!A-Za-z0-9_./:=,@+-]*) line+=" \"$word\"" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '%s$%s%s\n' "$bold" "$line" "$plain"
}

# within SECONDS WHAT COMMAND...: tries until it succeeds.
within() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -le "$until" ] || fail "$what"
        sleep 0.02
    done
}

# expect CODE WORDS ARGUMENT...: shows a run of cliente, which ends with this code and says these words.
expect() {
    local code=$1 words=$2 got=0
    shift 2
    set -- cliente "${list[@]}" "$@"
    typed "$@"
    # Ctrl-C is for cliente, whose last words tee still shows.
    "$@" <&6 2>&1 | tee -i run.out || got=$?
    [ "$got" -eq "$code" ] || fail "exit code $got instead of $code"
    # A sentence may go on in the next line.
    tr -s ' \n' ' ' <run.out | grep -qF -- "$words" || fail "\"$words\" in its output"
}

# What the script itself asks goes into another log than what it shows.
ask() { cliente "${list[@]}" --name cliente-observer --json "$@"; }
balance() { ask balance "$1" | sed 's/.*"balance":\([0-9]*\).*/\1/'; }
all_money() { ask status | sed 's/.*"cut":{[^}]*"balance_total":\([0-9]*\).*/\1/'; }
all_read() { [ "$(ask get | grep -o '"value":"[^"]*"' | sort | uniq -c | tr -s ' ')" = " 3 \"value\":\"$1\"" ]; }
nothing_pending() { ask pending >pending.out && ! grep -q '"tx"' pending.out; }
# agreed TX OUTCOME: every bank that voted tells this outcome.
agreed() {
    ask resolve "$1" >resolve.out || true
    [ "$(grep -o '"says":"[a-z]*"' resolve.out | grep -v unknown | sort -u)" = "\"says\":\"$2\"" ]
}
free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
    : >"bank-$1.out"
    set -- "$1" servidor --port "${ports[$1]}" "${list[@]}" --key-file consortium.key
    printf '%s &\n' "$(typed "${@:2}")"
    "${@:2}" >"bank-$1.out" 2>&1 </dev/null &
    banks[$1]=$!
    disown "${banks[$1]}" # or bash would tell of its death
    within 15 "bank $1 gets ready" grep -q "^servidor: bank $1 ready on " "bank-$1.out"
    fit <"bank-$1.out"
}

kill_bank() {
    typed kill -9 "${banks[$1]}"
    kill -9 "${banks[$1]}"
    within 10 "bank $1 is dead" free "${ports[$1]}"
    banks[$1]=''
}

# paused NAME TX ARGUMENT...: a client that has every OK and waits, before its COMMIT, for a line on its input.
paused() {
    local name=$1 tx=$2
    shift 2
    rm -f go && mkfifo go && exec 5<>go
    set -- cliente "${list[@]}" --name "$name" "$@" --tx "$tx" --step
    typed "$@"
    : >"$name.out"
    "$@" <go >"$name.out" 2>&1 &
    client=$!
    within 10 "every bank votes OK" grep -q "^Enter sends COMMIT" "$name.out"
    cat "$name.out"
}

# --- build and start -------------------------------------------------------------------------------------------------

if [ -z "$programs" ]; then
    chapter "Build"
    (cd "$here" && cargo build --release --bins)
    programs=${CARGO_TARGET_DIR:-$here/target}/release
fi
programs=$(cd "$programs" && pwd)
PATH=$programs:$PATH

for port in "${ports[@]}"; do
    free "$port" || {
        echo "Port $port is taken. Choose three others: CONSORCIO_PORT=9000 scripts/demo.sh" >&2
        exit 1
    }
done
folder=$(mktemp -d "${TMPDIR:-/tmp}/consorcio-demo.XXXXXX")
cd "$folder"

chapter "Three banks, with a fresh key, in a folder of their own"
say "To look around in another terminal meanwhile:"
printf 'cd %s && PATH=%s:$PATH\n' "$folder" "$programs"
[ "$first" -eq 8886 ] || printf 'export CONSORCIO_CONSORTIUM=%s\n' "$consortium"
typed servidor key consortium.key
servidor key consortium.key
for bank in 0 1 2; do start "$bank"; done

# --- one value -------------------------------------------------------------------------------------------------------

chapter "One value at three banks: all of them change it, or none does"
say "In two phases: every bank votes, and then every bank learns the outcome."
expect 0 "OKs 3/3" set 1 --step
expect 0 "storage" get
all_read 1 || fail "every bank reads 1"

chapter "A second client, while the first holds the register"
say "The first is a person: PREPARE typed by hand at bank 0, with a minute of patience, and no COMMIT yet."
exec 4<>"/dev/tcp/127.0.0.1/${ports[0]}"
sets=$(for bank in 0 1 2; do printf '{"bank":%d,"op":"set","value":"7"},' "$bank"; done)
for line in "PREPARE by-hand {\"ops\":[${sets%,}],\"patience_ms\":60000}" "ABORT by-hand"; do
    printf '%s> %s%s\n' "$bold" "$line" "$plain"
    printf '%s\n' "$line" >&4
    read -rt 10 reply <&4 || fail "bank 0 answers"
    printf '< %s\n' "$reply"
    if [[ $line == PREPARE* ]]; then
        [[ $reply == "OK by-hand "* ]] || fail "bank 0 votes OK"
        expect 4 "locked" set 2
        say "Bank 0 refused, so all abort. Now the person gives up; banks 1 and 2 never voted on it, so it can be refused."
    else
        [[ $reply == "ABORTED by-hand "* ]] || fail "it is aborted"
    fi
done
exec 4>&-
all_read 1 || fail "every bank still reads 1"
say "Nothing changed: every bank still reads 1."

# --- money -----------------------------------------------------------------------------------------------------------

chapter "Clients and accounts"
expect 0 "Maria" client add --bank 0 --cpf 11111111111 --name "Maria Souza"
expect 0 "Pedro" client add --bank 1 --cpf 22222222222 --name "Pedro Lima"
expect 0 "Clara" client add --bank 2 --cpf 33333333333 --name "Clara Dias"
expect 0 "1.000,00" account open 0/12345-6 --cpf 11111111111 --deposit 1000
expect 0 "800,00" account open 1/45678-0 --cpf 22222222222 --deposit 800
expect 0 "R\$ 0,00" account open 2/78910-0 --cpf 33333333333
before=$(all_money)
same "$before" 180000 "all money, in centavos"

chapter "A transfer across two banks"
expect 0 "OKs 2/2" transfer --from 0/12345-6=150,50 --to 2/78910-0
same "$(balance 0/12345-6) $(balance 2/78910-0)" "84950 15050" "the balances"

chapter "A composite transfer: out of two banks into a third, all or nothing"
expect 0 "OKs 3/3" transfer --from 0/12345-6=200 --from 1/45678-0=300 --to 2/78910-0 --tx composite-1
same "$(balance 0/12345-6) $(balance 1/45678-0) $(balance 2/78910-0)" "64950 50000 65050" "the balances"

chapter "One bank refuses, so every bank aborts"
expect 4 "insufficient-funds" transfer --from 0/12345-6=100 --from 1/45678-0=900 --to 2/78910-0
within 10 "no bank holds anything for it" nothing_pending
expect 0 "12345-6" accounts
same "$(balance 0/12345-6) $(balance 1/45678-0) $(balance 2/78910-0)" "64950 50000 65050" "no balance moved"

# --- killed ----------------------------------------------------------------------------------------------------------

chapter "kill -9 of a bank, between its OK and the COMMIT"
paused cliente-2 killed-bank transfer --from 0/12345-6=49,50 --to 2/78910-0
kill_bank 2
say "Bank 2 has voted OK and is dead. Every OK is in: nobody can abort any more, and the client commits."
lines=$(wc -l <cliente-2.out)
printf '\n\n' >&5 # Enter, after each of the two phases
wait "$client" || fail "the client commits"
client=''
tail -n "+$((lines + 1))" cliente-2.out
grep -q "^committed" cliente-2.out || fail "the client commits"
say "Bank 2 starts again, finds its OK in its journal, asks the others, and commits too."
start 2
within 15 "both banks tell the same outcome" agreed killed-bank committed
expect 0 "committed" resolve killed-bank
same "$(balance 0/12345-6) $(balance 2/78910-0)" "60000 70000" "the balances"

chapter "kill -9 of a client, after its PREPAREs"
paused cliente-3 killed-client transfer --from 2/78910-0=100 --to 1/45678-0
disown "$client"
typed kill -9 "$client"
kill -9 "$client"
client=''
say "The client is dead and never said COMMIT. The banks see it go, ask each other, and end it by themselves."
within 15 "the banks end it" nothing_pending
expect 0 "committed" resolve killed-client
same "$(balance 2/78910-0) $(balance 1/45678-0)" "60000 60000" "the balances"

# --- the sum, and the steps ------------------------------------------------------------------------------------------

chapter "All money, before and after"
expect 0 "it adds up" status
after=$(all_money)
same "$after" "$before" "all money, in centavos"
say "Before: $before centavos. After: $after centavos."

chapter "The steps of one transaction, out of all logs, by time"
steps='grep -h "tx=composite-1 " logs/*.log | sort'
# A bank's log shows a step within 100 ms.
logged() { [ "$(eval "$steps" | grep -c "Z $1 ")" -eq 3 ]; }
within 10 "three votes in the logs" logged vote
within 10 "three outcomes in the logs" logged outcome
printf '%s$ %s%s\n' "$bold" "$steps" "$plain"
eval "$steps" | fit

chapter "The end"
for bank in 0 1 2; do
    typed kill "${banks[$bank]}"
    kill "${banks[$bank]}"
    within 12 "bank $bank ends in order" free "${ports[$bank]}"
    banks[$bank]=''
done
say "Every step held. Each program kept one log; each line has a time, an event, a transaction, an address:"
ls logs
