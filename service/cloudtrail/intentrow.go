package cloudtrail

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store/row"
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
		b = row.AppendText(b, text)
	}
	b = row.AppendText(b, identityOf(e.principal))
	b = row.AppendText(b, e.params)
	for _, a := range e.access { // to the end
		b = row.AppendText(row.AppendText(b, a.Action), a.Resource)
	}
	return b
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
	t := &row.Reader{Rest: b[2+8:]}
	boot = t.Text()
	op := &aws.Op{Service: &aws.Service{SigningName: t.Text()}, Name: t.Text(), Action: t.Text(), URI: t.Text(), Data: data}
	made := entry{
		op: op, principal: &aws.Principal{}, recipient: i.scope.Account, at: at, data: data, recovered: true,
		region: t.Text(), requestID: t.Text(), sourceIP: t.Text(), userAgent: t.Text(), via: t.Text(),
	}
	who, params := identity(t.Text()), t.Text()
	if params != "" {
		made.params = json.RawMessage(params)
	}
	for len(t.Rest) > 0 {
		made.access = append(made.access, aws.Access{Action: t.Text(), Resource: t.Text()})
	}
	if t.Bad || len(who) == 0 {
		return e, "", errIntent
	}
	e = entry{recipient: made.recipient, at: at, data: data, intent: i}
	e.line = made.renderOn(made.resources(), nil, i.eventID, who)
	return e, boot, nil
}

// parseOldIntent reads a row as it was before it had a version.
func parseOldIntent(b []byte, i *intent) (e entry, boot string, err error) {
	var old struct {
		Boot string
		Data bool
		At   time.Time
		Line json.RawMessage
	}
	if err := json.Unmarshal(b, &old); err != nil {
		return e, "", err
	}
	if len(old.Line) == 0 {
		return e, "", errIntent
	}
	return entry{recipient: i.scope.Account, at: old.At, data: old.Data, line: old.Line, intent: i}, old.Boot, nil
}
