package main

import (
	"fmt"
	"runtime"

	"github.com/enfold-run/enfold/server"
)

type versionCmd struct{}

func (versionCmd) Run() error {
	_, err := fmt.Printf("enfold %s %s %s/%s\n", server.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
