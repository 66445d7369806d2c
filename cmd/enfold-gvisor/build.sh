#!/bin/sh
# Builds enfold-gvisor into the file named (default: bin/enfold-gvisor of the repository). The first time takes minutes.
set -eu
cd "$(dirname "$0")"
out=${1:-../../bin/enfold-gvisor}
version=$(go list -m -f '{{.Version}}' gvisor.dev/gvisor)
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X gvisor.dev/gvisor/runsc/version.version=$version" -o "$out" .
