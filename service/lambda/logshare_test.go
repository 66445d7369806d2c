package lambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	logs "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/worker"
)

// disk is a CloudWatch Logs that counts what it is given, by group, and keeps short lines.
type disk struct {
	logs.API
	room  int64
	fills bool // what is written takes room
	full  error
	bytes map[string]int
	short map[string][]string
}

func (d *disk) PutLogEvents(_ context.Context, in *logs.PutLogEventsInput) (*logs.PutLogEventsOutput, error) {
	if d.full != nil {
		return nil, d.full
	}
	for _, e := range in.LogEvents {
		d.bytes[*in.LogGroupName] += len(*e.Message)
		if d.fills {
			d.room -= int64(len(*e.Message))
		}
		if len(*e.Message) < 200 {
			d.short[*in.LogGroupName] = append(d.short[*in.LogGroupName], *e.Message)
		}
	}
	return &logs.PutLogEventsOutput{}, nil
}

func newDisk(room int64) (*disk, *LogShipper) {
	d := &disk{room: room, bytes: map[string]int{}, short: map[string][]string{}}
	return d, NewLogShipper(d, func() int64 { return d.room }, nil, slog.New(slog.DiscardHandler))
}

func streamOf(account, function string) *worker.LogStream {
	return &worker.LogStream{Account: account, Region: "eu-west-1", Group: account + function, Name: "s", Function: function}
}

// run ships for so long, with so much written before each time.
func run(t *testing.T, s *LogShipper, d time.Duration, write func()) {
	for range d / shipEvery {
		write()
		s.flush(t.Context(), false)
		time.Sleep(shipEvery)
	}
}

// flood writes more than anybody may, and less than the memory takes.
func flood(s *LogShipper, stream *worker.LogStream) {
	line := make([]byte, 64<<10)
	for range 40 {
		s.Log(stream, time.Now(), line)
	}
}

// near wants so many bytes, less what is not shipped yet or more by a line.
func near(t *testing.T, what string, got, want int) {
	t.Helper()
	if got < want*95/100 || got > want*105/100+128<<10 {
		t.Errorf("%s is %d bytes, want about %d", what, got, want)
	}
}

func TestLogShareOfFunction(t *testing.T) {
	for _, c := range []struct {
		name        string
		room        int64
		burst, rate int
	}{
		{"an empty disk", 1 << 40, 32 << 20, 2 << 20},
		{"7.2 GiB left", 7200 << 20, 32 << 20, 2 << 20},
		{"a gigabyte left", 1 << 30, 32 << 20, 1 << 30 / 3600},
		{"32 MiB left", 32 << 20, 2 << 20, 32 << 20 / 3600},
		{"a full disk", 0, 64 << 10, 1 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, s := newDisk(c.room)
				f := streamOf("1", "f")
				run(t, s, time.Minute, func() { flood(s, f) })
				near(t, "a minute's flood", d.bytes[f.Group], c.burst+60*c.rate)
				// Once it is calm there is room for a burst again.
				d.bytes[f.Group] = 0
				run(t, s, time.Duration(c.burst/c.rate+10)*time.Second, func() {})
				if len(s.shares.functions) != 0 {
					t.Error("a function that no longer writes is not forgotten")
				}
				run(t, s, 4*time.Second, func() { flood(s, f) })
				near(t, "the next flood", d.bytes[f.Group], c.burst+4*c.rate)
			})
		})
	}
}

// A thousand honest invocations a second, each with 20 lines beside the platform's, lose nothing.
func TestHonestLogsAreWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(20 << 30)
		f := streamOf("1", "f")
		own, platform := []byte(strings.Repeat("o", 70)+"\n"), []byte(strings.Repeat("p", 299)+"\n")
		wrote := 0
		run(t, s, time.Minute, func() {
			for range 200 {
				for range 20 {
					s.Log(f, time.Now(), own)
				}
				for range 3 {
					s.LogPlatform(f, time.Now(), platform)
				}
				wrote += 20*len(own) + 3*len(platform)
			}
		})
		if d.bytes[f.Group] != wrote || s.Losing() {
			t.Errorf("%d of %d bytes were kept", d.bytes[f.Group], wrote)
		}
	})
}

// While one function floods a disk with 112 MiB left for an hour, another's lines and the platform's own are whole, and there
// is still room.
func TestFloodLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(112 << 20)
		d.fills = true
		loud, other, polite := streamOf("1", "loud"), streamOf("1", "other"), streamOf("2", "polite")
		n := 0
		run(t, s, time.Hour, func() {
			flood(s, loud)
			if n++; n%5 == 0 {
				s.LogPlatform(loud, time.Now(), []byte("REPORT\n"))
				s.Log(other, time.Now(), []byte("other\n"))
				s.Log(polite, time.Now(), []byte("polite\n"))
			}
		})
		if all := fmt.Sprint(len(d.short[other.Group]), len(d.short[polite.Group]), strings.Count(fmt.Sprint(d.short[loud.Group]), "REPORT")); all != "3600 3600 3600" {
			t.Errorf("of 3600 lines of two others and of the platform's there are %s", all)
		}
		if d.room < 32<<20 {
			t.Errorf("there is room for %d bytes", d.room)
		}
	})
}

// An account gets no more by having many functions.
func TestLogShareOfAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(64 << 20)
		polite := streamOf("2", "polite")
		all, n := make([]*worker.LogStream, 20), 0
		for i := range all {
			all[i] = streamOf("1", fmt.Sprint(i))
		}
		run(t, s, 100*time.Second, func() {
			flood(s, all[n%len(all)])
			flood(s, all[(n+1)%len(all)])
			n += 2
			s.Log(polite, time.Now(), []byte("polite\n"))
		})
		sum := 0
		for _, f := range all {
			sum += d.bytes[f.Group]
		}
		near(t, "all that the account wrote", sum, 16<<20+100*4*64<<20/3600)
		if len(d.short[polite.Group]) != 500 {
			t.Errorf("of 500 lines of another account there are %d", len(d.short[polite.Group]))
		}
	})
}

// One account cannot take all the memory, and a flood leaves some for the platform's lines.
func TestLogMemoryOfAccount(t *testing.T) {
	d, s := newDisk(1 << 40)
	polite := streamOf("2", "polite")
	for i := range 20 {
		loud := streamOf("1", fmt.Sprint(i))
		for range 100 {
			flood(s, loud)
		}
		for range 1000 { // what a long line finds no room in
			s.Log(loud, time.Now(), []byte("\n"))
		}
		s.LogPlatform(loud, time.Now(), []byte("REPORT\n"))
	}
	for range 100 {
		s.Log(polite, time.Now(), []byte("polite\n"))
	}
	if s.total > shipMaxTotal {
		t.Errorf("%d bytes wait", s.total)
	}
	s.Flush(t.Context())
	if n := len(d.short[polite.Group]); n != 100 {
		t.Errorf("of 100 lines of another account there are %d", n)
	}
	if n := strings.Count(fmt.Sprint(d.short), "REPORT"); n != 20 {
		t.Errorf("of 20 lines of the platform there are %d", n)
	}
}

var lossLine = regexp.MustCompile(`^\[enfold\] (\d+) log events were dropped, of (\d+) bytes: (.+)\n$`)

// told sums up what a log tells of its losses.
func told(lines []string) (times int, sum tally, why string) {
	for _, l := range lines {
		if m := lossLine.FindStringSubmatch(l); m != nil {
			events, _ := strconv.Atoi(m[1])
			bytes, _ := strconv.Atoi(m[2])
			sum.add(tally{events, bytes})
			times, why = times+1, m[3]
		}
	}
	return times, sum, why
}

// What is lost is told by the function's log every five seconds while it goes on, and counted; then it is over.
func TestLogTellsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(1 << 30)
		registry := prometheus.NewRegistry()
		s.metrics = newLossMetrics(registry)
		f := streamOf("1", "f")
		if s.Losing() {
			t.Error("nothing was written, and something is lost")
		}
		wrote := 0
		run(t, s, time.Minute, func() { flood(s, f); wrote += 40 * 64 << 10 })
		if !s.Losing() {
			t.Error("a flood loses nothing")
		}
		run(t, s, 6*time.Second, func() {})
		times, sum, why := told(d.short[f.Group])
		lines := 0
		for _, l := range d.short[f.Group] {
			lines += len(l)
		}
		if lost := wrote - (d.bytes[f.Group] - lines); sum.bytes != lost || sum.events != lost/(64<<10) || why != beyondShare.String() {
			t.Errorf("the log tells of %+v because %s, and %d bytes are lost", sum, why, lost)
		}
		if times < 11 || times > 14 {
			t.Errorf("a minute's flood is told %d times", times)
		}
		if got := lossesOf(t, registry); got != fmt.Sprintf("share %d %d", sum.events, sum.bytes) {
			t.Errorf("the metrics are %s", got)
		}
		run(t, s, time.Minute, func() {})
		if s.Losing() {
			t.Error("a minute after the flood something is still lost")
		}
	})
}

// What the store refuses is counted, lines of the platform too, and the function's log tells once it is stored again.
func TestLogTellsWhatIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDisk(0)
		registry := prometheus.NewRegistry()
		s.metrics = newLossMetrics(registry)
		f := streamOf("1", "f")
		d.full = errors.New("the disk is full")
		run(t, s, 10*time.Second, func() {
			s.Log(f, time.Now(), []byte("line\n"))
			s.LogPlatform(f, time.Now(), []byte("END\n"))
		})
		if got := lossesOf(t, registry); got != "store 100 450" || !s.Losing() {
			t.Errorf("the metrics are %s", got)
		}
		run(t, s, 2*time.Minute, func() {})
		if s.Losing() {
			t.Error("two minutes after the last line was lost there are more")
		}
		d.full = nil
		run(t, s, 10*time.Second, func() {})
		if times, sum, why := told(d.short[f.Group]); times != 1 || sum != (tally{100, 450}) || why != notStored.String() {
			t.Errorf("the log tells of %+v %d times, because %s", sum, times, why)
		}
	})
}

// lossesOf are the metrics of what was lost, those that are not zero.
func lossesOf(t *testing.T, from prometheus.Gatherer) (text string) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			reason := m.Label[0].GetValue()
			if reasons[reason] == nil {
				reasons[reason] = map[string]float64{}
			}
			reasons[reason][f.GetName()] = m.Counter.GetValue()
		}
	}
	for reason, of := range reasons {
		if e, b := of["enfold_lambda_log_events_dropped_total"], of["enfold_lambda_log_bytes_dropped_total"]; e+b > 0 {
			text += fmt.Sprintf("%s %.0f %.0f", reason, e, b)
		}
	}
	return text
}
