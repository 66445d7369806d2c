//go:build !linux

package guest

// Main does nothing where there is no gVisor.
func Main() int { return 2 }
