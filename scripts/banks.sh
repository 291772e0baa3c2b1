#!/usr/bin/env bash
# Three banks with HTTP, in the foreground; Ctrl-C ends all of them.
#
#   scripts/banks.sh                      builds, then lines on 8886 to 8888, HTTP on 5030 to 5032
#   scripts/banks.sh --demo               the same, and the panel may stop, freeze, kill and restart each bank
#   scripts/banks.sh --secure             in closed mode: TLS with certificates in certs/, made at the first start;
#                                         a teller, two holders and an auditor; prints what to type next
#   CONSORCIO_PORT=9000 CONSORCIO_HTTP_PORT=6000 scripts/banks.sh   the same elsewhere
#
# Journals stay in data/ and logs in logs/ of the folder that it is started in, so the banks go on where they ended.
# Further switches go to each bank: scripts/banks.sh --http-origin https://painel.example

set -euo pipefail

# A shell that was started with SIGINT ignored, as in the background of a script, can't trap it: begin once more.
if [[ $(trap -p INT) == *"''"* ]] && env --default-signal=INT true 2>/dev/null; then
    exec env --default-signal=INT "$0" "$@"
fi

case ${1:-} in -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
first=${CONSORCIO_PORT:-8886} first_http=${CONSORCIO_HTTP_PORT:-5030}
for port in "$first" "$first_http"; do
    if ! [[ $port =~ ^[0-9]{1,5}$ ]] || ((10#$port < 1 || 10#$port > 65533)); then
        echo "$port is not the first of three ports: a number from 1 to 65533" >&2
        exit 2
    fi
done
programs=${CONSORCIO_PROGRAMS:-} # a folder with built programs
unset CONSORCIO_PORT CONSORCIO_HTTP CONSORCIO_BANK CONSORCIO_CONSORTIUM
here=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "$programs" ]; then
    (cd "$here" && cargo build --release --locked --bin servidor)
    programs=${CARGO_TARGET_DIR:-$here/target}/release
fi

if [ "${1:-}" = --secure ]; then
    shift
    unset CONSORCIO_AS
    if ! [ -e certs/ca-banks.key ]; then
        # The key of votes that these banks have from open mode goes on.
        if [ -e data/consortium.key ]; then
            mkdir -m 700 -p certs
            cp -p data/consortium.key certs/
        fi
        {
            "$programs/servidor" certs ca
            for bank in 0 1 2; do "$programs/servidor" certs bank $bank --host "bank$bank.localhost"; done
            for name in caixa titular1 titular2 auditor; do "$programs/servidor" certs client $name; done
        } >/dev/null
        (
            umask 077
            printf '[%s]\nroles = ["%s"]\n\n' caixa teller auditor auditor
            printf '[%s]\nroles = ["holder"]\ncpf = ["%s"]\n\n' titular1 11111111111 titular2 33333333333
        ) >certs/access.toml
        chmod 600 certs/access.toml
        password=$("$programs/servidor" password caixa --tls certs --generate 2>/dev/null)
    fi
    cat <<END
Closed mode: certificates in $PWD/certs, of caixa (teller), titular1, titular2 (holders), auditor.
In another terminal:
  cd $PWD; export CONSORCIO_TLS=certs CONSORCIO_CONSORTIUM=$first-$((first + 2)) CONSORCIO_AS=caixa
  cliente client add --bank 0 --cpf 11111111111 --name "Maria Souza"
  cliente client add --bank 2 --cpf 33333333333 --name "Clara Dias"
  cliente account open 0/12345-6 --cpf 11111111111 --deposit 1000
  cliente account open 2/78910-0 --cpf 33333333333
  cliente --as titular1 transfer --from 0/12345-6=200,50 --to 2/78910-0
  cliente --as auditor audit
  curl --cacert certs/ca-banks.crt https://bank0.localhost:$first_http/status
  servidor token caixa     # a bearer token for programs
The panel, in a browser that takes certs/ca-banks.crt: https://bank0.localhost:$first_http/
END
    if [ -n "${password:-}" ]; then
        echo "Log in as caixa; the password is shown this once: $password"
    else
        echo "Log in as caixa; a new password: servidor password caixa --generate"
    fi
    set -- --tls "$PWD/certs" "$@"
fi

demo=
if [ "${1:-}" = --demo ]; then
    shift
    demo=$PWD/data/demo
    mkdir -p "$demo"
    chmod 700 "$demo" # What stands there decides which processes are ended and started.
    rm -f "$demo"/banco-*.json
    set -- --demo "$demo" "$@"
fi

# The processes of a demonstration as they are now: one that was restarted from the panel is no child of this script.
demo_pids() { sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$demo"/banco-*.json 2>/dev/null || true; }

banks=()
finish() {
    trap '' INT TERM
    if [ -n "$demo" ]; then
        for pid in $(demo_pids); do
            # A frozen one hears nothing before it is thawed.
            kill -TERM "$pid" 2>/dev/null && kill -CONT "$pid" 2>/dev/null || true
            for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        done
    fi
    for pid in "${banks[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${banks[@]}"; do wait "$pid" || true; done
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for bank in 0 1 2; do
    # A group of its own, so that Ctrl-C comes here alone and the banks are told once.
    setsid "$programs/servidor" --port $((first + bank)) --consortium "$first-$((first + 2))" \
        --http "127.0.0.1:$((first_http + bank))" "$@" &
    banks+=($!)
done
if [ -n "$demo" ]; then
    # Banks die and come back here: only Ctrl-C ends the demonstration.
    sleep infinity &
    wait $!
fi
# One that ends by itself takes the others along.
wait -n && code=0 || code=$?
echo "a bank has ended (exit code $code), so the others end too" >&2
exit "$code"
