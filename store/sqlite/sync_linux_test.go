package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asBatch runs fn on a thread that waits for its turn when it wakes up, as those of a server do. The thread ends with it.
func asBatch(t testing.TB, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: nobody else is to get this thread
		if err := unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: 1}, 0); err != nil {
			t.Error(err)
			return
		}
		fn()
	}()
	<-done
}

func policy(t testing.TB) string {
	t.Helper()
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Error(err)
		return ""
	}
	return fmt.Sprintf("policy %d, nice %d", a.Policy, a.Nice)
}

// Who waits for the disk does not wait for its turn too, and does again afterwards.
func TestWhoSyncsIsAttentive(t *testing.T) {
	bad := errors.New("the disk is on fire")
	asBatch(t, func() {
		before := policy(t)
		err := attentively(func() error {
			if got := policy(t); got != "policy 0, nice 1" {
				t.Errorf("while it waits: %s", got)
			}
			return bad
		})
		if !errors.Is(err, bad) {
			t.Errorf("answered %v", err)
		}
		if got := policy(t); got != before {
			t.Errorf("afterwards: %s, before: %s", got, before)
		}
	})
}

// Syncs become attentive once one took long, and not for ever.
func TestSlowSyncs(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := new(syncer)
	page := make([]byte, 4096)
	for began, slow := time.Now(), false; !slow; slow = s.attentive == attentiveFor {
		if _, err := f.WriteAt(page, 0); err != nil {
			t.Fatal(err)
		}
		if err := s.sync(f); err != nil {
			t.Fatal(err)
		}
		if len(page) < 64<<20 {
			page = append(page, page...) // until there is so much to write that it takes long
		} else if time.Since(began) > 10*time.Second {
			t.Skip("this disk syncs 64 MiB in a millisecond")
		}
	}
	if err := s.sync(f); err != nil {
		t.Fatal(err)
	}
	if s.attentive != attentiveFor-1 {
		t.Errorf("%d syncs are to be attentive after one that was", s.attentive)
	}
}

// BenchmarkSyncBesideOthers syncs 4 KiB beside a process that computes on each core, as a thread of a server.
func BenchmarkSyncBesideOthers(b *testing.B) {
	for range runtime.NumCPU() {
		c := exec.CommandContext(b.Context(), "sh", "-c", "while :; do :; done")
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		defer func() {
			_ = c.Process.Kill() // Wait says what became of it
			_ = c.Wait()
		}()
	}
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	for name, sync := range map[string]func(*os.File) error{"attentive": newSync(), "as others": dataSync} {
		b.Run(name, func(b *testing.B) {
			asBatch(b, func() {
				for b.Loop() {
					if _, err := f.WriteAt(page, 0); err != nil {
						b.Error(err)
					}
					if err := sync(f); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
