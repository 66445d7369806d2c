package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A managed runtime's bootstrap writes a record of several lines as one line, with carriage returns for its newlines.
func TestRecordIsOneEvent(t *testing.T) {
	long := strings.Repeat("x", maxEvent-2) + "\r"
	for _, c := range []struct {
		name            string
		pieces          []string
		managed, custom []string
	}{
		{"one line", []string{"a\n"}, []string{"a\n"}, []string{"a\n"}},
		{"several lines", []string{"a\rb\r\rc\nd\n"}, []string{"a\nb\n\nc\n", "d\n"}, []string{"a\rb\r\rc\n", "d\n"}},
		{"a newline of its own at the end", []string{"a\rb\r\n"}, []string{"a\nb\n"}, []string{"a\rb\r\n"}},
		{"two of them", []string{"a\r\r\n"}, []string{"a\n\n"}, []string{"a\r\r\n"}},
		{"nothing but the end", []string{"\r\n"}, []string{"\n"}, []string{"\r\n"}},
		{"begins with one", []string{"\ra\n"}, []string{"\na\n"}, []string{"\ra\n"}},
		{"in pieces", []string{"a\r", "b", "\rc\r", "\nd"}, []string{"a\nb\nc\n", "d"}, []string{"a\rb\rc\r\n", "d"}},
		{"without end", []string{"a\rb\r"}, []string{"a\nb\n"}, []string{"a\rb\r"}},
		{"too long for one event", []string{long + "ab\rc\n"}, []string{strings.ReplaceAll(long, "\r", "\n") + "a", "b\nc\n"}, []string{long + "a", "b\rc\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for arn, want := range map[string][]string{"arn:aws:lambda:us-east-1::runtime:0123": c.managed, "": c.custom} {
				m := &memory{}
				o := newOutput(m, &LogStream{}, &Function{RuntimeVersionArn: arn})
				for _, p := range c.pieces {
					o.split([]byte(p), time.Now())
				}
				o.flush(time.Now())
				if diff := cmp.Diff(want, m.all()); diff != "" {
					t.Errorf("runtime version %q: (-want +got)\n%s", arn, diff)
				}
			}
		})
	}
}

// What comes after a record in the same read is not touched by it, nor is the tail that the caller gets.
func TestRecordInTail(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{Version: "1", RuntimeVersionArn: "arn"})
	r := &Request{RequestID: "r", Tail: true}
	o.begin(r)
	o.split([]byte("one\rtwo\r\nthree\rfour\nfive\n"), time.Now())
	tail := string(o.end(r, &Response{}, nil))
	if !strings.Contains(tail, "Version: 1\none\ntwo\nthree\nfour\nfive\nEND ") {
		t.Errorf("tail is %q", tail)
	}
	if want, got := []string{"one\ntwo\n", "three\nfour\n", "five\n"}, m.all()[1:4]; cmp.Diff(want, got) != "" {
		t.Error(cmp.Diff(want, got))
	}
}

// An event without a carriage return costs no allocation.
func TestRecordCopiesNothing(t *testing.T) {
	o := newOutput(&memory{}, &LogStream{}, &Function{RuntimeVersionArn: "arn"})
	line, record := []byte("a line\n"), make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		o.record(line)
		o.record(append(record, "a\rb\r\n"...))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
