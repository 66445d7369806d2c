package cloudtrail

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// An intent's row, before it is sealed, is what its record is made of and not the record: that would not fit into a page of the
// store beside others, and is only wanted after a crash. It is intentVersion, flags, the time, and texts, each after its length.
const (
	intentVersion = 1
	intentData    = 1 // a flag: of a data event
)

var errIntent = errors.New("an intent without a record")

// appendIntent adds the row of a call that is not over, of which all is known that its record will say of the request.
func (e *entry) appendIntent(b []byte, boot string) []byte {
	flags := byte(0)
	if e.data {
		flags |= intentData
	}
	b = append(b, intentVersion, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(e.at.UnixNano()))
	for _, text := range [...]string{
		boot, e.op.Service.SigningName, e.op.Name, e.op.Action, e.op.URI, e.region, e.requestID,
		cmp.Or(e.sourceIP, e.principal.Service), cmp.Or(e.userAgent, e.principal.Service), e.via,
	} {
		b = appendText(b, text)
	}
	b = appendText(b, identityOf(e.principal))
	b = appendText(b, e.params)
	for _, a := range e.access { // to the end
		b = appendText(appendText(b, a.Action), a.Resource)
	}
	return b
}

func appendText[T string | identity | json.RawMessage](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// intentTexts reads what appendText wrote.
type intentTexts struct {
	b   []byte
	bad bool
}

func (t *intentTexts) next() string {
	n, size := binary.Uvarint(t.b)
	if size <= 0 || n > uint64(len(t.b)-size) {
		t.b, t.bad = nil, true
		return ""
	}
	text := t.b[size : size+int(n)]
	t.b = t.b[size+int(n):]
	return string(text)
}

// parseIntent is a row and the process that it is of. The entry has its line.
func parseIntent(b []byte, i *intent) (e entry, boot string, err error) {
	if len(b) > 0 && b[0] == '{' {
		return parseOldIntent(b, i)
	}
	if len(b) < 2+8 || b[0] != intentVersion {
		return e, "", errIntent
	}
	data := b[1]&intentData != 0
	at := time.Unix(0, int64(binary.BigEndian.Uint64(b[2:])))
	t := &intentTexts{b: b[2+8:]}
	boot = t.next()
	op := &aws.Op{Service: &aws.Service{SigningName: t.next()}, Name: t.next(), Action: t.next(), URI: t.next(), Data: data}
	made := entry{
		op: op, principal: &aws.Principal{}, recipient: i.scope.Account, at: at, data: data, recovered: true,
		region: t.next(), requestID: t.next(), sourceIP: t.next(), userAgent: t.next(), via: t.next(),
	}
	who, params := identity(t.next()), t.next()
	if params != "" {
		made.params = json.RawMessage(params)
	}
	for len(t.b) > 0 {
		made.access = append(made.access, aws.Access{Action: t.next(), Resource: t.next()})
	}
	if t.bad || len(who) == 0 {
		return e, "", errIntent
	}
	e = entry{recipient: made.recipient, at: at, data: data, intent: i}
	e.line = made.renderOn(made.resources(), nil, i.eventID, who)
	return e, boot, nil
}

// parseOldIntent reads a row as it was before it had a version.
func parseOldIntent(b []byte, i *intent) (e entry, boot string, err error) {
	var row struct {
		Boot string
		Data bool
		At   time.Time
		Line json.RawMessage
	}
	if err := json.Unmarshal(b, &row); err != nil {
		return e, "", err
	}
	if len(row.Line) == 0 {
		return e, "", errIntent
	}
	return entry{recipient: i.scope.Account, at: row.At, data: row.Data, line: row.Line, intent: i}, row.Boot, nil
}
