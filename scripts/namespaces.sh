#!/usr/bin/env bash
# Three banks in closed mode on three machines, each a network namespace with an address of its own, and a machine for
# the CAs and the clients. While transfers go on, a bank's certificate is renewed, both CAs are replaced, and a name is
# taken out, as docs/SECURITY.md says. At the end no transfer was refused or lost, and an audit holds.
#
#   scripts/namespaces.sh              builds, then runs it in about half a minute
#   scripts/namespaces.sh --keep       leaves the folder of it, with all logs, and prints its name
#   CONSORCIO_PROGRAMS=target/debug scripts/namespaces.sh   with programs that are built already
#
# It needs unshare and ip, and no rights: it makes a user namespace. Exit code 3: the system does not allow one.
set -euo pipefail

case ${1:-} in
-h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0" && exit 0 ;;
--keep | --inside | '') ;;
*) echo "unknown: $1" >&2 && exit 2 ;;
esac

if [ "${1:-}" != --inside ]; then
    here=$(cd "$(dirname "$0")/.." && pwd)
    programs=${CONSORCIO_PROGRAMS:-}
    if [ -z "$programs" ]; then
        (cd "$here" && cargo build --release --locked --bins)
        programs=${CARGO_TARGET_DIR:-$here/target}/release
    fi
    programs=$(cd "$programs" && pwd)
    for tool in unshare ip; do
        command -v "$tool" >/dev/null || { echo "$tool is needed, and is not installed" >&2 && exit 3; }
    done
    if ! unshare --user --map-root-user --net --mount true 2>/dev/null; then
        echo "the system allows no namespaces here" >&2
        exit 3
    fi
    folder=$(mktemp -d)
    [ "${1:-}" = --keep ] || trap 'rm -rf "$folder"' EXIT
    code=0
    # All of it ends with this process.
    unshare --user --map-root-user --net --mount --pid --fork --kill-child --mount-proc \
        env "PATH=$programs:$PATH" "FOLDER=$folder" "$here/scripts/namespaces.sh" --inside || code=$?
    [ "${1:-}" != --keep ] || echo "all files: $folder"
    exit "$code"
fi

cd "$FOLDER"
umask 077
unset CONSORCIO_TLS CONSORCIO_AS CONSORCIO_CONSORTIUM CONSORCIO_PORT
addresses=(10.77.0.10 10.77.0.11 10.77.0.12)
consortium=${addresses[0]}:8886,${addresses[1]}:8886,${addresses[2]}:8886
bank_pids=()

step() { echo "- $*"; }
fail() {
    echo "FAILED: $*" >&2
    tail -n 5 bank-*/stderr >&2 || true
    exit 1
}

# Waits until a command succeeds, at most 20 s.
await() {
    local what=$1 tries=0
    shift
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -le 400 ] || fail "waited 20 s in vain: $what"
        sleep 0.05
    done
}

as() {
    local name=$1
    shift
    CONSORCIO_TLS=$FOLDER/clients/$name CONSORCIO_AS=$name CONSORCIO_CONSORTIUM=$consortium cliente --log-dir logs "$@"
}

# Copies what a client needs. The folder is exchanged at once: a program that starts meanwhile finds one or the other.
to_client() {
    local name=$1 new
    new=$(mktemp -d clients/.XXXXXX)
    cp -p "ca/$name.crt" "ca/$name.key" ca/ca-banks.crt "$new/"
    ln -s "$(basename "$new")" "clients/$name.new"
    mv -T "clients/$name.new" "clients/$name"
}

to_bank() { cp -p "ca/bank-$1.crt" "ca/bank-$1.key" ca/ca-banks.crt ca/ca-clients.crt "bank-$1/tls/"; }

times_read() { grep -c "$2 read again" "bank-$1/stderr" || true; }
was_read() { [ "$(times_read "$1" "$2")" -gt "$3" ]; }

# Sends SIGHUP to a bank and waits until it says that it has read everything again.
read_again() {
    local bank=$1 files names
    files=$(times_read "$bank" are) names=$(times_read "$bank" is)
    kill -HUP "${bank_pids[$bank]}"
    await "bank $bank reads its certificates" was_read "$bank" are "$files"
    await "bank $bank reads access.toml" was_read "$bank" is "$names"
}

all_read_again() { for bank in 0 1 2; do read_again $bank; done; }

step "three machines and one for the CAs, on one network"
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add net0 type bridge
ip address add 10.77.0.1/24 dev net0
ip link set net0 up
for bank in 0 1 2; do
    ip netns add "bank$bank"
    ip link add "port$bank" type veth peer name eth0 netns "bank$bank"
    ip link set "port$bank" master net0 up
    ip -n "bank$bank" link set lo up
    ip -n "bank$bank" address add "${addresses[$bank]}/24" dev eth0
    ip -n "bank$bank" link set eth0 up
done

step "servidor certs makes all certificates; each machine gets its own"
mkdir clients logs
{
    servidor certs ca --dir ca
    for bank in 0 1 2; do servidor certs bank $bank --dir ca; done
    for name in caixa carga titular1 titular2 auditor; do servidor certs client $name --dir ca; done
} >certs.log
for name in caixa carga titular1 titular2 auditor; do to_client $name; done
for bank in 0 1 2; do
    mkdir -p "bank-$bank/tls"
    to_bank $bank
    cp -p ca/consortium.key "bank-$bank/tls/"
    {
        printf '[%s]\nroles = ["%s"]\n\n' caixa teller auditor auditor
        printf '[carga]\nroles = ["teller", "auditor"]\n\n'
        printf '[%s]\nroles = ["holder"]\ncpf = ["%s"]\n\n' titular1 11111111111 titular2 33333333333
    } >"bank-$bank/tls/access.toml"
done

step "the banks start"
for bank in 0 1 2; do
    ip netns exec "bank$bank" servidor --tls "bank-$bank/tls" --host "${addresses[$bank]}" --port 8886 --bank $bank \
        --consortium "$consortium" --data-dir "bank-$bank/data" --log-dir "bank-$bank/logs" 2>"bank-$bank/stderr" \
        >"bank-$bank/stdout" &
    bank_pids+=($!)
done
opened() { as auditor status >status.log 2>&1; }
await "the banks answer" opened
as caixa client add --bank 0 --cpf 11111111111 --name "Maria Souza" >>clients.log
as caixa client add --bank 2 --cpf 33333333333 --name "Clara Dias" >>clients.log
as caixa account open 0/12345-6 --cpf 11111111111 --deposit 1000 >>clients.log
as caixa account open 2/78910-0 --cpf 33333333333 --deposit 1000 >>clients.log

step "transfers begin: one centavo each, each by a new connection of titular1; and loads of carga"
transfers() {
    local number=0
    until [ -e stop ]; do
        number=$((number + 1))
        # A failure must not end the loop: it is counted.
        if as titular1 transfer --from 0/12345-6=0,01 --to 2/78910-0 >>transfers.out 2>>transfers.err; then
            echo "$number" >>committed
        else
            echo "$number at $(date -u +%H:%M:%S.%3N)" >>failed
        fi
    done
}
touch committed failed
transfers &
transfers_pid=$!
# A program reads its files as it starts, so each load begins with those of before a step, and ends after it.
begin_load() {
    as carga bench --yes --clients 2 --accounts 20 --seconds 2 --csv >load.new 2>load.err &
    load_pid=$!
}
end_load() {
    wait "$load_pid" || fail "the load failed: $(cat load.err)"
    tail -n 1 load.new >>load.csv
}
# How many transfers there were before each step; some more must have gone through before the next one.
more_committed() { [ "$(wc -l <committed)" -ge "$1" ]; }
settle() { await "transfers go on" more_committed $(($(wc -l <committed) + 5)); }
settle

step "bank 1's certificate is renewed"
begin_load
servidor certs bank 1 --renew --dir ca >>certs.log
to_bank 1
read_again 1
settle
end_load

step "another CA of each kind beside the first, everywhere"
begin_load
cp -p ca/ca-banks.crt first-banks.crt
cp -p ca/ca-clients.crt first-clients.crt
cp -rp "$(readlink -f clients/titular2)" first-titular2
servidor certs ca --renew --dir ca >>certs.log
for bank in 0 1 2; do to_bank $bank; done
for name in caixa carga titular1 titular2 auditor; do to_client $name; done
all_read_again
settle
end_load

step "all certificates anew, by the new CAs"
begin_load
for bank in 0 1 2; do
    servidor certs bank $bank --renew --dir ca >>certs.log
    to_bank $bank
done
all_read_again
for name in caixa carga titular1 titular2 auditor; do
    servidor certs client $name --renew --dir ca >>certs.log
    to_client $name
done
settle
end_load

step "the first CAs are taken out, everywhere"
begin_load
# The certificates of the second file that are not in the first one.
without() {
    awk 'NR == FNR { first = first $0 "\n"; next }
        /-BEGIN/ { text = "" }
        { text = text $0 "\n" }
        /-END/ && !index(first, text) { printf "%s", text }' "$1" "$2"
}
for kind in banks clients; do
    without first-$kind.crt ca/ca-$kind.crt >new.crt
    [ "$(grep -c BEGIN new.crt)" = 1 ] || fail "ca-$kind.crt has not two CAs"
    cat new.crt >ca/ca-$kind.crt
done
for bank in 0 1 2; do to_bank $bank; done
for name in caixa carga titular1 titular2 auditor; do to_client $name; done
all_read_again
settle
end_load
cp ca/ca-banks.crt first-titular2/
rm -rf clients/former && mv first-titular2 clients/former
if CONSORCIO_TLS=clients/former CONSORCIO_AS=titular2 CONSORCIO_CONSORTIUM=$consortium \
    cliente --log-dir logs ping >former.out 2>&1; then
    fail "a certificate of the first CA still counts"
fi
as titular2 transfer --from 2/78910-0=1 --to 0/12345-6 >>clients.log

step "titular2 is taken out and refused at once"
begin_load
for bank in 0 1 2; do
    sed -i '/^\[titular2\]/,/^$/d' "bank-$bank/tls/access.toml"
    printf '[titular2]\ngone = %s\n' "$(date -u +%Y-%m-%d)" >>"bank-$bank/tls/access.toml"
done
all_read_again
if as titular2 transfer --from 2/78910-0=1 --to 0/12345-6 >gone.out 2>&1; then
    fail "titular2 still moves money"
fi
settle
end_load

touch stop
wait "$transfers_pid"
as auditor audit >audit.out 2>&1 || fail "the audit: $(cat audit.out)"
for bank in 2 1 0; do kill -TERM "${bank_pids[$bank]}"; done
for bank in 0 1 2; do wait "${bank_pids[$bank]}" || fail "bank $bank ended with $?"; done

[ ! -s failed ] || fail "transfers failed: $(cat failed) $(tail -n 3 transfers.err)"
echo "titular1 moved $(wc -l <committed) times one centavo, and none failed"
echo "loads beside each step, a second: $(cut -d, -f 11 load.csv | tr '\n' ' ')"
[ "$(cut -d, -f 12 load.csv | sort -u)" = 0 ] || fail "transfers of a load were not committed: $(cat load.csv)"
cat audit.out
echo "a certificate of the first CA is refused: $(tail -n 1 former.out)"
echo "a name that is gone is refused: $(tail -n 1 gone.out)"
