#!/usr/bin/env bash
# What make lint runs: the formatters and checkers of STYLE.md, all on. Ends non-zero at any finding.
set -uo pipefail
cd "$(dirname "$0")/.."
bash test/setup.sh lint
bin=$PWD/.tools/bin
failed=()

# run NAME COMMAND…: any output is a finding.
run() {
	local name=$1 out
	shift
	if ! command -v "$1" >/dev/null; then
		echo "lint: $name is not installed"
		failed+=("$name")
		return
	fi
	if ! out=$("$@" 2>&1) || [ -n "$out" ]; then
		printf '%s\n' "$out" | sed "s/^/$name: /"
		failed+=("$name")
	fi
}

run gofumpt "$bin/gofumpt" -l .
run vet go vet ./...
run macOS env GOOS=darwin go vet ./... # nobody tests the other systems here: what is for them builds at least
run Windows env GOOS=windows go build ./...
run staticcheck "$bin/staticcheck" ./...
run errorlint "$bin/go-errorlint" -errorf -asserts=false -comparison=true ./...
run unparam "$bin/unparam" ./...

if [ ${#failed[@]} -gt 0 ]; then
	echo "lint: ${failed[*]} found something"
	exit 1
fi
echo "lint: clean"
