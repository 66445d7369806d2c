package sqlite

import (
	"strconv"

	"github.com/enfold-run/enfold/store"
)

// kind is which primitive a space belongs to.
type kind byte

const (
	records kind = iota + 2
	queues
	logsOf
	trash // rows that nobody has any more; the name is the space's own number
)

// space is whose rows, of which primitive, under which name.
type space struct {
	kind  kind
	name  string
	scope store.Scope
}

var (
	qSpace      = &query{"SELECT id FROM spaces WHERE kind = ? AND name = ? AND account = ? AND region = ?"}
	qAddSpace   = &query{"INSERT INTO spaces (id, kind, name, account, region) VALUES (?, ?, ?, ?, ?)"}
	qDropSpace  = &query{"DELETE FROM spaces WHERE id = ?"}
	qTrashSpace = &query{"UPDATE spaces SET kind = ?, name = ?, account = '', region = '' WHERE id = ?"}
	qNameSpaces = &query{"SELECT id, account, region FROM spaces WHERE kind = ? AND name = ? ORDER BY account, region"}
)

// maxSpaces bounds what a writer remembers.
const maxSpaces = 10_000

// spaces remembers the numbers of spaces, 0 for one that is not there, on the connection that alone changes them.
type spaces struct{ ids map[space]int64 }

func (s *spaces) put(k space, id int64) {
	if len(s.ids) >= maxSpaces {
		clear(s.ids)
	}
	s.ids[k] = id
}

func (s *spaces) forget(ks []space) {
	for _, k := range ks {
		delete(s.ids, k)
	}
}

func (s *spaces) forgetAll() { clear(s.ids) }

// find answers the number of a space, 0 if there is none: then it has no rows.
func (c *conn) find(k space) (int64, error) {
	return c.number(qSpace, int64(k.kind), k.name, k.scope.Account, k.scope.Region)
}

// space answers the number of a space, 0 if there is none.
func (t *txn) space(k space) (int64, error) {
	if id, ok := t.known(k); ok {
		return id, nil
	}
	id, err := t.conn.find(k)
	if err == nil {
		t.remember(k, id) // also that there is none: many a table is asked and has never had a row
	}
	return id, err
}

// makeSpace answers the number of a space, which it makes if there is none.
func (t *txn) makeSpace(k space) (int64, error) {
	id, err := t.space(k)
	if err != nil || id != 0 {
		return id, err
	}
	id = t.writer.next()
	if _, err := t.conn.exec(qAddSpace, id, int64(k.kind), k.name, k.scope.Account, k.scope.Region); err != nil {
		return 0, err
	}
	t.changed = append(t.changed, k)
	t.remember(k, id)
	return id, nil
}

// throwAway leaves the rows of a space to the reaper. Whoever asks for the space of this name gets another one.
func (t *txn) throwAway(k space, id int64) error {
	t.removed(k)
	_, err := t.conn.exec(qTrashSpace, int64(trash), strconv.FormatInt(id, 10), id)
	t.writer.reaper.rouse()
	return err
}

// dropSpace removes a space that has no rows any more. Its number is never used again.
func (t *txn) dropSpace(k space, id int64) error {
	t.removed(k)
	_, err := t.conn.exec(qDropSpace, id)
	return err
}

// removed forgets a space. If the transaction is undone, what it has found out since about that name is forgotten too.
func (t *txn) removed(k space) {
	t.writer.spaces.forget([]space{k})
	t.changed = append(t.changed, k)
}

// known looks in what the writer remembers, or a View in what it found in its own snapshot.
func (t *txn) known(k space) (int64, bool) {
	if t.writer != nil {
		id, ok := t.writer.spaces.ids[k]
		return id, ok
	}
	id, ok := t.seen[k]
	return id, ok
}

func (t *txn) remember(k space, id int64) {
	if t.writer != nil {
		t.writer.spaces.put(k, id)
		return
	}
	if t.seen == nil {
		t.seen = make(map[space]int64)
	}
	t.seen[k] = id
}
