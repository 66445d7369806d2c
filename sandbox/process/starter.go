package process

import (
	"os/exec"
	"runtime"
)

// A starter starts processes on one thread that lives as long as it: Linux kills them when the thread ends that started them,
// which must not be one that Go's scheduler takes away.
type starter struct {
	jobs chan func()
	done chan struct{}
}

func newStarter() *starter {
	s := &starter{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

func (s *starter) start(c *exec.Cmd) error {
	errs := make(chan error, 1)
	s.jobs <- func() { errs <- c.Start() }
	return <-errs
}

func (s *starter) close() {
	close(s.jobs)
	<-s.done
}
