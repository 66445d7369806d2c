//go:build !linux

package worker

import "time"

// usable is not known: the kernel decides.
func usable() []int { return nil }

// ownTime is not asked for.
func ownTime() time.Duration { return 0 }
