package worker

import (
	"time"

	"golang.org/x/sys/unix"
)

// usable are the cores that this process may use, by their numbers on the host; nil if that is not known.
func usable() (all []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			all = append(all, n)
		}
	}
	return all
}

// ownTime is the processor time that this process has used so far.
func ownTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
