package http1

import "sync"

// crowd bounds the connections of a server. Where there are too many, the one that waited longest without a request goes;
// if all are at work, the newcomer does.
type crowd struct {
	mu     sync.Mutex
	max    int
	all    map[*conn]struct{}
	oldest *place // the waiting ones, a list
	newest *place
	ended  bool          // no new ones, and none shall wait
	empty  chan struct{} // closed when the last has left, after ended
}

// place is a connection's in the crowd.
type place struct {
	c            *conn
	older, newer *place
	waits        bool
	out          bool // it was told to go
}

func newCrowd(limit int) *crowd {
	return &crowd{max: limit, all: map[*conn]struct{}{}, empty: make(chan struct{})}
}

// enter takes a connection in, as one that waits. It reports false if there is no place for it.
func (w *crowd) enter(p *place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	if len(w.all) >= w.max {
		if w.oldest == nil {
			return false
		}
		w.evict(w.oldest)
	}
	w.all[p.c] = struct{}{}
	w.push(p)
	return true
}

// evict closes a waiting connection. Its goroutine finds out by itself.
func (w *crowd) evict(p *place) {
	w.unlink(p)
	p.out = true
	delete(w.all, p.c)
	p.c.nc.Close()
}

// work is for a connection that has a request now. It reports false if it was told to go meanwhile.
func (w *crowd) work(p *place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(p)
	return !p.out
}

// wait is for one that has answered.
func (w *crowd) wait(p *place) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || p.out {
		return false
	}
	w.push(p)
	return true
}

// leave is for one that is closed.
func (w *crowd) leave(p *place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(p)
	delete(w.all, p.c)
	w.checkEmpty()
}

func (w *crowd) checkEmpty() {
	if w.ended && len(w.all) == 0 {
		select {
		case <-w.empty:
		default:
			close(w.empty)
		}
	}
}

// end lets nobody in any more and sends away who waits: all, or those that have had a request. A newcomer's may be on its
// way.
func (w *crowd) end(all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for p := w.oldest; p != nil; {
		next := p.newer
		if all || p.c.served.Load() {
			w.evict(p)
		}
		p = next
	}
	w.checkEmpty()
}

// conns are those that are there now.
func (w *crowd) conns(buf []*conn) []*conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		buf = append(buf, c)
	}
	return buf
}

func (w *crowd) push(p *place) {
	p.waits, p.older, p.newer = true, w.newest, nil
	if w.newest != nil {
		w.newest.newer = p
	} else {
		w.oldest = p
	}
	w.newest = p
}

func (w *crowd) unlink(p *place) {
	if !p.waits {
		return
	}
	p.waits = false
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		w.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		w.newest = p.older
	}
	p.older, p.newer = nil, nil
}
