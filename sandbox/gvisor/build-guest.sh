#!/bin/sh
# Builds the first process inside gVisor for the architecture of the build, where package gvisor embeds it.
set -eu
cd "$(dirname "$0")"
arch=${GOARCH:-$(go env GOARCH)}
# Nothing of the build's time or place is in it: the same sources give the same bytes.
CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' \
	-o "embedded/enfold-guest-$arch" ../../cmd/enfold-guest
