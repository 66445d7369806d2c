package worker

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const stamp = `"timestamp":"2024-01-01T00:00:00.000Z"`

func TestAppLogDrops(t *testing.T) {
	long := strings.Repeat("x", maxEvent-100)
	for _, c := range []struct {
		name, level, line string
		drops             bool
	}{
		{"below", "ERROR", `{"level":"DEBUG",` + stamp + `,"message":"dropme"}`, true},
		{"the level itself", "ERROR", `{"level":"ERROR",` + stamp + `}`, false},
		{"above", "ERROR", `{"level":"FATAL",` + stamp + `}`, false},
		{"any case", "ERROR", `{"level":"warn",` + stamp + `}`, true},
		{"any case, above", "WARN", `{"level":"eRRor",` + stamp + `}`, false},
		{"the least", "DEBUG", `{"level":"trace",` + stamp + `}`, true},
		{"all pass", "TRACE", `{"level":"trace",` + stamp + `}`, false},
		{"Python's names", "ERROR", `{"level":"WARNING",` + stamp + `}`, true},
		{"Python's names, above", "FATAL", `{"level":"CRITICAL",` + stamp + `}`, false},
		{"in any order, with space", "ERROR", " { " + stamp + " ,\t\"a\" : [ { } , 1 ] , \"level\" :\r\"info\" } \r\n", true},
		{"other times", "ERROR", `{"level":"debug","timestamp":"2024-11-02T16:51:31.587199+01:00"}`, true},
		{"long", "ERROR", `{"message":"` + long + `","level":"debug",` + stamp + `}`, true},
		{"quotes in text", "ERROR", `{"message":"\\\",\"level\":\"ERROR\"","level":"debug",` + stamp + `}`, true},

		{"text", "ERROR", `hello`, false},
		{"text with the word", "ERROR", `"level" DEBUG ` + stamp, false},
		{"an empty line", "ERROR", "\n", false},
		{"no level", "ERROR", `{` + stamp + `,"message":"m"}`, false},
		{"no such level", "ERROR", `{"level":"verbose",` + stamp + `}`, false},
		{"a number", "ERROR", `{"level":20,` + stamp + `}`, false},
		{"no time", "ERROR", `{"level":"DEBUG","message":"m"}`, false},
		{"a time that is none", "ERROR", `{"level":"DEBUG","timestamp":"yesterday"}`, false},
		{"a time that is a number", "ERROR", `{"level":"DEBUG","timestamp":1704067200000}`, false},
		{"deeper", "ERROR", `{"a":{"level":"DEBUG",` + stamp + `}}`, false},
		{"deeper, in a list", "ERROR", `{"a":["level","DEBUG"],"b":{"level":"DEBUG"},` + stamp + `}`, false},
		{"as text", "ERROR", `{"message":"\"level\":\"DEBUG\"","a":"level","DEBUG":1,` + stamp + `}`, false},
		{"a list", "ERROR", `[{"level":"DEBUG",` + stamp + `}]`, false},
		{"cut", "ERROR", `{"level":"DEBUG",` + stamp + `,"message":"}`, false},
		{"more than one", "ERROR", `{"level":"DEBUG",` + stamp + `}{}`, false},
		{"the last of two counts", "ERROR", `{"level":"DEBUG",` + stamp + `,"level":"ERROR"}`, false},
		{"the last of two counts, of any kind", "ERROR", `{"level":"DEBUG",` + stamp + `,"level":7}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for format, drops := range map[string]bool{"JSON": c.drops, "Text": false} {
				m := &memory{}
				o := newOutput(m, &LogStream{}, &Function{LogFormat: format, LogLevel: c.level})
				o.split([]byte(c.line), time.Now())
				o.flush(time.Now())
				if got := m.text() == ""; got != drops {
					t.Errorf("%s: dropped %v, want %v", format, got, drops)
				} else if !got && m.text() != c.line {
					t.Errorf("%s: it became %q", format, m.text())
				}
			}
		})
	}
}

// Neither what is dropped nor what stays costs an allocation.
func TestAppLogAllocatesNothing(t *testing.T) {
	least := newAppLog(&Function{LogFormat: "JSON", LogLevel: "ERROR"})
	for _, line := range []string{`{"level":"DEBUG",` + stamp + `}`, `{"level":"ERROR",` + stamp + `}`, "text\n"} {
		b := []byte(line)
		if n := testing.AllocsPerRun(100, func() { least.drops(b) }); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

// FuzzAppLog holds what is dropped against encoding/json: no line that is not an object with both members, and each that is, if it is
// written without escapes.
func FuzzAppLog(f *testing.F) {
	for _, s := range []string{
		`{"level":"DEBUG",` + stamp + `}`, `{"a":[{"level":"x"}],"level":"info",` + stamp + "}\n", `{"level":{"level":"DEBUG"},` + stamp + `}`,
		`{"a":"\\","level":"trace","timestamp":"2024-01-01T00:00:00+01:00"}`, `{"level":`, `{"level"}`, `"level"`, `{"level":"\`, "\"level\" {}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		least := newAppLog(&Function{LogFormat: "JSON", LogLevel: "ERROR"})
		before := bytes.Clone(line)
		got := least.drops(line)
		if !bytes.Equal(line, before) {
			t.Fatal("it has changed the line")
		}
		var members map[string]any
		want := false
		if json.Unmarshal(line, &members) == nil {
			name, _ := members["level"].(string)
			at, _ := members["timestamp"].(string)
			_, err := time.Parse(time.RFC3339, at)
			level := levelOf([]byte(name))
			want = err == nil && level > 0 && level < least
		}
		if got != want && (got || !bytes.ContainsRune(line, '\\')) {
			t.Errorf("%q: dropped %v, want %v", line, got, want)
		}
	})
}

func BenchmarkAppLog(b *testing.B) {
	least := newAppLog(&Function{LogFormat: "JSON", LogLevel: "ERROR"})
	for name, line := range map[string]string{
		"text": "a line of text that says nothing\n", "short": `{"level":"DEBUG",` + stamp + `,"message":"m"}`,
		"long": `{"level":"DEBUG",` + stamp + `,"message":"` + strings.Repeat("x", maxEvent-100) + `"}`,
	} {
		b.Run(name, func(b *testing.B) {
			line := []byte(line)
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				least.drops(line)
			}
		})
	}
}
