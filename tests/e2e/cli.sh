# The program called from a shell: scripts and their arguments, exit statuses, stderr, standard input, help.
set -u
cd "$(mktemp -d)" || exit 1
failures=0

# check NAME STATUS STDOUT STDERR command...: the outputs are patterns of the shell.
check() {
    local name=$1 status=$2 out=$3 err=$4
    shift 4
    "$@" >out 2>err
    local got=$?
    local stdout stderr
    stdout=$(cat out)
    stderr=$(cat err)
    # shellcheck disable=SC2053 # patterns are what is wanted
    if [ $got != "$status" ] || [[ $stdout != $out ]] || [[ $stderr != $err ]]; then
        echo "FAILED $name: status $got, wanted $status"
        echo "stdout: $stdout"
        echo "stderr: $stderr"
        failures=$((failures + 1))
    fi
}

echo 'print(arg[0], #arg, arg[1], arg[2], ...)' >args.lua
check "arguments" 0 $'args.lua\t2\ta b\tc\ta b\tc' '' "$TIDE" args.lua 'a b' c

cat >fails.lua <<'LUA'
local function inner()
  return tide.ones(2, 3):matmul(tide.ones(4, 5))
end
print "before"
inner()
LUA
check "one line first, then the trace" 1 before \
    $'fails.lua:2: matmul: 2x3 does not multiply 4x5\nstack traceback:\n*fails.lua:5: in main chunk*' "$TIDE" fails.lua

echo 'local b = tide.ones(2) < tide.ones(2)' >hint.lua
check "the hint comes second" 1 '' \
    $'hint.lua:1: lt: a comparison of 2 is not one boolean\nhint: x:lt(y) compares*\nstack traceback:*' "$TIDE" hint.lua

echo 'x = = 1' >syntax.lua
check "syntax" 1 '' "syntax.lua:1: unexpected symbol near '='" "$TIDE" syntax.lua
check "no such file" 1 '' 'cannot open missing.lua*' "$TIDE" missing.lua
echo 'error({code = 1})' >table.lua
check "an error that is a table" 1 '' '*table*stack traceback*' "$TIDE" table.lua
echo 'os.exit(7)' >exit.lua
check "os.exit" 7 '' '' "$TIDE" exit.lua
printf '\033Lua' >binary.lua
check "no bytecode" 1 '' '*attempt to load a binary chunk*' "$TIDE" binary.lua
printf '#!/usr/bin/env tide\nprint(1)\n' >shebang.lua
check "a first line with #!" 0 1 '' "$TIDE" shebang.lua
echo 'print "from stdin"' >stdin.lua
check "a script from standard input" 0 'from stdin' '' sh -c '"$TIDE" - <stdin.lua'

check "lines from a pipe" 0 $'2\n"a"\n10\n20' '' sh -c 'printf "1 + 1\n\"a\"\nfor i = 1, 2 do\nprint(i * 10)\nend\n" | "$TIDE"'
check "an error in a pipe" 1 3 'repl:1: bad' sh -c 'printf "error(\"bad\", 0 + 1)\n1 + 2\n" | "$TIDE"'
check "an end within a statement" 1 '' '*near <eof>' sh -c 'printf "for i = 1, 2 do\n" | "$TIDE"'
check "no input at all" 0 '' '' sh -c '"$TIDE" </dev/null'

check "version" 0 'tide 0.*' '' "$TIDE" --version
check "help" 0 '*tide.zeros*x:sum*nn.Linear*F.relu*optim.SGD*commands*' '' "$TIDE" help
check "help on an op" 0 'x:relu()*' '' "$TIDE" help relu
check "help on a class" 0 'nn.Linear*' '' "$TIDE" help nn.Linear
check "help on a table" 0 'optim: there are*optim.SGD*optim.lr.Step*' '' "$TIDE" help optim
check "help on a table's value" 0 'optim: there are*optim.SGD*' '' sh -c 'echo "help(optim)" | "$TIDE"'
check "help on a command" 0 '*tide help*' '' "$TIDE" help help
check "help on nothing known" 1 "there is no help on 'rellu', did you mean 'relu'?" '' "$TIDE" help rellu
check "called wrongly" 2 '' 'tide: called wrongly: help*' "$TIDE" help a b
check "an unknown option" 2 '' 'tide: there is no option --frobnicate*' "$TIDE" --frobnicate
check "a command of a later version" 2 '' 'tide: this version has no command gateway*' "$TIDE" gateway gw.lua

cat >unseen.lua <<'LUA'
local p = tide.ones(3):send(tide.VirtualWorker("bob"))
local q = p:index_select(1, tide.tensor({7}, {dtype = "i64"}):send(p.location))
print("end")
LUA
check "an error at a worker that nobody waited for" 1 'end' 'unseen.lua:2: index_select: position 7*' "$TIDE" unseen.lua

# Ctrl-C ends a script: one line, status 1.
cat >loop.lua <<'LUA'
io.stdout:write("running\n"):flush()
while true do end
LUA
"$TIDE" loop.lua >out 2>err &
pid=$!
for _ in $(seq 100); do grep -q running out && break; sleep 0.05; done
kill -INT $pid
wait $pid
got=$?
if [ $got != 1 ] || ! head -1 err | grep -q 'loop.lua:2: interrupted'; then
    echo "FAILED Ctrl-C: status $got, stderr: $(cat err)"
    failures=$((failures + 1))
fi

[ $failures = 0 ]
