package sqlite

import "runtime"

// run is a goroutine of the writer. If a function ends it by runtime.Goexit, as a test's FailNow does, another takes over.
func (w *writer) run() {
	ended := false
	defer func() {
		if !ended {
			w.pass(true)
			go w.run()
			return
		}
		w.running.Done()
	}()
	for {
		select {
		case <-w.kick:
		case <-w.stop:
			ended = true
			return
		}
		<-w.pen
		l := w.turn()
		w.pass(len(w.calls) > 0)
		if l != nil {
			w.land(l)
		}
	}
}

// pass passes the pen on, to the goroutines if there is something for them.
func (w *writer) pass(more bool) {
	w.pen <- struct{}{}
	if more {
		w.rouse()
	}
}

// rouse says that there are calls. Who has the pen may take them first.
func (w *writer) rouse() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// turn runs a group, which is to be landed if there is anything to land.
func (w *writer) turn() *landing {
	if !w.holding { // else there is the group of a goroutine that was ended
		select {
		case c := <-w.calls:
			w.hold()
			w.take(c)
		default:
			return nil
		}
	}
	w.gather()
	return w.finish()
}

// hold begins a group. finish ends it.
func (w *writer) hold() {
	w.pause.Lock()
	w.holding = true
}

// alone runs a call by itself in its caller's goroutine, if nobody has the pen, nothing is landing and the group before was of one
// call too: where there are many callers, the others would have to wait for its sync. It reports whether it did; then the call is
// answered.
func (w *writer) alone(c *call) bool {
	if w.crowded.Load() || w.last.Load() != nil {
		return false
	}
	select {
	case <-w.pen:
	default:
		return false
	}
	if w.holding { // the group of a goroutine that was ended comes first
		w.pass(true)
		return false
	}
	returned := false
	defer func() { // the function ended the goroutine
		if !returned {
			w.pass(true)
		}
	}()
	w.hold()
	w.take(c)
	l := w.finish()
	returned = true
	w.pass(len(w.calls) > 0)
	if l != nil {
		w.land(l)
	}
	return true
}

// gather takes the calls that are there already, and those that come before the group may land. Those who were answered a
// moment ago get one chance to come back first, or as long as patience says.
func (w *writer) gather() {
	for yielded := false; len(w.retry) > 0 || len(w.group) < maxGroup && w.bytes < maxGroupBytes; {
		if len(w.retry) > 0 {
			c := w.retry[0]
			w.retry = w.retry[1:]
			w.take(c)
			continue
		}
		select {
		case c := <-w.calls:
			w.take(c)
			continue
		default:
		}
		if !w.cleared {
			select {
			case c := <-w.calls:
				w.take(c)
			case w.landing <- struct{}{}:
				w.cleared = true
			}
			continue
		}
		if !yielded {
			yielded = true
			runtime.Gosched()
			continue
		}
		if !w.joined() {
			return
		}
	}
}

// joined waits for another call for the group, as long as patience says, and takes it.
func (w *writer) joined() bool {
	wait := w.patience.company(len(w.group))
	if wait <= 0 {
		return false
	}
	w.timer.Reset(wait)
	defer w.timer.Stop()
	select {
	case c := <-w.calls:
		w.take(c)
		return true
	case <-w.timer.C:
		return false
	}
}
