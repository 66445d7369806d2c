package worker

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memory keeps log events.
type memory struct {
	mu       sync.Mutex
	events   []string
	platform []string // of them
}

func (m *memory) Log(_ *LogStream, _ time.Time, event []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, string(event))
}

func (m *memory) LogPlatform(s *LogStream, at time.Time, event []byte) {
	m.Log(s, at, event)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.platform = append(m.platform, string(event))
}

func (m *memory) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.events...)
}

func (m *memory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = nil
}

func (m *memory) text() string { return strings.Join(m.all(), "") }

func TestOutputCutsLines(t *testing.T) {
	long := strings.Repeat("x", maxEvent)
	for _, c := range []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"whole lines", []string{"a\nb\n"}, []string{"a\n", "b\n"}},
		{"a line in pieces", []string{"he", "llo\nwor", "ld\n"}, []string{"hello\n", "world\n"}},
		{"no newline at the end of the invocation", []string{"half"}, []string{"half"}},
		{"empty lines stay", []string{"\n\n"}, []string{"\n", "\n"}},
		{"a line that is too long becomes several", []string{long + "yz\n"}, []string{long, "yz\n"}},
		{"exactly the limit", []string{long[1:] + "\n"}, []string{long[1:] + "\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{}
			o := newOutput(m, &LogStream{}, &Function{})
			for _, p := range c.pieces {
				o.split([]byte(p), time.Now())
			}
			o.flush(time.Now())
			if diff := cmp.Diff(c.want, m.all()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a function wrote before it answered stands between START and END, however late the reading goroutine is.
func TestOutputOfAnInvocationIsWhole(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{Version: "$LATEST", MemoryMB: 128})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.attach(r)
	defer o.close()
	for i := range 200 {
		req := &Request{RequestID: fmt.Sprint("id-", i), Tail: true}
		o.begin(req)
		fmt.Fprintf(w, "line of %d\n", i)
		tail := string(o.end(req, &Response{Duration: 1500 * time.Microsecond, MaxMemory: 10 << 20}, nil))
		want := fmt.Sprintf("START RequestId: id-%[1]d Version: $LATEST\nline of %[1]d\nEND RequestId: id-%[1]d\n"+
			"REPORT RequestId: id-%[1]d\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 10 MB\t\n", i)
		if tail != want {
			t.Fatalf("tail is\n%q, want\n%q", tail, want)
		}
	}
	w.Close()
}

// The platform's lines are told from the function's, also from one that looks like them.
func TestPlatformLines(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{Version: "1", RuntimeVersion: "v", RuntimeVersionArn: "arn"})
	req := &Request{RequestID: "r"}
	o.initStart("init")
	o.begin(req)
	o.split([]byte("END RequestId: r\nmine\n"), time.Now())
	o.end(req, &Response{}, newCrash(req, "Runtime.ExitError", "exited"))
	var first []string
	for _, line := range m.platform {
		word, _, _ := strings.Cut(line, " ")
		first = append(first, word)
	}
	if got := strings.Join(first, " "); got != "INIT_START START RequestId: END REPORT" || len(m.events) != 7 {
		t.Errorf("the platform's lines are %s, of %d", got, len(m.events))
	}
}

func TestTailIsTheLast4KB(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{Version: "1"})
	req := &Request{RequestID: "r", Tail: true}
	o.begin(req)
	for i := range 1000 {
		o.split(fmt.Appendf(nil, "%06d\n", i), time.Now())
	}
	tail := string(o.end(req, &Response{}, nil))
	if len(tail) != tailSize || !strings.Contains(tail, "000999\n") || strings.Contains(tail, "START") {
		t.Errorf("tail has %d bytes: %q…", len(tail), tail[:64])
	}
	if all := m.text(); !strings.HasSuffix(all, tail) {
		t.Error("the tail is not the end of the log")
	}
}

// Where a function leaves a line without its end, the platform's next record has a line of its own in the tail. The log has events: they
// stay what was written.
func TestRecordHasALineOfItsOwn(t *testing.T) {
	const report = `{"time":"`
	for _, c := range []struct{ name, format, printed, want string }{
		{"text", "Text", "err no newline", "Version: 1\nerr no newline\nEND RequestId: r\nREPORT "},
		{"JSON", "JSON", "nonl", "}\nnonl\n" + report},
		{"ended", "Text", "line\n", "Version: 1\nline\nEND "},
		{"nothing", "Text", "", "Version: 1\nEND "},
		{"pieces of a long line", "Text", strings.Repeat("x", maxEvent) + "y", "xxxy\nEND "},
		{"a full tail", "Text", strings.Repeat("x\n", tailSize) + "y", "x\nx\ny\nEND "},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{}
			o := newOutput(m, &LogStream{}, &Function{Version: "1", LogFormat: c.format})
			r := &Request{RequestID: "r", Tail: true}
			o.begin(r)
			o.split([]byte(c.printed), time.Now())
			o.flush(time.Now())
			if tail := string(o.end(r, &Response{}, nil)); !strings.Contains(tail, c.want) || len(tail) > tailSize {
				t.Errorf("tail is %q", tail)
			}
			if all := m.all(); c.printed != "" && !strings.HasSuffix(c.printed, "\n") && !slices.Contains(all, c.printed) && !slices.Contains(all, "y") {
				t.Errorf("events are %q", all)
			}
		})
	}
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{Version: "1"})
	r := &Request{RequestID: "r", Tail: true}
	o.initiate(r)
	o.split([]byte("static"), time.Now())
	o.flush(time.Now())
	o.begin(r)
	if tail := string(o.end(r, &Response{}, nil)); !strings.HasPrefix(tail, "static\nSTART ") {
		t.Errorf("tail is %q", tail)
	}
}

// A function that never stops writing must not hold up the end of its invocation, nor grow the platform.
func TestOutputFlood(t *testing.T) {
	m := &memory{}
	o := newOutput(m, &LogStream{}, &Function{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	o.attach(r)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		b := []byte(strings.Repeat("flood ", 1000))
		for {
			select {
			case <-stop:
				return
			default:
				w.Write(b)
			}
		}
	})
	for range 50 {
		req := &Request{RequestID: "r"}
		o.begin(req)
		o.end(req, &Response{}, nil)
	}
	o.mu.Lock()
	if n := cap(o.partial); n > 2*maxEvent {
		t.Errorf("the unfinished line holds %d bytes", n)
	}
	o.mu.Unlock()
	close(stop)
	writing.Wait()
	w.Close()
	o.close()
}

func TestSystemLogJSON(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	ok := &Response{Duration: 12345 * time.Microsecond, Init: 20 * time.Millisecond, MaxMemory: 36<<20 - 1}
	timeout := &failure{errorType: "Sandbox.Timedout", status: "timeout"}
	for _, c := range []struct {
		name, level string
		line        func(s systemLog) []byte
		want        string
	}{
		{
			"start", "INFO", func(s systemLog) []byte { return s.start(&Request{RequestID: "r"}, at) },
			`{"time":"2026-01-02T03:04:05.006Z","type":"platform.start","record":{"requestId":"r","version":"7"}}` + "\n",
		},
		{"start below WARN", "WARN", func(s systemLog) []byte { return s.start(&Request{RequestID: "r"}, at) }, ""},
		{
			"report", "INFO", func(s systemLog) []byte { return s.report(&Request{RequestID: "r"}, ok, nil, at) },
			`{"time":"2026-01-02T03:04:05.006Z","type":"platform.report","record":{"metrics":{"billedDurationMs":13,"durationMs":12.35,` +
				`"initDurationMs":20,"maxMemoryUsedMB":36,"memorySizeMB":128},"requestId":"r","status":"success"}}` + "\n",
		},
		{
			"failed report at WARN", "WARN", func(s systemLog) []byte { return s.report(&Request{RequestID: "r"}, &Response{}, timeout, at) },
			`{"time":"2026-01-02T03:04:05.006Z","type":"platform.report","record":{"errorType":"Sandbox.Timedout","metrics":{"billedDurationMs":0,` +
				`"durationMs":0,"maxMemoryUsedMB":0,"memorySizeMB":128},"requestId":"r","status":"timeout"}}` + "\n",
		},
		{"successful report below WARN", "WARN", func(s systemLog) []byte { return s.report(&Request{RequestID: "r"}, ok, nil, at) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystemLog(&Function{Version: "7", MemoryMB: 128, LogFormat: "JSON", SystemLog: c.level})
			if diff := cmp.Diff(c.want, string(c.line(s))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
