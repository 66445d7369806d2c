// Package filter matches events against patterns: the filter policies of SNS subscriptions, the filter criteria of Lambda's event
// source mappings and the event patterns of EventBridge.
//
// A [Pattern] is compiled once and matches any number of documents, from many goroutines. A match takes time linear in the
// document for each condition of the pattern, whatever either holds: nothing backtracks.
//
// It is pure: no I/O, no clock, no import of another Enfold package.
package filter
