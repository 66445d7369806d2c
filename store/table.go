package store

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// Table is a typed table of records, JSON inside. Its owner declares it once:
//
//	var functions = store.Table[function]{Name: "lambda.function"}
type Table[T any] struct{ Name string }

// Row is a typed record.
type Row[T any] struct {
	Key     string
	Version int64
	Value   T
}

// Get answers ErrNotFound if there is no row.
func (t Table[T]) Get(tx Tx, s Scope, key string) (Row[T], error) {
	r, err := tx.Get(t.Name, s, key)
	if err != nil {
		return Row[T]{}, err
	}
	return t.decode(r)
}

// Put answers the row's new version.
func (t Table[T]) Put(tx Tx, s Scope, key string, v T, c ...Cond) (int64, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("encode %s %q: %w", t.Name, key, err)
	}
	return tx.Put(t.Name, s, key, b, only(c))
}

// Delete answers ErrNotFound if there was no row.
func (t Table[T]) Delete(tx Tx, s Scope, key string, c ...Cond) error {
	return tx.Delete(t.Name, s, key, only(c))
}

// Scan yields rows in key order.
func (t Table[T]) Scan(tx Tx, s Scope, r Range) iter.Seq2[Row[T], error] {
	return func(yield func(Row[T], error) bool) {
		for rec, err := range tx.Scan(t.Name, s, r) {
			var row Row[T]
			if err == nil {
				row, err = t.decode(rec)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Scopes lists the scopes that have a row in the table.
func (t Table[T]) Scopes(tx Tx) ([]Scope, error) { return tx.Scopes(t.Name) }

func (t Table[T]) decode(r Record) (Row[T], error) {
	row := Row[T]{Key: r.Key, Version: r.Version}
	if err := json.Unmarshal(r.Value, &row.Value); err != nil {
		return row, fmt.Errorf("decode %s %q: %w", t.Name, r.Key, err)
	}
	return row, nil
}

func only(c []Cond) Cond {
	if len(c) == 0 {
		return Cond{}
	}
	return c[0]
}

// Key joins the parts of a composite key so that keys order by their parts. No part may hold a NUL byte.
func Key(parts ...string) string { return strings.Join(parts, "\x00") }

// Prefix is the Range.Prefix of all keys that begin with these parts and have more.
func Prefix(parts ...string) string { return Key(parts...) + "\x00" }
