#!/usr/bin/env bash
# Runs the tests named on the command line: a .lua file by tide, a .sh file by bash, anything else as a
# program. One line a test, the output of a failed one, and at the end the line "N passed, N failed".
#
#   TIDE=build/tide  the program; handed to the tests too
#   TEST_TIMEOUT=120 seconds that one test may take
#   TEST_JOBS=1      tests that run at the same time
#
# Each test gets its own TMPDIR, no standard input, and takes the processes it left behind with it.
set -u

TIDE=${TIDE:-build/tide}
case $TIDE in /*) ;; *) TIDE=$PWD/$TIDE ;; esac
export TIDE
limit=${TEST_TIMEOUT:-120}
[ -z "${SAN:-}" ] || limit=${TEST_TIMEOUT:-300}
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:suppressions=$PWD/tools/tsan.supp}

# Runs test $1; the verdict goes to the file $2, lines for the reader to stdout in one piece.
run_one() {
    local test=$1 verdict=$2 out tmp start status pid ms
    tmp=$(mktemp -d /tmp/tide-test.XXXXXX)
    out=$tmp.out
    local -a command
    case $test in
        *.lua) command=("$TIDE" "$test") ;;
        *.sh) command=(bash "$test") ;;
        */*) command=("$test") ;;
        *) command=("./$test") ;;
    esac
    # The sanitizer needs its addresses where it expects them, which some kernels' layouts are not.
    [ "${SAN:-}" != thread ] || command=(setarch -R "${command[@]}")
    start=$(date +%s%N)
    TMPDIR=$tmp timeout -k 5 "$limit" "${command[@]}" </dev/null >"$out" 2>&1 &
    pid=$!
    wait "$pid"
    status=$?
    kill -KILL -- "-$pid" 2>/dev/null # timeout made a process group of its own
    ms=$((($(date +%s%N) - start) / 1000000))
    local name=$test line
    case $name in */tests/*) name=tests/${name##*/tests/} ;; esac
    printf -v line '%3d.%02d s  %s' $((ms / 1000)) $((ms % 1000 / 10)) "$name"
    if [ $status = 0 ]; then
        echo "ok     $line"
        echo passed >"$verdict"
    else
        local why="exit status $status"
        [ $status != 124 ] || why="took longer than $limit s"
        [ $status -le 128 ] || why="killed by signal $((status - 128))"
        { echo "FAILED $line: $why"; tail -n 200 "$out" | sed 's/^/    /'; } >"$out.report"
        cat "$out.report"
        echo failed >"$verdict"
    fi
    rm -rf "$tmp" "$out" "$out.report"
}

if [ "${1-}" = --one ]; then
    run_one "$2" "$3"
    exit 0
fi

verdicts=$(mktemp -d /tmp/tide-verdicts.XXXXXX)
trap 'rm -rf "$verdicts"' EXIT
count=0
for test; do
    count=$((count + 1))
    printf '%s\0%s\0' "$test" "$verdicts/$count"
done >"$verdicts/list"
xargs -0 -r -n 2 -P "${TEST_JOBS:-1}" bash "$0" --one <"$verdicts/list"

passed=$(grep -lx passed "$verdicts"/[0-9]* 2>/dev/null | wc -l)
failed=$(($# - passed))
[ $# -gt 0 ] || echo "no tests to run"
echo "$passed passed, $failed failed"
[ $# -gt 0 ] && [ $failed = 0 ]
