// Package aws is the vocabulary of the house: ARN, Principal, Op, Call and Error.
//
// It describes what AWS calls things and does nothing: no I/O, no goroutines, and no import of another Enfold package.
package aws
