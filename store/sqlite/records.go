package sqlite

import (
	"database/sql/driver"

	"github.com/enfold-run/enfold/store"
)

var (
	qGet       = &query{"SELECT version, value FROM records WHERE space = ? AND key = ?"}
	qPut       = &query{"INSERT INTO records (space, key, version, value) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value"}
	qPutAbsent = &query{"INSERT INTO records (space, key, version, value) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"}
	qPutIf     = &query{"UPDATE records SET version = ?, value = ? WHERE space = ? AND key = ? AND version = ?"}
	qDelete    = &query{"DELETE FROM records WHERE space = ? AND key = ?"}
	qDeleteIf  = &query{"DELETE FROM records WHERE space = ? AND key = ? AND version = ?"}
	qAnyRecord = &query{"SELECT 1 FROM records WHERE space = ? LIMIT 1"}
)

// Get is [store.Tx.Get].
func (t *txn) Get(table string, s store.Scope, key string) (store.Record, error) {
	if err := t.reads(table, s.Account, s.Region, key); err != nil {
		return store.Record{}, err
	}
	id, err := t.space(space{records, table, s})
	if err != nil {
		return store.Record{}, err
	}
	if id == 0 {
		return store.Record{}, store.ErrNotFound
	}
	return t.record(id, key)
}

func (t *txn) record(id int64, key string) (store.Record, error) {
	row, ok, err := t.conn.one(qGet, id, key)
	if err != nil {
		return store.Record{}, err
	}
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	return store.Record{Key: key, Version: asInt(row[0]), Value: asBytes(row[1])}, nil
}

// Put is [store.Tx.Put].
func (t *txn) Put(table string, s store.Scope, key string, value []byte, c store.Cond) (int64, error) {
	if err := t.writes(len(value), table, s.Account, s.Region, key); err != nil {
		return 0, err
	}
	id, err := t.makeSpace(space{records, table, s})
	if err != nil {
		return 0, err
	}
	if err := t.keepForScans(id, key); err != nil {
		return 0, err
	}
	version := t.writer.next()
	var n int64
	switch {
	case c.Absent():
		n, err = t.conn.exec(qPutAbsent, id, key, version, value)
		if err == nil && n == 0 {
			err = store.ErrExists
		}
	case c.Version() != 0:
		n, err = t.conn.exec(qPutIf, version, value, id, key, c.Version())
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
	default:
		_, err = t.conn.exec(qPut, id, key, version, value)
	}
	if err != nil {
		return 0, err
	}
	return version, nil
}

// Delete is [store.Tx.Delete].
func (t *txn) Delete(table string, s store.Scope, key string, c store.Cond) error {
	if err := t.writes(0, table, s.Account, s.Region, key); err != nil {
		return err
	}
	id, err := t.space(space{records, table, s})
	if err != nil {
		return err
	}
	if id == 0 {
		return store.ErrNotFound
	}
	if err := t.keepForScans(id, key); err != nil {
		return err
	}
	if c.Absent() {
		return t.present(id, key)
	}
	var n int64
	if c.Version() != 0 {
		n, err = t.conn.exec(qDeleteIf, id, key, c.Version())
	} else {
		n, err = t.conn.exec(qDelete, id, key)
	}
	if err == nil && n == 0 {
		return t.present(id, key)
	}
	return err
}

// present tells a row that the condition did not hold for, ErrConflict, from no row at all, ErrNotFound.
func (t *txn) present(id int64, key string) error {
	if _, err := t.record(id, key); err != nil {
		return err
	}
	return store.ErrConflict
}

// Scopes is [store.Tx.Scopes].
func (t *txn) Scopes(table string) ([]store.Scope, error) {
	if err := t.reads(table); err != nil {
		return nil, err
	}
	var ids []int64
	var all []store.Scope
	err := t.conn.each(qNameSpaces, func(row []driver.Value) error {
		ids = append(ids, asInt(row[0]))
		all = append(all, store.Scope{Account: asText(row[1]), Region: asText(row[2])})
		return nil
	}, int64(records), table)
	if err != nil {
		return nil, err
	}
	used := all[:0]
	for i, id := range ids {
		_, ok, err := t.conn.one(qAnyRecord, id)
		if err != nil {
			return nil, err
		}
		if ok {
			used = append(used, all[i])
		}
	}
	return used, nil
}

func asInt(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func asText(v driver.Value) string {
	s, _ := v.(string)
	return s
}

func asBytes(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}
