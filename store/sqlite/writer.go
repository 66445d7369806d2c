package sqlite

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxGroup is how many transactions are committed together at most: enough that an fsync costs each of them next to nothing,
// few enough that the first does not wait long for the last.
const maxGroup = 256

// maxGroupBytes ends a group early, so that what a commit holds in memory stays bounded.
const maxGroupBytes = 16 << 20

// writer owns the one connection that writes. Who has the pen runs the callers' functions.
//
// A caller that finds the writer at rest takes the pen and does all of it for itself: handing over and waking up would cost more
// than the work. What comes meanwhile is the next group, for two goroutines that take turns. A group grows until the one before it
// is durable, and is committed then. Who committed it passes the pen on, makes the group durable and answers its callers, see
// landing, while the other runs the next group. They live as long as the writer, because a new goroutine would have to grow its
// stack through all of SQLite first.
type writer struct {
	file    file
	conn    *conn
	check   *checkpointer
	calls   chan *call
	kick    chan struct{} // there are calls
	spare   sync.Pool     // of calls that were answered
	pen     chan struct{}
	stop    chan struct{}
	running sync.WaitGroup

	pause sync.Mutex // held while a group is open, and by a checkpoint that needs the writer out of the way

	landing chan struct{}           // holds a value from before a commit until that is durable
	crowded atomic.Bool             // the last group was of more than one call
	last    atomic.Pointer[landing] // what is committed, or about to be, and not known to be durable; nil if there is none

	patience patience

	// Of who has the landing.
	wal      *os.File // what is synced
	syncFile func(*os.File) error
	broken   error // a sync failed: nothing is committed any more

	// Of who has the pen. It outlives that goroutine, because a function may end it.
	group   []*call // ran, wait for the commit
	errs    []error // what the functions of the group answered
	redo    []*call // of a group that was taken back
	retry   []*call // of a group that was taken back because it had no savepoints
	guarded int     // so many transactions to come get one
	current *txn
	holding bool        // pause is locked
	cleared bool        // to land: nobody else has the landing
	timer   *time.Timer // of joined
	open    bool        // a transaction is open
	bytes   int64       // written by the group
	room    int64       // up to where the write-ahead log has been made longer ahead
	counter int64       // see mainSchema
	saved   int64       // the counter as the file has it
	spaces  spaces
	dues    dues
	tallies tallies // of the group
	reaper  *reaper
}

var (
	qBegin     = &query{"BEGIN IMMEDIATE"}
	qCommit    = &query{"COMMIT"}
	qRollback  = &query{"ROLLBACK"}
	qSave      = &query{"SAVEPOINT s"}
	qRelease   = &query{"RELEASE s"}
	qUndo      = &query{"ROLLBACK TO s"}
	qCounter   = &query{"SELECT value FROM counters WHERE space = 1"}
	qSaveCount = &query{"UPDATE counters SET value = ? WHERE space = 1"}
)

func newWriter(f file, check *checkpointer, sync func(*os.File) error) (*writer, error) {
	w := &writer{
		file: f, check: check, syncFile: sync, calls: make(chan *call, maxGroup), kick: make(chan struct{}, 1), stop: make(chan struct{}),
		pen: make(chan struct{}, 1), landing: make(chan struct{}, 1),
	}
	w.spare.New = newCall
	w.patience.start()
	w.timer = time.NewTimer(time.Hour)
	w.spaces.ids = make(map[space]int64)
	w.dues.soonest = make(map[int64]int64)
	w.reaper = newReaper()
	check.pause = &w.pause
	if err := w.connect(); err != nil {
		return nil, err
	}
	if left, err := w.conn.number(qTrash, int64(trash)); err != nil {
		return nil, errors.Join(err, w.conn.close())
	} else if left != 0 { // what another process did not get to delete
		w.reaper.rouse()
	}
	w.pen <- struct{}{}
	for range 2 {
		w.running.Add(1)
		go w.run()
	}
	w.reaper.start(w)
	return w, nil
}

// connect opens the connection, the file's schema first.
func (w *writer) connect() error {
	pragmas := []string{"cache_size=-8192", fmt.Sprintf("journal_size_limit=%d", maxLog)}
	if !w.file.noSync {
		pragmas = append(pragmas, "synchronous=NORMAL") // all that FULL does but the sync after a commit, which is land's
	}
	c, err := w.file.connect(pragmas...)
	if err != nil {
		return err
	}
	if err := c.prepareFile(); err != nil {
		return errors.Join(err, c.close())
	}
	n, err := c.number(qCounter)
	if err != nil {
		return errors.Join(err, c.close())
	}
	if err := w.openWAL(); err != nil {
		return errors.Join(err, c.close())
	}
	w.conn, w.saved, w.open = c, n, false
	w.counter = max(w.counter, n)
	return nil
}

// end stops the goroutines; all callers have left. The connection is closed later, because the last one that is closed makes
// a checkpoint.
func (w *writer) end() {
	w.reaper.stop()
	close(w.stop)
	w.running.Wait()
}

// close closes what the writer has, when it has ended.
func (w *writer) close() error {
	if w.wal == nil {
		return w.conn.close()
	}
	return errors.Join(w.wal.Close(), w.conn.close())
}

// finish commits the group, and then runs by themselves those of a group that was taken back. The last commit is still to
// land, if there was any.
func (w *writer) finish() *landing {
	l := w.commit()
	for len(w.redo) > 0 {
		if l != nil {
			w.land(l)
		}
		c := w.redo[0]
		w.redo = w.redo[1:]
		w.take(c)
		l = w.commit()
	}
	if l != nil {
		w.makeRoom()
	}
	w.redo, w.holding = nil, false
	w.pause.Unlock()
	w.check.wrote(w.conn)
	return l
}

// begin opens a transaction if none is. A connection that cannot begin is in a state that nobody foresaw, and is replaced.
func (w *writer) begin() error {
	if w.open {
		return nil
	}
	w.conn.healthy()
	_, err := w.conn.exec(qBegin)
	if err != nil {
		w.awaitLanding()   // of what the connection wrote
		_ = w.conn.close() // it is of no use: its errors tell nothing that err does not
		if cerr := w.connect(); cerr != nil {
			return errors.Join(err, cerr)
		}
		_, err = w.conn.exec(qBegin)
	}
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	w.open = true
	return nil
}

// rollback ends the transaction. SQLite may have done so before, and then refuses.
func (w *writer) rollback() {
	_, _ = w.conn.exec(qRollback) // begin finds out if the connection is of no use afterwards
	w.conn.healthy()
	w.open = false
	w.spaces.forgetAll()
	w.dues.forgetAll()
	clear(w.tallies)
}

func (w *writer) reset() {
	clear(w.group)
	clear(w.errs)
	w.group, w.errs, w.bytes = w.group[:0], w.errs[:0], 0
}

func (w *writer) flush() error {
	if err := w.saveTallies(); err != nil {
		return err
	}
	if w.counter != w.saved {
		if _, err := w.conn.exec(qSaveCount, w.counter); err != nil {
			return err
		}
	}
	if _, err := w.conn.exec(qCommit); err != nil {
		return err
	}
	w.saved = w.counter
	clear(w.tallies)
	return nil
}

// next is a number that was never used: a version, a sequence number, the number of a space.
func (w *writer) next() int64 {
	w.counter++
	return w.counter
}
