#!/bin/sh
# Runs a program that ends in the middle of its work, in a directory for temporary files of its own,
# and removes what it leaves there. Usage: negative.sh PROGRAM
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
TMPDIR=$dir "$1"
