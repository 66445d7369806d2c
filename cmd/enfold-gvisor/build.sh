#!/bin/sh
# Builds enfold-gvisor into the file named (default: bin/enfold-gvisor of the repository). The first time takes minutes.
set -eu
cd "$(dirname "$0")"
out=${1:-../../bin/enfold-gvisor}
version=$(go list -m -f '{{.Version}}' gvisor.dev/gvisor)
rm -f embedded/filters-*
if [ "$(go env GOARCH)" = "$(go env GOHOSTARCH)" ] && [ "$(go env GOOS)" = linux ]; then
	CGO_ENABLED=0 go run ./precompile "embedded/filters-$(go env GOARCH).json"
fi
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X gvisor.dev/gvisor/runsc/version.version=$version" -o "$out" .
