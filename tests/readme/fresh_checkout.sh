#!/bin/sh
# Follows the README from its top on a checkout in which nothing was built, with an environment that
# means no good, and goes through its first session with what that has built.
# Usage: fresh_checkout.sh SOURCE
set -eu
source=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
    echo "$*"
    cat "$dir/said" 2>/dev/null || true
    exit 1
}

mkdir "$dir/checkout" "$dir/bin"
(cd "$source" && tar -cf - --exclude=./build --exclude=./.git --exclude=./data .) |
    tar -xf - -C "$dir/checkout"
cd "$dir/checkout"

# A build directory that came along from another place.
mkdir -p build/release
printf '%s\n' "CMAKE_CACHEFILE_DIR:INTERNAL=$dir/elsewhere/build/release" \
    "CMAKE_HOME_DIRECTORY:INTERNAL=$dir/elsewhere" >build/release/CMakeCache.txt

# Decoys for cd, flags that no compiler knows, a generator that is none.
mkdir -p "$dir/tools" "$dir/checkout/tools/tools"
unfriendly="CDPATH=.:.. IFS=/ LC_ALL=xx_XX LANG=tr_TR CFLAGS=-fno-such-flag LDFLAGS=-Wl,--no-such
    CPPFLAGS=-Dmain=niam CMAKE_GENERATOR=none CLICOLOR_FORCE=1 GREP_OPTIONS=-v"
run() {
    (umask 077 && env $unfriendly sh tools/run "$@") >"$dir/out" 2>"$dir/said" ||
        fail "sh tools/run $* ended with an error"
}

run --port 7777 --version
grep -q '^tallyd ' "$dir/out" || fail 'tallyd does not say its version'
grep -q 'nc 127.0.0.1 7777' "$dir/said" || fail 'tools/run does not print the port it was given'
! grep -q 8259 "$dir/said" || fail 'tools/run prints a port that nobody listens on'
run --version
grep -q 'nc 127.0.0.1 8259' "$dir/said" || fail 'tools/run does not print its own port'
[ -x build/release/tools/tally-wal ] || fail 'tools/run has not built what the README uses'

# The commands of the README, with nothing but what tools/run has built.
sh tests/readme/first_session.sh README.md build/release/tools/tallyd \
    build/release/tools/tally-wal

# A machine without apt-get.
for tool in id sed grep env cat; do
    ln -s "$(command -v $tool)" "$dir/bin/$tool"
done
shell=$(command -v sh)
PATH=$dir/bin "$shell" tools/deps build >"$dir/said" 2>&1 || fail 'tools/deps ends without apt-get'
grep -q 'no apt-get here' "$dir/said" || fail 'tools/deps does not say that there is no apt-get'
! grep -q 'not found' "$dir/said" || fail 'tools/deps calls what is not there'
echo 'the README works on a fresh checkout'
