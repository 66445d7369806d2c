package worker

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	// lookAtMemory is how often the host's memory is looked at.
	lookAtMemory = 2 * time.Second
	// Below so much of the host's memory, in percent, idle sandboxes give back what they can, and then they go.
	reclaimBelow = 15
	stopBelow    = 8
	// atATime is how many sandboxes a look does that to.
	atATime = 16
)

// relieve sees to it that idle sandboxes do not take the memory that others need: those idle longest give back first, and go first.
func (p *Pool) relieve(percentFree int) {
	if percentFree >= reclaimBelow {
		return
	}
	left := atATime
	for _, e := range p.longestIdle() {
		if left == 0 {
			break
		}
		if e.ice.shrink() {
			left--
		}
	}
	if percentFree >= stopBelow {
		return
	}
	p.ready.spare()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropStandbys(func(*standby) bool { return true })
	for range atATime {
		if !p.evict() {
			return
		}
	}
}

// longestIdle are the idle sandboxes, the one that was used longest ago first.
func (p *Pool) longestIdle() []*environment {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*environment
	for _, g := range p.groups {
		all = append(all, g.idle...)
	}
	slices.SortFunc(all, func(a, b *environment) int { return a.used.Compare(b.used) })
	return all
}

// watchMemory looks at the host's memory until the pool ends.
func (p *Pool) watchMemory() {
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			if free, err := freeMemory(); err == nil {
				p.relieve(free)
			}
		}
	}
}

// freeMemory is how much of the host's memory is available, in percent.
func freeMemory() (int, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseFree(text)
}

func parseFree(meminfo []byte) (int, error) {
	var total, available int64
	for lines := bufio.NewScanner(bytes.NewReader(meminfo)); lines.Scan(); {
		fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &total)
		fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &available)
	}
	if total <= 0 || available < 0 || available > total {
		return 0, fmt.Errorf("meminfo says %d kB of %d kB are available", available, total)
	}
	return int(100 * available / total), nil
}
