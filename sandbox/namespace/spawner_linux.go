//go:build amd64 || arm64

package namespace

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/enfold-run/enfold/network"
)

// A spawner runs functions on threads that live as long as it. First processes are started there: the kernel kills them when the
// thread ends that started them, and a thread that was in another network namespace is of no use to Go's scheduler.
type spawner struct {
	jobs chan func()
	done sync.WaitGroup
}

// spawnerThreads is how many processes are started at the same time.
const spawnerThreads = 2

// newSpawner makes a spawner. Each of its threads begins with prepare.
func newSpawner(prepare func()) *spawner {
	s := &spawner{jobs: make(chan func())}
	for range spawnerThreads {
		s.done.Go(func() { s.loop(prepare) })
	}
	return s
}

// loop never unlocks its thread, which therefore ends with it.
func (s *spawner) loop(prepare func()) {
	runtime.LockOSThread()
	prepare()
	for job := range s.jobs {
		job()
	}
}

func (s *spawner) close() {
	close(s.jobs)
	s.done.Wait()
}

// run runs fn on one of the threads and waits for it.
func (s *spawner) run(fn func() error) error {
	done := make(chan error, 1)
	s.jobs <- func() { done <- fn() }
	return <-done
}

// inNewNetwork runs fn on a spawner's thread in a new network namespace, with sockets that listen there and become fn's.
func (s *spawner) inNewNetwork(fn func(network.Listeners) error) error {
	return s.run(func() error {
		host, err := network.Current()
		if err != nil {
			return err
		}
		defer host.Close()
		err = network.Unshare()
		if err == nil {
			err = listening(fn)
		}
		// A thread that cannot come back would start all later processes in the wrong network. It can: it holds its namespace and
		// has the right to enter it, or it could not have left.
		if back := host.Enter(); back != nil {
			panic(fmt.Sprintf("namespace: a thread is lost in a sandbox's network: %v", back))
		}
		return err
	})
}

func listening(fn func(network.Listeners) error) error {
	l, err := network.Listen()
	if err != nil {
		return err
	}
	return fn(l)
}
