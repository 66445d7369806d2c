package image

import "time"

// Limits are what an image may be. A zero field is the default.
type Limits struct {
	// Size is what an image may hold uncompressed, in bytes: 10 GiB, as AWS has it.
	// See https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
	Size int64
	// Entries is how many files, directories and links all layers of an image may have together: 1,000,000.
	Entries int64
	// Layers is how many an image may have: 127.
	Layers int
	// Depth is how many directories a path may go down: 128.
	Depth int
	// Manifest is how large a manifest, an index or a configuration may be, in bytes: 4 MiB.
	Manifest int64
	// Pulls is how many may go on at a time, 8, and PullsPerOwner how many of them for one owner, 2. Others wait. Of calls of
	// [Store.Resolve] there may be four times as many.
	Pulls, PullsPerOwner int
	// Stall is how long a registry may send nothing: 30 s. Total is how long a pull may take: 30 min.
	Stall, Total time.Duration
	// Reserve is how much of the disk is kept for everything else, in bytes: a sixteenth of the file system, 512 MiB at most. Images must
	// not take the room in which others write down their state. What would leave less is a [FullError].
	Reserve int64
	// Grace is how long [Store.Keep] spares what was pulled, so that its caller can write down that it needs it: 1 h.
	Grace time.Duration
}

func (l Limits) withDefaults() Limits {
	def(&l.Size, 10<<30)
	def(&l.Entries, 1_000_000)
	def(&l.Layers, 127)
	def(&l.Depth, 128)
	def(&l.Manifest, 4<<20)
	def(&l.Pulls, 8)
	def(&l.PullsPerOwner, 2)
	def(&l.Stall, 30*time.Second)
	def(&l.Total, 30*time.Minute)
	def(&l.Grace, time.Hour)
	return l
}

// maxReserve is how much of a large file system is kept, in bytes.
const maxReserve = 512 << 20

// kept is what is kept of a file system that has total bytes.
func (l *Limits) kept(total int64) int64 {
	if l.Reserve != 0 {
		return l.Reserve
	}
	return min(total/16, maxReserve)
}

// stream is how long the tars of all layers may be together: what they hold, and a header of each entry.
func (l *Limits) stream() int64 { return l.Size + l.Entries<<10 }

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
