package storetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// PowerCut stops the file system under a process under load, as a power cut does, and checks that every acknowledged write
// is there. The control does the same to a store that does not fsync, and fails if that lost nothing: then the cut was none.
func PowerCut(t *testing.T, b Backend) {
	t.Run("safe", func(t *testing.T) {
		var d *disk
		var before promises
		for round := range crashRounds(t) {
			if round%10 == 0 { // before it is full
				d, before = newDisk(t, 256<<20), promises{}
			}
			now := cut(t, d, round, false)
			t.Logf("round %d: %s", round, now.count())
			for _, loss := range check(b, filepath.Join(d.dir, "data"), round, now, before) {
				t.Errorf("round %d: %s", round, loss)
			}
			before = before.with(now)
		}
	})
	t.Run("control", func(t *testing.T) {
		if b.Unsafe == nil {
			t.Skip("skipped: this backend cannot be opened without fsync")
		}
		for try := range 3 {
			d := newDisk(t, 256<<20)
			prepare(t, b, d)
			now := cut(t, d, try, true)
			losses := check(b, filepath.Join(d.dir, "data"), try, now, promises{})
			if len(losses) > 0 {
				t.Logf("without fsync %d losses of %s, such as: %s", len(losses), now.count(), losses[0])
				return
			}
		}
		t.Error("a store that does not fsync lost nothing in three power cuts: the test sees nothing")
	})
}

// prepare makes an empty store that is on the disk whole, so that what the control loses is what it wrote.
func prepare(t *testing.T, b Backend, d *disk) {
	t.Helper()
	s, err := b.Open(filepath.Join(d.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
}

// cut runs a process on the disk, cuts the power and answers what it had acknowledged by then.
//
// What it acknowledges while the file system goes down does not count. A power cut ends the process in the same moment, and
// this does not: an fsync that began before may answer success, because the journal's transaction that it waits for has ended,
// though it ended by being thrown away.
func cut(t *testing.T, d *disk, round int, unsafe bool) promises {
	t.Helper()
	p := newProcess(t, filepath.Join(d.dir, "data"), round, unsafe)
	p.awaitWork()
	time.Sleep(time.Duration(600+150*(round%5)) * time.Millisecond)
	before := p.out.soFar()
	d.cutPower(t)
	time.Sleep(50 * time.Millisecond) // for it to go on as if nothing were
	p.kill()
	d.powerOn(t)
	return p.promises(t, before)
}
