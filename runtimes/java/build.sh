#!/bin/bash
# Builds runtimes/java/enfold-runtime.jar from src/, and then the Java examples; or only the bootstrap, into the file named by
# the first argument. The result depends on the sources and on the major version of javac alone: entries are sorted and carry
# one fixed time.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-$PWD/enfold-runtime.jar}
JAVAC=${JAVAC:-javac}
if ! command -v "$JAVAC" >/dev/null; then
	echo "java bootstrap: no javac here, so $out stays as it is committed" >&2
	exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
find src -name '*.java' | LC_ALL=C sort >"$tmp/sources"
"$JAVAC" --release 11 -g:source,lines -proc:none -Xlint:all,-serial -Werror -encoding UTF-8 -d "$tmp/classes" @"$tmp/sources"
go run ./pack "$tmp/classes" "$out"
if [ $# -eq 0 ]; then
	../../examples/build-java.sh
fi
