package sqlite

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/storetest"
)

var backend = storetest.Backend{
	Open:   func(dir string) (store.Store, error) { return Open(context.Background(), dir, Options{}) },
	Unsafe: func(dir string) (store.Store, error) { return Open(context.Background(), dir, Options{noSync: true}) },
}

func TestMain(m *testing.M) {
	storetest.Child(backend)
	goleak.VerifyTestMain(m)
}

func openTest(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T)    { storetest.Run(t, openTest) }
func TestKill(t *testing.T)     { storetest.Kill(t, backend) }
func TestPowerCut(t *testing.T) { storetest.PowerCut(t, backend) }
func TestDiskFull(t *testing.T) { storetest.DiskFull(t, backend) }

func TestLogsLeaveRoom(t *testing.T) { storetest.LogsLeaveRoom(t, backend) }
