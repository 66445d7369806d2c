#!/bin/sh
# Builds the sandbox's first process for the architecture of the build, where package namespace embeds it.
set -eu
cd "$(dirname "$0")"
arch=${GOARCH:-$(go env GOARCH)}
# Nothing of the build's time or place is in it: the same sources give the same bytes.
CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' \
	-o "embedded/enfold-init-$arch" ../../cmd/enfold-init
