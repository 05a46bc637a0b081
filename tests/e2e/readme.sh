# The script in README.md prints what README.md says.
set -eu
sed -n '/^```lua$/,/^```$/p' README.md | sed '/^```/d' >"$TMPDIR/first.lua"
sed -n '/^```text$/,/^```$/p' README.md | sed '/^```/d' >"$TMPDIR/expected"
[ -s "$TMPDIR/first.lua" ] && [ -s "$TMPDIR/expected" ]
"$TIDE" "$TMPDIR/first.lua" >"$TMPDIR/printed"
diff "$TMPDIR/expected" "$TMPDIR/printed"
