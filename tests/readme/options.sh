# Each option of tallyd --help stands in the README, and tallyd takes it.
# usage: options.sh README.md tallyd
set -eu
readme=$1
tallyd=$2
options=$("$tallyd" --help | grep -oE -- '--[a-z]+(-[a-z]+)*=' | sort -u)
count=0
failed=0
for option in $options; do
    count=$((count + 1))
    if ! grep -qF -- "${option%=}" "$readme"; then
        echo "README.md lacks ${option%=}"
        failed=1
    fi
    # what argp says of an option that stands in the list and has no case in parse_option
    if "$tallyd" "${option}1" --version 2>&1 | grep -F 'should have been recognized'; then
        echo "tallyd does not take ${option%=}"
        failed=1
    fi
done
[ "$count" -ge 10 ] || { echo "only $count options in --help"; exit 1; }
exit "$failed"
