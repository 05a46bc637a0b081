#!/bin/sh
# Checks that the packages of the groups named on the command line are there. As root it installs what is
# missing, otherwise it prints the one line that does, and fails.
#
#   sh tools/deps.sh GROUP ...        groups: build test demo lint fuzz all
#   sh tools/deps.sh --list GROUP ... only prints the packages
set -eu

# package, or package:command where any program of that name will do
build="gcc:gcc libc6-dev liblua5.4-dev libopenblas-serial-dev libzmq3-dev libsodium-dev
       libedit-dev zlib1g-dev"
test="libcmocka-dev"
demo="npm:npm ca-certificates"
lint="clang-format:clang-format cppcheck:cppcheck lua-check:luacheck"
fuzz="clang:clang libfuzzer-14-dev libclang-rt-14-dev"

list=
if [ "${1-}" = --list ]; then list=yes; shift; fi
wanted=
for group; do
    case $group in
        build) wanted="$wanted $build" ;;
        test) wanted="$wanted $test" ;;
        demo) wanted="$wanted $demo" ;;
        lint) wanted="$wanted $lint" ;;
        fuzz) wanted="$wanted $fuzz" ;;
        all) wanted="$wanted $build $test $demo $lint $fuzz" ;;
        *) echo "deps: no group $group" >&2; exit 2 ;;
    esac
done

missing=
for entry in $wanted; do
    package=${entry%%:*}
    if [ "$list" ]; then echo "$package"; continue; fi
    if [ "$entry" != "$package" ] && command -v "${entry#*:}" >/dev/null 2>&1; then continue; fi
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "deps: no apt-get here; please install what Debian calls:$missing" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "Some packages are missing. Please run:" >&2
    echo "  sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of words
if ! { apt-get update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "deps: could not install$missing" >&2
    exit 1
fi
