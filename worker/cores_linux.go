package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usable are the cores that this process may use, by their numbers on the host, the threads of a core beside each other. Nil if that is
// not known, or if some are slower than others: then the kernel knows better who should be where.
func usable() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var all []int
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			all = append(all, n)
		}
	}
	return arranged("/sys/devices", all)
}

// unlike is how much faster a core may be than another that is its like, in hundredths: favoured ones are a little.
const unlike = 125

// arranged puts threads of a core beside each other, or answers nil if the cores are not alike. What sys does not tell does not count.
func arranged(sys string, all []int) []int {
	if _, err := os.Stat(filepath.Join(sys, "cpu_atom")); err == nil { // Intel's two kinds
		return nil
	}
	for _, what := range []string{"cpu_capacity", "cpufreq/cpuinfo_max_freq"} {
		least, most := 0, 0
		for _, n := range all {
			if v := aboutCore(sys, n, what); v > 0 {
				most = max(most, v)
				if least == 0 || v < least {
					least = v
				}
			}
		}
		if most*100 > least*unlike {
			return nil
		}
	}
	first := map[int]int{} // thread of its core
	for _, n := range all {
		first[n] = n
		if _, err := os.Stat(corePath(sys, n, "topology/thread_siblings_list")); err == nil {
			first[n] = aboutCore(sys, n, "topology/thread_siblings_list")
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return first[a] - first[b] })
	return all
}

func corePath(sys string, core int, what string) string {
	return filepath.Join(sys, "system/cpu", fmt.Sprintf("cpu%d", core), what)
}

// aboutCore is the first number that sys says about a core, 0 if it says none.
func aboutCore(sys string, core int, what string) int {
	text, _ := os.ReadFile(corePath(sys, core, what))
	digits := strings.IndexFunc(string(text)+"\n", func(r rune) bool { return r < '0' || r > '9' })
	n, _ := strconv.Atoi(string(text[:digits]))
	return n
}

// ownTime is the processor time that this process has used so far.
func ownTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
