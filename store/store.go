package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors of every backend.
var (
	ErrNotFound = errors.New("store: not found")
	ErrExists   = errors.New("store: exists")           // IfAbsent and a row was there
	ErrConflict = errors.New("store: version conflict") // IfVersion and another version was there
	ErrLease    = errors.New("store: lease lost")       // ack or extend with a receipt that no longer holds
	ErrFull     = errors.New("store: no space left")    // disk full: nothing was changed
	ErrTooLarge = errors.New("store: value too large")
	ErrClosed   = errors.New("store: closed")
)

// Limits of every backend.
const (
	MaxKey   = 1024     // bytes of a record key, table, queue or log name
	MaxValue = 16 << 20 // bytes of a record's, message's or chunk's value
)

// Scope is whose row it is. Every row of every primitive has one. A row that belongs to no region (IAM) leaves Region empty.
type Scope struct{ Account, Region string }

// Store is a durable store. All methods are safe for concurrent use.
type Store interface {
	// Update runs fn in one serialisable transaction over records, queues and the logs of the main file. Nil means durable:
	// fsynced before Update returns. An error of fn, or a panic, undoes it all. fn may run more than once and so has no side
	// effects beyond tx. It must not call the Store.
	Update(ctx context.Context, fn func(tx Tx) error) error
	// View runs fn on a consistent snapshot. Writing methods of its Tx fail.
	View(ctx context.Context, fn func(tx Tx) error) error
	// Logs is the second file, for chunks that must never stall commits: they are durable within a second, not at once.
	Logs() Logs
	// Blobs are files by id.
	Blobs() Blobs
	// Close waits for running transactions and closes the files. Later calls answer ErrClosed.
	Close() error
}

// Cond is a condition on the row that a Put or Delete replaces. The zero Cond always holds.
type Cond struct {
	absent  bool
	version int64
}

// IfAbsent holds if there is no row.
func IfAbsent() Cond { return Cond{absent: true} }

// IfVersion holds if the row has this version.
func IfVersion(v int64) Cond { return Cond{version: v} }

// Absent and Version are for backends.
func (c Cond) Absent() bool   { return c.absent }
func (c Cond) Version() int64 { return c.version }

// Record is one row of a table.
type Record struct {
	Key     string
	Value   []byte
	Version int64 // changes with every Put; positive
}

// Range is a part of a table in key order (bytewise).
type Range struct {
	Prefix  string
	After   string // exclusive start, a whole key; empty from the beginning
	Limit   int    // 0 for all
	Reverse bool   // from the end; After is then the exclusive upper bound
}

// Tx is one transaction. It is used by one goroutine and not after fn returned.
type Tx interface {
	// Get answers ErrNotFound if there is no row.
	Get(table string, s Scope, key string) (Record, error)
	// Put answers the row's new version, ErrExists or ErrConflict.
	Put(table string, s Scope, key string, value []byte, c Cond) (int64, error)
	// Delete answers ErrNotFound if there was no row, ErrConflict if the condition does not hold.
	Delete(table string, s Scope, key string, c Cond) error
	// Scan yields rows in key order. The error, if any, comes last with an empty Record. Writing while scanning is allowed
	// and not seen by the scan.
	Scan(table string, s Scope, r Range) iter.Seq2[Record, error]
	// Scopes lists the scopes that have a row in the table, in order: for work at start-up.
	Scopes(table string) ([]Scope, error)

	// Enqueue adds messages. A message whose Dedup id was used on the queue within its DedupFor is not added and not an
	// error; its answer is the first one's id and Duplicate.
	Enqueue(queue string, s Scope, m ...Message) ([]Enqueued, error)
	// Claim takes at most max messages that are due at now, oldest first, and hides them until now+lease. Of one group
	// only the head is claimable, and none while another of the group is claimed.
	Claim(queue string, s Scope, max int, now time.Time, lease time.Duration) ([]Claimed, error)
	// ClaimRuns is Claim, but takes as many messages of one group as max allows, in order, before it goes to the next group.
	// None of a group is claimable while any other of it is claimed. It takes at most 10.
	ClaimRuns(queue string, s Scope, max int, now time.Time, lease time.Duration) ([]Claimed, error)
	// Ack removes a claimed message. Extend sets when it is due again (now for "at once"). Both answer ErrLease if the claim
	// no longer holds.
	Ack(queue string, s Scope, receipt string) error
	Extend(queue string, s Scope, receipt string, due time.Time) error
	// Return makes a claimed message due at now as though it had not been claimed: the claim does not count as a try. It
	// answers ErrLease as Ack does.
	Return(queue string, s Scope, receipt string, now time.Time) error
	// Lookup says until when a claim hides its message: a time that may have passed, or zero if the message is known to be
	// claimable again. It answers ErrLease if another claim followed, or the receipt is none, and ErrNotFound if the message
	// is gone.
	Lookup(queue string, s Scope, receipt string) (time.Time, error)
	// Expire removes messages that were enqueued before t, at most max, the oldest first, and answers how many. It leaves
	// those that are claimed or delayed at now, and those behind a younger one: they come later.
	Expire(queue string, s Scope, max int, now, before time.Time) (int, error)
	// Oldest is about when the oldest message of the queue was enqueued, claimed and delayed ones included: none is older
	// that Expire would remove now. Zero if there is none.
	Oldest(queue string, s Scope) (time.Time, error)
	// Depth counts the messages due, delayed and claimed at now.
	Depth(queue string, s Scope, now time.Time) (Depth, error)
	// CountClaimed counts the messages that are claimed at now, up to max. Unlike Depth it does not look at the others.
	CountClaimed(queue string, s Scope, max int, now time.Time) (int, error)
	// Purge removes all messages of the queue, deduplication ids included. It takes the same short time however many they are;
	// the room that they take is given back afterwards.
	Purge(queue string, s Scope) error
	// Redelay makes messages due a delay after they were enqueued, as though they had been enqueued so. It looks at some, the youngest
	// first, and answers where to go on, in a later transaction too; empty at the end.
	Redelay(queue string, s Scope, r Redelay) (next string, err error)
	// NextDue is when the next message of the queue becomes claimable; zero if it is empty.
	NextDue(queue string, s Scope) (time.Time, error)

	// Append adds a chunk to a log of the main file, durable with the transaction. It answers the chunk's sequence number:
	// positive and growing in a log.
	Append(log string, s Scope, c Chunk) (int64, error)
	// ReadLog yields chunks with a sequence number above after, in order.
	ReadLog(log string, s Scope, after int64, limit int) iter.Seq2[Chunk, error]
	// TrimLog removes chunks up to and including upTo.
	TrimLog(log string, s Scope, upTo int64) error
}

// Message is what Enqueue takes.
type Message struct {
	ID       string // unique in the queue, which is the sender's promise and not checked; made up if empty
	Body     []byte
	Due      time.Time // zero for at once
	Group    string    // ordered among themselves; empty for none
	Dedup    string
	DedupFor time.Duration
	Enqueued time.Time // of a message that comes from another queue; zero for now
	// Lease, if positive, is how long the message is claimed from now on as it is added, for who need not look for it. It counts
	// as a try. A message that has to wait, because of Due or its group, is not claimed.
	Lease time.Duration
}

// Redelay is a new delay for the messages of a queue that were not claimed yet.
type Redelay struct {
	Delay time.Duration
	Since time.Time // those that were enqueued before are due as they were
	Now   time.Time
	After string // what the call before answered; empty for the first
	Max   int    // messages to look at
}

// Enqueued is what became of a message.
type Enqueued struct {
	ID        string
	Duplicate bool
	Sequence  int64  // growing in a queue
	Receipt   string // of the claim if Message.Lease made one; empty otherwise
}

// Claimed is a message under a lease.
type Claimed struct {
	ID       string
	Body     []byte
	Group    string
	Receipt  string // names this claim, not the message
	Tries    int    // claims so far, this one included
	Enqueued time.Time
	First    time.Time // by the clock of the first claim
	Sequence int64
}

// Depth is how many messages a queue holds.
type Depth struct{ Due, Delayed, Claimed int64 }

// Chunk is a piece of a log: one blob for many records, because a row per record was measured 3.4 times slower.
type Chunk struct {
	Sequence    int64     // set by the store
	First, Last time.Time // of the records inside, millisecond precision
	Count       int       // records inside
	Data        []byte    // as the owner encodes them
}

// Logs is the file of logs that may lag: append chunks, read ranges by time.
type Logs interface {
	// Append adds chunks; it does not wait for the disk.
	Append(ctx context.Context, log string, s Scope, c ...Chunk) error
	// Read yields chunks that overlap [from, to], in sequence order (reverse: last first), with sequence above after if that
	// is positive (below it when reversed).
	Read(ctx context.Context, log string, s Scope, r LogRange) iter.Seq2[Chunk, error]
	// Delete removes a whole log; DeleteBefore the chunks whose Last is before t.
	Delete(ctx context.Context, log string, s Scope) error
	DeleteBefore(ctx context.Context, log string, s Scope, t time.Time) error
	// Sync waits until everything appended before is durable.
	Sync(ctx context.Context) error
	// Room is about how many bytes of chunks still find room: of the disk's space, what is not kept for everything else, and
	// what deleted chunks have left. It is large where nobody knows, and it waits for nothing.
	Room() int64
}

// LogRange is a part of a log.
type LogRange struct {
	From, To time.Time // inclusive; zero for open
	After    int64
	Limit    int // chunks; 0 for all
	Reverse  bool
}

// Blobs are files by id. A blob is complete and fsynced before its id is known.
type Blobs interface {
	// Put stores what r yields, at most limit bytes (ErrTooLarge beyond), and answers when it is durable.
	Put(ctx context.Context, r io.Reader, limit int64) (Blob, error)
	// Open answers ErrNotFound if there is none. The file may be read from any offset and must be closed.
	Open(id string) (BlobFile, error)
	// Delete is idempotent.
	Delete(id string) error
	// All yields every id: for sweeping what no row names any more.
	All() iter.Seq2[string, error]
}

// Blob is what Put stored.
type Blob struct {
	ID     string
	Size   int64
	SHA256 [32]byte
}

// BlobFile reads a blob.
type BlobFile interface {
	io.Reader
	io.ReaderAt
	io.Seeker
	io.Closer
	Size() int64
}
