#!/bin/bash
# Compiles the Java examples, each into DIR/function.jar beside its source, against the interfaces of the Java bootstrap. With
# an argument the jars go below that directory instead. The result depends on the sources and on javac's major version alone.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-$PWD}
JAVAC=${JAVAC:-javac}
if ! command -v "$JAVAC" >/dev/null; then
	echo "java examples: no javac here, so the jars stay as they are committed" >&2
	exit 0
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for dir in */java; do
	mkdir -p "$out/$dir"
	"$JAVAC" --release 11 -g:source,lines -proc:none -encoding UTF-8 -cp ../runtimes/java/enfold-runtime.jar -d "$tmp/$dir" "$dir"/*.java
	go run ../runtimes/java/pack "$tmp/$dir" "$out/$dir/function.jar"
done
