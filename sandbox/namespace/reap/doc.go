// Package reap waits for the first processes of sandboxes, of which there may be a thousand.
package reap
