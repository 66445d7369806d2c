package sqs

import (
	"bytes"
	"encoding/base64"
	"reflect"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/seal"
)

// FuzzHandle: nothing but what was sealed for this queue opens.
func FuzzHandle(f *testing.F) {
	root, err := seal.NewRoot(bytes.Repeat([]byte("k"), seal.RootSize))
	if err != nil {
		f.Fatal(err)
	}
	k, place := root.Key("sqs receipt"), []byte("111122223333\x00queue")
	good := base64.StdEncoding.EncodeToString(k.Seal([]byte("12345678claim"), place))
	f.Add(good)
	f.Add(base64.StdEncoding.EncodeToString(k.Seal([]byte("12345678claim"), []byte("another"))))
	f.Add(base64.StdEncoding.EncodeToString(k.Seal([]byte("1234567"), place)))
	f.Add(good[:len(good)-5])
	f.Add("\n" + good)
	f.Fuzz(func(t *testing.T, handle string) {
		r, ok := openHandle(k, place, handle)
		if ok && (r.claim != "claim" || r.received.UnixMilli() != 0x3132333435363738) {
			t.Errorf("%q opens to %+v", handle, r)
		}
	})
}

func FuzzContent(f *testing.F) {
	c := content{body: "b", sender: "s", group: "g", dedup: "d", trace: "t", attributes: []attribute{{"n", "String", []byte("v"), false}, {"m", "Binary", []byte{0}, true}}}
	f.Add(c.encode())
	c.cause = "{}"
	f.Add(c.encode())
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeContent(b)
		if err != nil {
			return
		}
		again, err := decodeContent(c.encode())
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v becomes %+v, %v", c, again, err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	e := envelope{source: "arn", key: []byte("k"), keyFor: "q", sealed: []byte("sealed")}
	f.Add(e.encode())
	e.before = receives{count: 5, first: time.UnixMilli(1_700_000_000_000)}
	f.Add(e.encode())
	f.Add([]byte{1})
	f.Add([]byte{2, 0, 0, 0})
	f.Add([]byte{1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(b)
		if err != nil {
			return
		}
		again, err := decodeEnvelope(e.encode())
		if err != nil || again.source != e.source || again.keyFor != e.keyFor || !bytes.Equal(again.key, e.key) || !bytes.Equal(again.sealed, e.sealed) {
			t.Errorf("%+v becomes %+v, %v", e, again, err)
		}
	})
}

// FuzzAttribute: what is accepted has characters that every protocol can carry, and comes back as it was.
func FuzzAttribute(f *testing.F) {
	f.Add("name", "String", "value", []byte(nil))
	f.Add("a.b", "Number.float", "1e10", []byte(nil))
	f.Add("x", "Binary.png", "", []byte{1})
	f.Add("AWS.x", "Number", "--1", []byte{})
	f.Add("..", "String.", "\x00", []byte{})
	f.Fuzz(func(t *testing.T, name, kind, text string, bin []byte) {
		all, err := messageAttributes(map[string]*api.MessageAttributeValue{name: {DataType: &kind, StringValue: &text, BinaryValue: bin}})
		if err != nil {
			return
		}
		a := all[0]
		if a.name == "" || !isXML(a.name) || !isXML(a.dataType) || len(a.value) == 0 || !a.binary && !isXML(string(a.value)) {
			t.Errorf("accepted %q of type %q: %q", name, kind, a.value)
		}
		if v := attributeValues(all)[name]; value(v.DataType) != kind || !a.binary && value(v.StringValue) != text || a.binary && !bytes.Equal(v.BinaryValue, bin) {
			t.Errorf("%q came back as %+v", name, v)
		}
		if md5OfAttributes(all) == nil {
			t.Error("no digest")
		}
	})
}

// FuzzQueueURL: what is taken for an address names an account and a queue that no ARN breaks on.
func FuzzQueueURL(f *testing.F) {
	f.Add("http://localhost:4566/111122223333/q")
	f.Add("https://sqs.us-east-1.amazonaws.com/111122223333/q.fifo/")
	f.Add("/111122223333/%2e%2f")
	f.Add("111122223333/*")
	f.Fuzz(func(t *testing.T, s string) {
		account, name, err := api.ParseQueueURL(s)
		if err != nil {
			return
		}
		if arn, ok := api.ParseQueueARN("arn:aws:sqs:r:" + account + ":" + name); !ok || arn.Account != account || arn.Resource != name {
			t.Errorf("%q is queue %q of %q", s, name, account)
		}
	})
}
