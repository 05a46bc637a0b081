#!/usr/bin/env bash
# Runs each fuzzer named on the command line for FUZZ_SECONDS, beginning with the inputs in
# tests/fuzz/corpus/NAME. What it finds is kept beside the program: NAME.corpus/ (inputs that reach new code)
# and NAME.crash-... (inputs that break it), which belong in tests/fuzz/corpus/NAME once they are repaired.
set -u

failed=0
[ $# -gt 0 ] || { echo "no fuzzers"; exit 1; }
for fuzzer; do
    name=${fuzzer##*/fuzz_}
    mkdir -p "$fuzzer.corpus"
    seeds=()
    [ ! -d "tests/fuzz/corpus/$name" ] || seeds=("tests/fuzz/corpus/$name")
    log=$fuzzer.log
    if "$fuzzer" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$fuzzer." -print_final_stats=1 \
        "$fuzzer.corpus" "${seeds[@]}" >"$log" 2>&1 </dev/null; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "ok     $name: $runs inputs"
    else
        echo "FAILED $name:"
        tail -n 60 "$log" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
done
echo "$(($# - failed)) passed, $failed failed"
[ $failed = 0 ]
