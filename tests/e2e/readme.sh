# What README.md shows runs, and prints what it says: the first script, the worker's configuration, the script
# that works with it (on a free port in place of 7700), and a compiled step.
set -eu
readme=$PWD/README.md
cd "$TMPDIR"
awk '/^```lua$/ { n++; file = "block" n ".lua"; next } /^```text$/ { file = "expected"; next }
     /^```$/ { file = "" } file { print >file }' "$readme"
[ -s block1.lua ] && [ -s block2.lua ] && [ -s block3.lua ] && [ -s block4.lua ] && [ -s expected ]

"$TIDE" block1.lua >printed
diff expected printed
[ "$("$TIDE" block4.lua)" = "compiled 'step': 1 program, 10 calls" ]

echo 'local d = tide.data.digits(); tide.save("digits.safetensors", {x = d.x, y = d.y})' >save.lua
"$TIDE" save.lua
"$TIDE" keys new bob
"$TIDE" keys new carol
sed 's/:7700"/:*"/' block2.lua >bob.lua
"$TIDE" worker bob.lua >ready &
worker=$!
trap 'kill $worker' EXIT
for _ in $(seq 100); do
    [ -s ready ] && break
    sleep 0.1
done
url=$(grep -o 'tcp://[0-9.:]*' ready)
sed "s|tcp://127.0.0.1:7700|$url|" block3.lua >carol.lua
"$TIDE" carol.lua >losses
[ "$(wc -l <losses)" = 29 ] # 1,797 rows in batches of 64
