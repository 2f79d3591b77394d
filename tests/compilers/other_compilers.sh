#!/bin/sh
# Configures and builds the log as others will: with a compiler that does not know our newest flags,
# with one that warns of everything, for size; and for a target of 32 bits, which is refused.
# Usage: other_compilers.sh SOURCE
set -eu
source=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset CFLAGS LDFLAGS CPPFLAGS CC

fail() {
    echo "$*"
    cat "$dir/said"
    exit 1
}

configure() {
    build=$1
    shift
    cmake -G Ninja -S "$source" -B "$dir/$build" -DTALLY_TESTS=OFF "$@" >"$dir/said" 2>&1
}

# Older than our flags, and with warnings that no gcc of today has.
cat >"$dir/older-cc" <<'CC'
#!/bin/sh
for flag in "$@"; do
    case $flag in
    -ftrivial-auto-var-init=* | -fcf-protection=* | -fstack-clash-protection)
        echo "cc: error: unrecognized command-line option '$flag'" >&2
        exit 1
        ;;
    esac
done
exec gcc "$@" -Wtraditional -Wdeclaration-after-statement
CC
chmod +x "$dir/older-cc"
configure older -DCMAKE_C_COMPILER="$dir/older-cc" -DCMAKE_BUILD_TYPE=MinSizeRel ||
    fail 'a compiler without our newest flags is not taken'
cmake --build "$dir/older" --target tally_wal >"$dir/said" 2>&1 ||
    fail 'a warning of another compiler is an error'
grep -q 'warning:' "$dir/said" || fail 'the compiler that warns of everything does not warn'

! configure narrow -DCMAKE_C_COMPILER=clang -DCMAKE_C_FLAGS=-m32 \
    -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY || fail 'a target of 32 bits is taken'
grep -q 'tally takes a 64-bit target' "$dir/said" || fail 'a target of 32 bits is not refused by name'
echo 'other compilers build it, and a target of 32 bits is refused'
