# check-layers passes a small tree that is in order, and names each violation planted in it.
set -eu
script=$PWD/tools/check-layers.sh
cc=${CC:-gcc}
cd "$TMPDIR"

plant() { # file, text: a source file and its object
    mkdir -p "$(dirname "$1")" "o/$(dirname "$1")"
    printf '%b\n' "$2" >"$1"
    case $1 in *.c) "$cc" -iquote . -c "$1" -o "o/${1%.c}.o" ;; esac
}

plant runtime/a.h 'int td_a(void);'
plant runtime/a.c '#include "runtime/a.h"\n#include <stdio.h>\nint td_a(void) { return 1; }'
plant vm/b.h 'int td_b(void);'
plant vm/b.c '#include "runtime/a.h"\n#include "vm/b.h"\nint td_b(void) { return td_a(); }'
plant lua/c.c 'int lua_gettop(void *);\nint tdl_c(void) { return lua_gettop(0); }'
plant lua/c.lua 'local nn = require "lua.nn"'
plant net/d.c 'int tdl_c(void), zmq_errno(void);\nint td_d(void) { return tdl_c() + zmq_errno(); }'
mkdir plans in-order
cp -r runtime vm lua plans net o in-order/
tree() {
    rm -rf runtime vm lua plans net o
    cp -r in-order/* .
}

refused() { # what the report must say
    if bash "$script" o >out 2>&1; then
        echo "passed, should have said: $1"
        exit 1
    fi
    grep -qF "$1" out || { echo "should have said: $1"; cat out; exit 1; }
    [ "$(tail -n 1 out)" = "check-layers: violations: 1" ] || { cat out; exit 1; }
    tree
}

bash "$script" o

plant runtime/up.h '#include "vm/b.h"'
refused 'runtime/up.h:1: runtime includes vm/b.h'
plant vm/up.c '#include "runtime/../lua/c.h"' 2>/dev/null || true
refused 'name it from the top folder'
plant plans/up.h '#  include "tests/help.h"'
refused 'plans/up.h:1: "tests/help.h" is in no layer'
plant vm/up.h '#include <lua.h>'
refused 'vm/up.h:1: vm includes <lua.h>'
plant plans/up.h '#include <zmq.h>'
refused 'plans/up.h:1: plans includes <zmq.h>'
plant lua/up.h '#include <sys/socket.h>'
refused 'lua/up.h:1: lua includes <sys/socket.h>'

plant runtime/up.c 'int td_b(void);\nint td_up(void) { return td_b(); }'
refused 'runtime/up.c: runtime calls td_b of vm'
plant vm/up.c 'int lua_gettop(void *);\nint td_up(void) { return lua_gettop(0); }'
refused 'vm/up.c: vm calls lua_gettop'
plant lua/up.c 'int zmq_errno(void);\nint td_up(void) { return zmq_errno(); }'
refused 'lua/up.c: lua calls zmq_errno'
plant net/up.c '#include <stdlib.h>\nvoid *td_up(int n) { return malloc(n); }'
refused 'net/up.c: malloc outside runtime/mem.c'

for text in 'require "plans.local_sgd"' "require('plans/x')" 'local p = require ("tide.plans.x")'; do
    plant lua/up.lua "-- a comment\n$text"
    refused 'lua/up.lua:2: lua: require'
done
plant plans/up.lua 'require "net.wire"'
refused 'plans/up.lua:1: plans: require'

# An object whose source has gone counts no more.
plant runtime/up.c 'int td_b(void);\nint td_up(void) { return td_b(); }'
rm runtime/up.c
bash "$script" o
rm -r o
mkdir o
refused 'no objects'
