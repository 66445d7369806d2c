package logs

import (
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/store"
)

func TestDeleted(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	f.stream("g", "s")
	f.stream("g", "t")
	f.put("g", "s", input(1))
	f.put("g", "t", input(2))
	old := f.logOf("g", "s")
	if _, err := f.DeleteLogStream(f.ctx, &api.DeleteLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")}); err != nil {
		t.Fatal(err)
	}
	_, err := f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s"), LogEvents: input(3)})
	f.check(err, "ResourceNotFoundException: The specified log stream does not exist.")
	f.stream("g", "s")
	if got := messages(f.get(api.GetLogEventsInput{}).Events); got != "" {
		t.Errorf("a stream made anew has the old one's events: %s", got)
	}
	group := f.logOf("g", "t")
	if _, err := f.DeleteLogGroup(f.ctx, &api.DeleteLogGroupInput{LogGroupName: new("g")}); err != nil {
		t.Fatal(err)
	}
	_, err = f.PutLogEvents(f.ctx, &api.PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("t"), LogEvents: input(3)})
	f.check(err, "ResourceNotFoundException: The specified log group does not exist.")
	f.group("g")
	if out, err := f.DescribeLogStreams(f.ctx, &api.DescribeLogStreamsInput{LogGroupName: new("g")}); err != nil || len(out.LogStreams) != 0 {
		t.Errorf("a group made anew has %d of the old one's streams, %v", len(out.LogStreams), err)
	}
	f.stream("g", "kept")
	f.put("g", "kept", input(4))
	f.reopen() // the trash outlives the server
	f.sweep()
	for _, log := range []string{old, group} {
		if n := f.chunks(log); n != 0 {
			t.Errorf("%d chunks of a deleted stream are left", n)
		}
	}
	if n := f.rows(); n != [3]int{1, 1, 0} {
		t.Errorf("groups, streams, trash: %v", n)
	}
	if got := messages(f.get(api.GetLogEventsInput{LogStreamName: new("kept")}).Events); got != "4" {
		t.Errorf("swept too much: %q is left", got)
	}
}

func (f *fixture) sweep() {
	f.t.Helper()
	if err := f.emptyTrash(f.ctx); err != nil {
		f.t.Fatal(err)
	}
	if err := f.sweepGroups(f.ctx); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) scope() store.Scope { return store.Scope{Account: account, Region: region} }

// logOf is the store's log of a stream.
func (f *fixture) logOf(group, name string) string {
	f.t.Helper()
	st, err := f.find(f.ctx, groupKey{f.scope(), group}, name)
	if err != nil {
		f.t.Fatal(err)
	}
	defer st.mu.Unlock()
	return logName(st.id)
}

func (f *fixture) chunks(log string) (n int) {
	for _, err := range f.db.Logs().Read(f.ctx, log, f.scope(), store.LogRange{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		n++
	}
	return n
}

// rows counts the rows of groups, streams and trash.
func (f *fixture) rows() (n [3]int) {
	f.t.Helper()
	err := f.db.View(f.ctx, func(tx store.Tx) error {
		for i, table := range []string{groups.Name, streams.Name, trash.Name} {
			for _, err := range tx.Scan(table, f.scope(), store.Range{}) {
				if err != nil {
					return err
				}
				n[i]++
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}
