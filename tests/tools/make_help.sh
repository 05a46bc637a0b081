# `make help` lists every target.
set -eu
make help >"$TMPDIR/help"
status=0
for target in $(sed -n 's/^\.PHONY: //p' Makefile); do
    case $target in \$*) continue ;; esac
    grep -q "^  $target " "$TMPDIR/help" || { echo "make help does not list $target"; status=1; }
done
exit $status
