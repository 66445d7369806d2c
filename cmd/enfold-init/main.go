// Command enfold-init is the first process of a sandbox, built small: the namespace driver embeds it. See
// sandbox/namespace/pid1.
package main

import "github.com/enfold-run/enfold/sandbox/namespace/pid1"

func main() { pid1.Main() }
