#!/usr/bin/env bash
# fuzz.sh TIME [PATTERN]: runs each fuzz target of the main module for TIME, one after the other,
# and prints the number of executions of each.
set -u
cd "$(dirname "$0")/../.."
time=${1:-5m} pattern=${2:-.}
failed=0
while read -r file target; do
	[[ $target =~ $pattern ]] || continue
	dir=./$(dirname "$file")
	if out=$(go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" 2>&1); then
		echo "$dir $target: $(grep -o 'execs: [0-9]*' <<<"$out" | tail -n 1), no finding"
	else
		failed=1
		echo "$dir $target: FAILED"
		tail -n 30 <<<"$out"
	fi
done < <(git ls-files '*_test.go' | grep -v '^deploy/' | xargs grep -Ho '^func Fuzz[A-Za-z0-9]*' | sed 's/:func / /')
exit $failed
