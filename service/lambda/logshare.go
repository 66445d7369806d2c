package lambda

import (
	"time"

	"github.com/enfold-run/enfold/worker"
)

// How much of the log of a function is kept. AWS counts requests of an account alone, thousands a second of 1 MiB each
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html), because its disks have no end. Ours do: a
// function that writes without end would take the last of the disk, and then nobody's log is kept.
//
// The fuller the disk, the smaller the share: whoever floods comes ever nearer to the end of the disk and never there, and
// others' few lines always find room.
const (
	shareBurst = 32 << 20 // bytes at once: a thousand sandboxes each with 32 KiB of stack traces
	shareRate  = 2 << 20  // bytes a second from then on, 170 GiB a day: at 1,000 invocations a second 20 lines of each

	// A function gets a sixteenth of what the disk has left at once, and as much a second as would fill it in an hour: below
	// 512 MiB, and 7 GiB, that is less than the above.
	shareOfRoom = 16
	shareTime   = time.Hour
	// And so much however full the disk is: a stack trace at once, a line of 100 bytes ten times a second. The store keeps it
	// in memory, which it can for hours, until there is room again.
	shareLeastBurst = 64 << 10
	shareLeastRate  = 1 << 10

	// accountShares is what all functions of an account have together, in shares that know no bounds but the disk's: who makes
	// functions without end gets no more by it. On a disk with 100 GiB left it is 110 MiB a second.
	accountShares = 4

	// endlessDisk is more than any has, and small enough to count with.
	endlessDisk = 1 << 50
)

// flow is how many bytes may be written at once, and how many a second from then on.
type flow struct{ burst, rate float64 }

// flows are those of a function and of an account when the disk has room for so many bytes of logs.
func flows(room int64) (function, account flow) {
	left := float64(max(0, min(room, endlessDisk)))
	share := flow{max(shareLeastBurst, left/shareOfRoom), max(shareLeastRate, left/shareTime.Seconds())}
	return flow{min(shareBurst, share.burst), min(shareRate, share.rate)},
		flow{accountShares * share.burst, accountShares * share.rate}
}

// bucket is how many bytes may be written now. The last event may be larger than what is left, which is then owed.
type bucket float64

// fill adds what has become free in d.
func (b *bucket) fill(a flow, d time.Duration) {
	*b = bucket(min(float64(*b)+a.rate*d.Seconds(), a.burst))
}

// tally is events and the bytes of them.
type tally struct{ events, bytes int }

func (t *tally) add(more tally) {
	t.events += more.events
	t.bytes += more.bytes
}

// functionShare is what a function may still write, and what it has lost.
type functionShare struct {
	bucket
	account *accountShare

	lost   tally             // that its log does not tell yet
	why    loss              // it lost the last of that
	stream *worker.LogStream // where
	told   time.Time         // when its log told last
}

// accountShare is what all functions of an account may still write.
type accountShare struct {
	bucket
	waiting int // bytes of its functions that wait to be shipped, with what the events themselves take
}

// allows says whether an event may be written now.
func (f *functionShare) allows() bool { return f.bucket > 0 && f.account.bucket > 0 }

// take counts bytes that are written.
func (f *functionShare) take(n int) {
	f.bucket -= bucket(n)
	f.account.bucket -= bucket(n)
}

// logShares are the shares of all functions that have written lately.
type logShares struct {
	functions map[functionID]*functionShare
	accounts  map[string]*accountShare // of everybody who ever wrote: an operator makes accounts, and few

	function, account flow
	filled            time.Time
}

func newLogShares(room int64) logShares {
	s := logShares{functions: map[functionID]*functionShare{}, accounts: map[string]*accountShare{}, filled: time.Now()}
	s.function, s.account = flows(room)
	return s
}

// of is the share of a stream's function.
func (s *logShares) of(stream *worker.LogStream) *functionShare {
	id := functionID{stream.Account, stream.Region, stream.Function}
	f := s.functions[id]
	if f == nil {
		a := s.accounts[id.account]
		if a == nil {
			a = &accountShare{bucket: bucket(s.account.burst)}
			s.accounts[id.account] = a
		}
		f = &functionShare{bucket: bucket(s.function.burst), account: a}
		s.functions[id] = f
	}
	return f
}

// fill gives everybody what has become free since the last time. A function that has not written since is forgotten: it would
// begin with a full bucket, which is what it has.
func (s *logShares) fill(room int64) {
	now := time.Now()
	d := now.Sub(s.filled)
	for id, f := range s.functions {
		if f.bucket >= bucket(s.function.burst) && f.lost.events == 0 {
			delete(s.functions, id)
		}
	}
	s.filled = now
	s.function, s.account = flows(room)
	for _, f := range s.functions {
		f.fill(s.function, d)
	}
	for _, a := range s.accounts {
		a.fill(s.account, d)
	}
}
