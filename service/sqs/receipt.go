package sqs

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/seal"
)

// receipt is what a receipt handle says: which claim, and since when.
type receipt struct {
	claim    string // the store's
	received time.Time
}

// maxHandle bounds what is taken for a receipt handle, in bytes.
const maxHandle = 1024

// handle seals a receipt, so that nobody makes one up; it is good for this queue only.
func (s *Service) handle(q *queue, r receipt) string {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(r.claim)), uint64(r.received.UnixMilli()))
	return base64.StdEncoding.EncodeToString(s.receipts.Seal(append(plain, r.claim...), q.receiptPlace()))
}

func (q *queue) receiptPlace() []byte { return []byte(q.scope.Account + "\x00" + q.row.ID) }

// openHandle answers ReceiptHandleIsInvalid for what is no handle of this queue.
func (s *Service) openHandle(q *queue, handle string) (receipt, error) {
	r, ok := openHandle(s.receipts, q.receiptPlace(), handle)
	if !ok {
		return r, api.ErrReceiptHandleIsInvalid.Withf("The input receipt handle \"%s\" is not a valid receipt handle.", clip(handle))
	}
	return r, nil
}

func openHandle(k *seal.Key, place []byte, handle string) (receipt, bool) {
	if len(handle) > maxHandle {
		return receipt{}, false
	}
	b, err := base64.StdEncoding.DecodeString(handle)
	if err != nil {
		return receipt{}, false
	}
	plain, err := k.Open(b, place)
	if err != nil || len(plain) < 8 {
		return receipt{}, false
	}
	at := int64(binary.BigEndian.Uint64(plain))
	return receipt{claim: string(plain[8:]), received: time.UnixMilli(at)}, true
}
