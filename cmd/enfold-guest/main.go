// Command enfold-guest is the first process inside a gVisor sandbox, built small: the gvisor driver embeds it. See
// sandbox/gvisor/guest.
package main

import (
	"os"

	"github.com/enfold-run/enfold/sandbox/gvisor/guest"
)

func main() { os.Exit(guest.Main()) }
