package cloudtrail

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// The tables beside the logs.
const (
	digestTable = "cloudtrail.digest" // a sealed digest per log, by kind; in the empty account the sealed list of all logs
	indexTable  = "cloudtrail.index"  // a row per chunk, by kind and sequence number, so that a log is read backwards
)

// digest is both ends of a chain.
type digest struct {
	Number int64 // of the last chunk; the first one was 1
	Last   int64 // its sequence number
	Hash   []byte
	Events int64 // in all chunks so far, the trimmed ones too

	Trimmed     int64 // number of the last chunk that expired; 0 for none
	TrimmedHash []byte
	TrimmedSeq  int64
}

func digestName(l logID) []byte { return []byte(store.Key("digest", l.account, l.kind)) }

// getDigest is a log's digest, the zero one if there is none.
func getDigest(tx store.Tx, key *seal.Key, l logID) (digest, bool, error) {
	var d digest
	row, err := tx.Get(digestTable, l.scope(), l.kind)
	if errors.Is(err, store.ErrNotFound) {
		return digest{Hash: make([]byte, len(hash{})), TrimmedHash: make([]byte, len(hash{}))}, false, nil
	}
	if err != nil {
		return d, false, err
	}
	return d, true, open(key, row.Value, digestName(l), &d)
}

func putDigest(tx store.Tx, key *seal.Key, l logID, d digest) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = tx.Put(digestTable, l.scope(), l.kind, key.Seal(b, digestName(l)), store.Cond{})
	return err
}

func open(key *seal.Key, sealed, name []byte, v any) error {
	b, err := key.Open(sealed, name)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// logsKey is the row of the list of logs: a log that is gone as a whole, with its digest, is still in it.
const logsKey = "logs"

var logsName = []byte("logs")

type logName struct{ Account, Kind string }

func getLogs(tx store.Tx, key *seal.Key) ([]logName, bool, error) {
	row, err := tx.Get(digestTable, store.Scope{}, logsKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var list []logName
	return list, true, open(key, row.Value, logsName, &list)
}

// addLog puts a log without a digest into the list of logs. One that is in it has lost its digest, and that stays known.
func (s *Service) addLog(tx store.Tx, l logID) error {
	list, _, err := getLogs(tx, s.key)
	if errors.Is(err, seal.ErrSealed) { // the digests of the logs that were in it are still there, and tell
		list, err = nil, nil
	}
	if err != nil {
		return err
	}
	if slices.Contains(list, logName{l.account, l.kind}) {
		s.log.Error("audit trail: the digest was removed on the disk; a new chain begins", "account", l.account, "kind", l.kind)
		_, err := tx.Put(digestTable, l.scope(), brokenKey(l.kind), []byte("removed"), store.Cond{})
		return err
	}
	b, err := json.Marshal(append(list, logName{l.account, l.kind}))
	if err != nil {
		return err
	}
	_, err = tx.Put(digestTable, store.Scope{}, logsKey, s.key.Seal(b, logsName), store.Cond{})
	return err
}

// append adds pieces to a log.
func (s *Service) append(tx store.Tx, l logID, pieces []piece) error {
	d, ok, err := getDigest(tx, s.key, l)
	if errors.Is(err, seal.ErrSealed) {
		d, err = s.replaceDigest(tx, l)
	}
	if err != nil {
		return fmt.Errorf("open the digest: %w", err)
	}
	if !ok {
		if err := s.addLog(tx, l); err != nil {
			return fmt.Errorf("list the log: %w", err)
		}
	}
	for _, p := range pieces {
		d.Number++
		sum := chain(hash(d.Hash), d.Number, p)
		seq, err := tx.Append(l.name(), l.scope(), store.Chunk{
			First: p.first, Last: p.last, Count: p.count, Data: chunkData(d.Number, sum, p.lines),
		})
		if err != nil {
			return err
		}
		d.Hash, d.Last, d.Events = sum[:], seq, d.Events+int64(p.count)
		row := indexRow{seq, p.first, p.last, p.count, sum}
		if _, err := tx.Put(indexTable, l.scope(), indexKey(l, seq), row.encode(), store.Cond{}); err != nil {
			return err
		}
	}
	return putDigest(tx, s.key, l, d)
}

// brokenKey is where a digest goes that does not open.
func brokenKey(kind string) string { return store.Key(kind, "broken") }

// replaceDigest begins a chain anew where somebody changed the digest: recording goes on, and [Verify] never forgets it.
func (s *Service) replaceDigest(tx store.Tx, l logID) (digest, error) {
	s.log.Error("audit trail: the digest was changed on the disk; a new chain begins", "account", l.account, "kind", l.kind)
	row, err := tx.Get(digestTable, l.scope(), l.kind)
	if err != nil {
		return digest{}, err
	}
	if _, err := tx.Put(digestTable, l.scope(), brokenKey(l.kind), row.Value, store.Cond{}); err != nil {
		return digest{}, err
	}
	return digest{Hash: make([]byte, len(hash{})), TrimmedHash: make([]byte, len(hash{}))}, nil
}

// indexRow says of a chunk what is needed to find it.
type indexRow struct {
	seq         int64
	first, last time.Time
	count       int
	sum         hash
}

const indexSize = 8 + 8 + 8 + len(hash{})

func indexKey(l logID, seq int64) string { return store.Key(l.kind, fmt.Sprintf("%016x", seq)) }

func (r indexRow) encode() []byte {
	b := make([]byte, 0, indexSize)
	b = binary.BigEndian.AppendUint64(b, uint64(r.first.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.last.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.count))
	return append(b, r.sum[:]...)
}

func decodeIndex(rec store.Record) (indexRow, error) {
	var r indexRow
	if len(rec.Value) != indexSize || len(rec.Key) < 16 {
		return r, errChunk
	}
	if _, err := fmt.Sscanf(rec.Key[len(rec.Key)-16:], "%016x", &r.seq); err != nil {
		return r, errChunk
	}
	b := rec.Value
	r.first = time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()
	r.last = time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))).UTC()
	r.count = int(binary.BigEndian.Uint64(b[16:]))
	r.sum = hash(b[24:])
	return r, nil
}
