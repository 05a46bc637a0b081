# The test runner counts, shows the output of what failed, ends what takes too long, and leaves no processes.
set -eu
script=$PWD/tools/run-tests.sh
cd "$TMPDIR"

fail() {
    echo "$*"
    cat out
    exit 1
}
run() { # expected status, expected last line, then tests
    local want=$1 line=$2 status=0
    shift 2
    TEST_TIMEOUT=${LIMIT:-30} TIDE=/bin/false SAN='' bash "$script" "$@" >out 2>&1 || status=$?
    [ $status = "$want" ] || fail "exit status $status"
    [ "$(tail -n 1 out)" = "$line" ] || fail "should end with: $line"
}

echo 'echo quiet; read line && exit 1; [ -d "$TMPDIR" ]' >good.sh
echo 'echo "the reason"; exit 3' >bad.sh
echo 'sleep 60 & echo $! >"$OUT"; sleep 60' >slow.sh
echo 'sleep 60 & echo $! >"$OUT"' >leaving.sh
echo 'kill -SEGV $$' >dying.sh
echo 'tide fails on it' >failing.lua
export OUT=$PWD/pid

run 0 '2 passed, 0 failed' good.sh good.sh
! grep -q quiet out || fail 'shows the output of a test that passed'
run 1 '1 passed, 1 failed' bad.sh good.sh
grep -q 'FAILED .*bad.sh: exit status 3' out || fail 'does not say what failed'
grep -q 'the reason' out || fail 'does not show why'
run 1 '0 passed, 1 failed' failing.lua
run 1 '0 passed, 1 failed' dying.sh
grep -q 'killed by signal 11' out || fail 'does not name the signal'
run 1 '0 passed, 1 failed' missing-program
run 1 '0 passed, 0 failed'

LIMIT=1 run 1 '0 passed, 1 failed' slow.sh
grep -q 'took longer than 1 s' out || fail 'does not say that it took too long'
gone() { # or waiting to be reaped; within two seconds
    local state
    for _ in $(seq 20); do
        state=$(sed 's/.*) \(.\).*/\1/' "/proc/$(cat pid)/stat" 2>/dev/null) || return 0
        [ "$state" != Z ] || return 0
        sleep 0.1
    done
    return 1
}
gone || fail 'a process of the slow test lives on'
run 0 '1 passed, 0 failed' leaving.sh
gone || fail 'a process that a test left behind lives on'
