//go:build !linux

package pid1

// Name is the argument zero by which a program knows that it has been started as a first process.
const Name = "enfold-init"

// Main does nothing where there are no namespaces.
func Main() {}
