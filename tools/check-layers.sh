#!/usr/bin/env bash
# Fails when a layer knows of a higher one: by an #include, by a linked symbol or by a `require`.
#
#   bash tools/check-layers.sh OBJECTS      in the top folder; OBJECTS holds the object files, build/release say
#
# runtime < vm < lua < plans < net. Lua's headers and symbols belong to lua and above, sockets to plans and above,
# ZeroMQ to net. Two habits of the code are looked after here too, since the symbols tell: malloc and its
# kin are called in runtime/mem.c alone, and strcpy, strcat, sprintf and gets nowhere.
set -u

objects=${1:?check-layers: which folder holds the objects?}
layers="runtime vm lua plans net"
report=$(mktemp)
trap 'rm -f "$report"' EXIT

# Includes, one "file:line:text" each.
grep -rnE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include' $layers 2>/dev/null |
    awk -v layers="$layers" '
        BEGIN { n = split(layers, l, " "); for (i = 1; i <= n; i++) rank[l[i]] = i }
        {
            where = $0; sub(/:[[:space:]]*#.*/, "", where)
            own = where; sub(/\/.*/, "", own)
            what = $0; sub(/^[^#]*#[[:space:]]*include[[:space:]]*/, "", what)
            quoted = substr(what, 1, 1) == "\""
            name = substr(what, 2); sub(/[">].*/, "", name)
            top = name; sub(/\/.*/, "", top)
        }
        quoted && name ~ /\.\.\// { print where ": \"" name "\": name it from the top folder"; next }
        quoted && name ~ /\// && !(top in rank) { print where ": \"" name "\" is in no layer"; next }
        quoted && rank[top] > rank[own] { print where ": " own " includes " name; next }
        quoted { next }
        name ~ /^(lua|lauxlib|lualib|luaconf)\.h(pp)?$/ && rank[own] < rank["lua"] ||
        name ~ /^(sys\/socket\.h|sys\/un\.h|netinet\/|arpa\/)/ && rank[own] < rank["plans"] ||
        name ~ /^z?c?zmq.*\.h$/ && rank[own] < rank["net"] ||
        name ~ /^cmocka/ { print where ": " own " includes <" name ">" }
    ' >>"$report"

# Symbols: "source layer kind name", of objects whose source is still there.
mapfile -t found < <(cd "$objects" && find $layers -name '*.o' 2>/dev/null | sort)
current=()
for object in "${found[@]}"; do
    source=${object%.o}
    for level in baseline avx2 avx512; do source=${source%".$level"}; done
    if [ -f "$source.c" ] || [ "$source" = lua/embedded_files ]; then current+=("$object"); fi
done
[ ${#current[@]} -gt 0 ] || echo "no objects in $objects: build first" >>"$report"
(cd "$objects" && [ ${#current[@]} -gt 0 ] && nm -P -g -A "${current[@]}") |
    sed -E 's/^(([a-z]+)[^:.]*)[^:]*\.o: ([^ ]+) ([A-Za-z]).*/\1.c \2 \4 \3/' | awk -v layers="$layers" '
    BEGIN { n = split(layers, l, " "); for (i = 1; i <= n; i++) rank[l[i]] = i }
    $3 ~ /^[Uwv]$/ && !(($1, $4) in used) { used[$1, $4]; file[++uses] = $1; by[uses] = $2; name[uses] = $4 }
    $3 ~ /^[Uwv]$/ { next }
    !($4 in home) || rank[$2] < rank[home[$4]] { home[$4] = $2 }
    END {
        for (i = 1; i <= uses; i++) {
            s = name[i]; sub(/@.*/, "", s)
            own = rank[by[i]]
            if (s in home && rank[home[s]] > own) print file[i] ": " by[i] " calls " s " of " home[s]
            else if (s in home) continue
            else if (s ~ /^lua(L|open)?_/ && own < rank["lua"]) print file[i] ": " by[i] " calls " s
            else if (s ~ /^zmq_/ && own < rank["net"]) print file[i] ": " by[i] " calls " s
            else if (s ~ /^(malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|memalign|strdup|strndup)$/ &&
                     file[i] != "runtime/mem.c") print file[i] ": " s " outside runtime/mem.c"
            else if (s ~ /^(__)?(strcpy|strcat|sprintf|vsprintf|gets)(_chk)?$/) print file[i] ": " s
        }
    }' >>"$report"

# What Lua files load.
higher="plans|net"
for layer in lua plans; do
    grep -rnE --include='*.lua' "require[[:space:]]*\(?[[:space:]]*[\"'](tide[./])?($higher)([./\"'])" "$layer" \
        2>/dev/null | sed "s/:[^:]*\(require\)/: $layer: \1/" >>"$report"
    higher=net
done

if [ -s "$report" ]; then
    cat "$report"
    echo "check-layers: violations: $(wc -l <"$report")"
    exit 1
fi
