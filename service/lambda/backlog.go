package lambda

import (
	"cmp"
	"context"
	"runtime"
	"sync"
	"time"
)

// A backlog is what is to be done in the background.
type backlog[T any] struct {
	wake  <-chan struct{} // there is more
	take  func() []T      // all of it
	pause time.Duration   // before what failed is done again
	slots int             // how many at once; twice the processors if zero
}

// run does it, a few at once, until ctx ends. do returns how to have it done again, nil if that need not be.
func (b backlog[T]) run(ctx context.Context, do func(T) (again func())) {
	slots := make(chan struct{}, cmp.Or(b.slots, 2*runtime.GOMAXPROCS(0)))
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		}
		for _, one := range b.take() {
			select {
			case <-ctx.Done():
				return
			case slots <- struct{}{}:
			}
			running.Go(func() {
				again := do(one)
				<-slots
				if again == nil {
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(b.pause):
					again()
				}
			})
		}
	}
}
