package worker

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// records are the platform's JSON lines of a log as "type status errorType"; the function's own lines stand as they are.
func records(t *testing.T, log string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(log) {
		var r struct {
			Time   string
			Type   string
			Record map[string]any
		}
		if json.Unmarshal([]byte(line), &r) != nil {
			out = append(out, strings.TrimSuffix(line, "\n"))
			continue
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", r.Time); err != nil {
			t.Error(err)
		}
		s := r.Type
		for _, k := range []string{"phase", "status", "errorType"} {
			if v, ok := r.Record[k]; ok {
				s += fmt.Sprint(" ", v)
			}
		}
		out = append(out, s)
	}
	return out
}

func TestJSONLog(t *testing.T) {
	const invoke = "platform.start"
	for _, c := range []struct {
		name, level, init, event string
		want                     []string
	}{
		{
			"success", "INFO", "", `{"do":"echo","print":"{\"level\":\"INFO\"\n"}`,
			[]string{"platform.initStart init", invoke, `{"level":"INFO"`, "platform.report success"},
		},
		{"success at WARN", "WARN", "", `{"do":"echo","print":"x\n"}`, []string{"x"}},
		{"crash", "INFO", "", `{"do":"exit","n":1}`, []string{"platform.initStart init", invoke, "platform.report error Runtime.ExitError"}},
		{"crash at WARN", "WARN", "", `{"do":"exit","n":1}`, []string{"platform.report error Runtime.ExitError"}},
		{"timeout", "INFO", "", "hang", []string{"platform.initStart init", invoke, "platform.report timeout Sandbox.Timedout"}},
		{"error", "INFO", "", `{"do":"error","text":"{}"}`, []string{"platform.initStart init", invoke, "platform.report error Function.Oops"}},
		{
			"init", "INFO", "exit:4", "echo", []string{
				"platform.initStart init", "about to exit", "platform.initReport init error Runtime.ExitError",
				"about to exit", "platform.initReport invoke error Runtime.ExitError", invoke, "platform.report error Runtime.ExitError",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "process", Deps{})
			f := w.function("INIT", c.init)
			f.LogFormat, f.SystemLog, f.Timeout = "JSON", c.level, time.Second
			w.run(f, c.event)
			if diff := cmp.Diff(c.want, records(t, w.logs.text())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// LogResult is the last 4,096 bytes of what the log has of this invocation, and of no other.
func TestTail(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		f := w.function("INIT", "print")
		w.good(f, "echo") // its Init phase
		for _, size := range []int{0, 1, 3000, 4096, 10000, 60000} {
			w.logs.forget()
			text := strings.Repeat("0123456789abcde\n", size/16+1)[:size]
			event, err := json.Marshal(map[string]string{"do": "echo", "print": text})
			if err != nil {
				t.Fatal(err)
			}
			r := w.request(string(event))
			tail := string(w.do(f, r).LogTail)
			log := w.logs.text()
			log = log[strings.Index(log, "START RequestId: "+r.RequestID):]
			if text != "" && !strings.HasSuffix(text, "\n") {
				log = strings.Replace(log, text+"END", text+"\nEND", 1) // a line of its own, in the tail
			}
			if want := log[max(0, len(log)-4096):]; tail != want {
				t.Errorf("with %d bytes the tail has %d bytes, want the last of %d:\n%s", size, len(tail), len(log), cmp.Diff(want, tail))
			}
			if !strings.Contains(log, text) {
				t.Errorf("%d bytes are not whole in the log", size)
			}
		}
	})
}
