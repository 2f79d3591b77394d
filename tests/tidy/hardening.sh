#!/bin/sh
# Reads how a binary was hardened: hardening.sh BINARY fails if anything is missing, and says what.
# hardening.sh --bare BINARY wants everything missing, and so shows that each check can fail.
set -eu

bare=no
if [ "$1" = --bare ]; then
    bare=yes
    shift
fi
binary=$1
checks=0
missing=0

# check NAME REMEDY PATTERN: the pattern must occur in what stands on the standard input.
check() {
    checks=$((checks + 1))
    if ! grep -qE -- "$3"; then
        missing=$((missing + 1))
        echo "$binary: no $1: $2"
    fi
}

LC_ALL=C
export LC_ALL
readelf -hW "$binary" | check "position independent code" "link with -pie" 'Type: +DYN'
readelf -dW "$binary" | check "immediate binding" "link with -Wl,-z,now" 'FLAGS.*\bNOW\b|BIND_NOW'
readelf -lW "$binary" | check "read-only relocations" "link with -Wl,-z,relro" 'GNU_RELRO'
readelf -lW "$binary" |
    check "stack without execution" "link with -Wl,-z,noexecstack" 'GNU_STACK.* RW '
readelf --dyn-syms -W "$binary" |
    check "stack protector" "compile with -fstack-protector-strong" '__stack_chk_fail'
readelf --dyn-syms -W "$binary" |
    check "fortified calls" "compile with -D_FORTIFY_SOURCE=3" \
        '__(mem|str|v?[sfd]?n?printf)[a-z]*_chk'
if [ "$(uname -m)" = x86_64 ]; then
    readelf -nW "$binary" | check "shadow stack note" "link with -Wl,-z,shstk" 'SHSTK'
    objdump -d --no-show-raw-insn --disassemble=main "$binary" |
        check "landing pads for indirect branches" "compile with -fcf-protection=full" 'endbr64'
fi

if [ $bare = yes ]; then
    echo "$missing of $checks checks fail on a bare binary"
    [ $missing -eq $checks ]
else
    [ $missing -eq 0 ]
fi
