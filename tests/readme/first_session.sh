#!/bin/sh
# Types the README's first session against a fresh server, kills it where the README says so, and
# compares what comes back, line by line. Usage: first_session.sh README TALLYD TALLY_WAL
set -eu
readme=$1 tallyd=$2 inspector=$3
dir=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap end EXIT

start() {
    : >"$dir/ready"
    "$tallyd" --port 0 --data "$dir/data" >"$dir/ready" 2>>"$dir/log" &
    server=$!
    # tail ends at the first line: the server's word that it serves
    timeout 20 sh -c 'until grep -q "^tallyd ready on" "$1"; do tail -n +1 -s 0.02 --pid="$2" -f "$1" | head -n 1 >/dev/null; done' \
        sh "$dir/ready" "$server" || { cat "$dir/log"; exit 1; }
    port=$(sed -n 's/^tallyd ready on .*://p' "$dir/ready")
}

# What may differ from run to run: ages, times, what is left of a lease, and how many votes were
# combined, and so the lsns.
mask() {
    tr -d '\r' | sed 's/lsn=[0-9]*/lsn=*/; s/rate_per_min=[0-9]*/rate_per_min=*/; s/ [1-5]\{0,1\}[0-9]\{1,4\} again/ 60000 again/; s/oldest_ms=[0-9]*/oldest_ms=*/; s/^> [0-9]* [0-9]*/> * */'
}

# The console blocks, with a mark where the README says to kill the server.
awk '/^Now `kill -9`/ {print "!kill"} /^```console/ {inside = 1; next} /^```/ {inside = 0} inside' \
    "$readme" >"$dir/session"
start
commands=0
: >"$dir/wanted"
: >"$dir/got"
while IFS= read -r line; do
    case $line in
    '!kill')
        kill -9 "$server"
        wait "$server" 2>/dev/null || true
        start
        ;;
    '$ '*)
        commands=$((commands + 1))
        command=$(printf '%s\n' "${line#\$ }" | sed "s|nc 127.0.0.1 8259|nc -w 10 127.0.0.1 $port|
            s|build/release/tools/tally-wal|$inspector|; s|\./data|$dir/data|")
        printf '%s\n' "$line" >>"$dir/wanted"
        printf '%s\n' "$line" >>"$dir/got"
        case $line in
        *verify*) sh -c "$command" >/dev/null 2>&1 ;;
        *) sh -c "$command" 2>/dev/null >>"$dir/got" ;;
        esac
        ;;
    *) printf '%s\n' "$line" >>"$dir/wanted" ;;
    esac
done <"$dir/session"
mask <"$dir/wanted" >"$dir/wanted.masked"
mask <"$dir/got" >"$dir/got.masked"
diff "$dir/wanted.masked" "$dir/got.masked"
[ "$commands" -ge 8 ] || { echo "only $commands commands found in the README"; exit 1; }
echo "$commands commands of the README answered as it says"
