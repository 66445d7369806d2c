package cloudtrail

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// TestIntentRow: the record that a row becomes is the one that the call would have had, but for what says that it was recovered;
// and the rows of the calls that are made most leave room in a page.
func TestIntentRow(t *testing.T) {
	f := newFixture(t)
	send := f.call(worker, sqs.OpSendMessage, "arn:aws:sqs:eu-west-1:000000000000:orders", &sqs.SendMessageInput{
		QueueURL: new("http://127.0.0.1:4566/000000000000/orders"), MessageBody: new("message-secret"),
	})
	send.UserAgent = "aws-sdk-go-v2/1.47.6 ua/2.1 os/linux lang/go#1.26.0 md/GOOS#linux md/GOARCH#amd64 api/sqs#1.114.1 m/E,g"
	through := f.remove(root)
	through.Via = []string{"lambda.amazonaws.com"}
	inside := f.call(&aws.Principal{Type: aws.ServiceType, Service: "sns.amazonaws.com"}, sqs.OpSendMessage, "*", &sqs.SendMessageInput{})
	inside.SourceIP, inside.UserAgent = "", ""
	for name, call := range map[string]*aws.Call{
		"an invocation": f.invoke(root), "a session's change": f.remove(worker), "a message": send, "through a service": through, "by a service": inside,
	} {
		t.Run(name, func(t *testing.T) {
			e := f.newEntry(call)
			if e.data {
				e.input = shallow(call.Input)
			} else {
				e.params = elements(call.Input, "requestParameters")
			}
			e.recovered = true
			i := f.newIntent(call)
			want := e.render(nil, i.eventID, identityOf(call.Principal))
			row, err := f.key.Open(i.sealed, intentName(i.scope, i.eventID))
			f.check(err, "")
			got, ours, err := f.openIntent(i.scope, storeRecord(i))
			if err != nil || !ours || string(got.line) != string(want) {
				t.Errorf("ours %v, error %v, line\n%s\nwant\n%s", ours, err, got.line, want)
			}
			if got.recipient != account || got.data != e.data || !got.at.Equal(e.at) || got.intent.eventID != i.eventID {
				t.Errorf("entry %+v", got)
			}
			if len(i.sealed) > 950 {
				t.Errorf("%d bytes", len(i.sealed))
			}
			if strings.Contains(string(row), "secret") {
				t.Errorf("a secret in %q", row)
			}
			whole := 0
			for n := range row {
				if _, _, err := parseIntent(row[:n], i); err == nil {
					whole++
				}
			}
			if whole > 1 { // a row without what was decided on is one
				t.Errorf("%d beginnings of a row are rows", whole)
			}
		})
	}
}

func storeRecord(i *intent) store.Record { return store.Record{Key: i.eventID, Value: i.sealed} }

// TestOldIntentRow: what the version before left over is recorded too.
func TestOldIntentRow(t *testing.T) {
	f := newFixture(t)
	e := f.newEntry(f.remove(worker))
	e.recovered = true
	i := &intent{scope: store.Scope{Account: account}, eventID: newEventID()}
	line := e.render(nil, i.eventID, identityOf(worker))
	row, err := json.Marshal(map[string]any{"Boot": "another", "Data": false, "At": e.at, "Line": json.RawMessage(line)})
	f.check(err, "")
	f.check(f.db.Update(t.Context(), func(tx store.Tx) error {
		_, err := tx.Put(intentTable, i.scope, i.eventID, f.key.Seal(row, intentName(i.scope, i.eventID)), store.Cond{})
		return err
	}), "")
	f.crash()
	if got := f.events(Query{}); len(got) != 1 || !got[0].Recovered || got[0].ID != i.eventID || got[0].Role != role || f.intentRows() != 0 {
		t.Errorf("events %+v, %d intents", got, f.intentRows())
	}
}

func FuzzParseIntent(f *testing.F) {
	fx := &fixture{t: f, Service: New(Deps{Seal: testKey()})} // no store: the fuzzer is slow beside one
	for _, call := range []*aws.Call{fx.invoke(root), fx.remove(worker)} {
		e := fx.newEntry(call)
		f.Add(e.appendIntent(nil, "boot"))
	}
	f.Add([]byte(`{"Boot":"b","Line":{}}`))
	f.Add([]byte{intentVersion, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, _, err := parseIntent(b, &intent{scope: store.Scope{Account: account}, eventID: "id"})
		if err == nil && len(e.line) == 0 {
			t.Error("an entry without a line")
		}
	})
}
