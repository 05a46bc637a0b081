#!/usr/bin/env bash
# Runs the benchmark suites named on the command line (a .lua file by $TIDE, anything else as a program)
# and lets through what they print: lines of four fields with tabs between them (suite, case, figure,
# unit). Any other line is refused, so that the figures can be read by a program.
set -u

failed=0
for suite; do
    case $suite in
        *.lua) command=("$TIDE" "$suite") ;;
        *) command=("./$suite") ;;
    esac
    name=$(basename "$suite" .lua)
    "${command[@]}" </dev/null | awk -F '\t' -v suite="$name" '
        { print; fflush() }
        NF != 4 || $1 != suite || $3 !~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ {
            print "bench: " suite ": not a figure: " $0 > "/dev/stderr"; bad = 1
        }
        END { exit bad }'
    status=("${PIPESTATUS[@]}")
    [ "${status[0]}" = 0 ] || echo "bench: $name: exit status ${status[0]}" >&2
    [ "${status[0]}" = 0 ] && [ "${status[1]}" = 0 ] || failed=1
done
exit $failed
