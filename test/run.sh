#!/usr/bin/env bash
# What make test runs: installs what is missing, then every unit test, then the end-to-end tests, and one summary at the
# end of what failed, what was skipped and why. Ends non-zero if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.."

bash test/setup.sh
# What the tests need at hand: the binary, with the sandbox's first process inside, and the example functions.
make --no-print-directory build || { echo "make build failed"; exit 1; }

module=$(go list -m)
summary=.tools/bin/summary
go build -o "$summary" ./test/summary || exit 1
status=$(mktemp)
trap 'rm -f "$status"' EXIT

# stage COMMAND…: its JSON goes to the summary; that it failed is noted even if no test did.
stage() { "$@" || echo "$*" >>"$status"; }

{
	units=$(go list ./... | grep -v "^$module/test$")
	stage go test -json -timeout 10m $units
	if command -v gcc >/dev/null; then
		# The parts with goroutines once more, under the race detector.
		racy=$(printf '%s\n' "$units" | grep -E "^$module/(dispatch|event|gateway|runtimeapi|worker|service/.*|store/sqlite)$")
		CGO_ENABLED=1 stage go test -json -race -short -timeout 10m $racy
	else
		echo '{"Action":"note","Output":"no C compiler (gcc): the race detector did not run"}'
	fi
	stage go test -json -count=1 -parallel 4 -timeout 30m ./test # servers of their own, which mostly wait
} | "$summary"
verdict=$?
if [ $verdict = 0 ] && [ -s "$status" ]; then
	echo "a stage failed without a failing test:"
	cat "$status"
	verdict=1
fi
exit $verdict
