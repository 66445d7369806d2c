package worker

import "golang.org/x/sys/unix"

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
