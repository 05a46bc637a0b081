#!/usr/bin/env bash
# tide keys and tide worker as they are typed: what they print, their exit statuses, and a script that uses a
# worker.
set -u
cd "$(mktemp -d)" || exit 1
failures=0
worker=
trap '[ -z "$worker" ] || kill -KILL "$worker" 2>/dev/null' EXIT

# expect STATUS TEXT COMMAND...: its exit status, and a line that its output must have.
expect() {
    local status=$1 text=$2 got out
    shift 2
    out=$("$@" 2>&1)
    got=$?
    if [ "$got" != "$status" ] || ! grep -qF -- "$text" <<<"$out"; then
        echo "$*: exit status $got, wanted $status; wanted '$text' in:"
        echo "$out"
        failures=$((failures + 1))
    fi
}

expect 0 "bob.key: to keep" "$TIDE" keys new bob
expect 0 "me.pub: to give to others" "$TIDE" keys new me
expect 1 "keys: bob.key is there already" "$TIDE" keys new bob
expect 2 "usage:" "$TIDE" keys
expect 2 "usage:" "$TIDE" keys old bob
expect 2 "usage:" "$TIDE" worker
expect 1 "worker: none.lua cannot be read: No such file or directory" "$TIDE" worker none.lua

printf 'age,outcome\n50,1\n60,0\n' >ward.csv
cat >bob.lua <<'END'
return {
  name = "bob", listen = "tcp://127.0.0.1:*", key = "bob.key", gateway = "tcp://127.0.0.1:7600",
  users = {carol = {key = "me.pub"}},
  datasets = {ward = {path = "ward.csv", target = "outcome", tags = {"#ward"}, policy = "open"}},
}
END
sed 's/tcp:\/\/127.0.0.1:\*/tcp:\/\/*:7700/' bob.lua >open.lua
expect 1 "nothing jails a session yet" "$TIDE" worker open.lua
sed 's/policy = "open"/policy = nil/' bob.lua >loose.lua
expect 1 "worker: loose.lua: datasets.ward.policy: is missing" "$TIDE" worker loose.lua
chmod 644 bob.key
expect 1 "keys: ./bob.key may be read by others (mode 0644): chmod 600 ./bob.key" "$TIDE" worker ./bob.lua
chmod 600 bob.key

mkfifo ready
"$TIDE" worker bob.lua >ready 2>worker.err &
worker=$!
read -r line <ready
case $line in
"bob: 1 data set, 1 user, listening on tcp://127.0.0.1:"*) ;;
*) echo "the worker said: $line"; failures=$((failures + 1)) ;;
esac
grep -q 'bob: a gateway is named, which this version does not serve yet' worker.err ||
    { echo "stderr said: $(cat worker.err)"; failures=$((failures + 1)); }
url=tcp://${line##*tcp://}

cat >script.lua <<'END'
local bob = tide.connect(arg[1], {key = "me.key", server = "bob.pub"})
assert(bob.name == "bob" and bob:ping() < 1000)
local p = tide.ones(2, 3):send(bob)
assert((p + p):sum():get():item() == 12)
local d = bob:dataset("ward")
assert(tostring(d.x:get()):find("60"))
bob:disconnect()
assert(p:get():sum():item() == 6)
local ok, err = pcall(tide.connect, arg[1], {key = "bob.key", server = "bob.pub"})
assert(not ok and err:find("connect: bob refused this key", 1, true), tostring(err))
assert(err.code == tide.errors.denied)
ok, err = pcall(tide.connect, arg[1], {key = "me.key", servr = "bob.pub"})
assert(not ok and err:find("unknown option 'servr', did you mean 'server'?", 1, true), tostring(err))
ok, err = pcall(tide.connect, arg[1], {server = "bob.pub"})
assert(not ok and err:find("the option 'key' is missing", 1, true), tostring(err))
print "all well"
END
expect 0 "all well" "$TIDE" script.lua "$url"

before=$(date +%s%N)
kill -TERM "$worker"
wait "$worker"
status=$?
worker=
took=$((($(date +%s%N) - before) / 1000000))
[ $status = 0 ] || { echo "the worker ended with status $status"; failures=$((failures + 1)); }
[ $took -lt 2000 ] || { echo "the worker took $took ms to end"; failures=$((failures + 1)); }
expect 1 "connect: nothing answers at $url (connection refused)" "$TIDE" script.lua "$url"
[ $failures = 0 ]
