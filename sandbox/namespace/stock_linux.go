//go:build amd64 || arm64

package namespace

import (
	"errors"
	"time"

	"github.com/enfold-run/enfold/sandbox"
)

// quiet is how long the stock waits after a sandbox was taken before it makes another: the function that took it starts now
// and needs the processor more.
const quiet = 25 * time.Millisecond

const (
	// stockAtMost is how many blanks may wait; each takes about a mebibyte.
	stockAtMost = 32
	// stockLook is how often a stock that is full is looked at, to make it smaller when fewer are taken.
	stockLook = 5 * time.Second
)

// goal is how many should wait: n, and twice as many as are taken while one is made and the quiet before it is kept.
func goal(p *sandbox.Pace, n int, now time.Time) int {
	return min(n+int(2*p.Meanwhile(now, quiet)), max(n, stockAtMost))
}

// startStock keeps n blanks ready in the background, and more where more are taken.
func (d *Driver) startStock(n int) {
	if n == 0 {
		n = defaultStock
	}
	if n < 0 {
		return
	}
	d.stock, d.taken = make(chan *blank, max(n, stockAtMost)), make(chan struct{}, 1)
	d.done.Go(func() { d.keepStock(n) })
}

func (d *Driver) keepStock(n int) {
	pause := time.Second
	for d.waitForLack(n) {
		begun := time.Now()
		b, err := d.newLikely()
		if err != nil {
			d.log.Warn("no sandbox could be made ahead", "error", err)
			if !d.sleep(pause) {
				break
			}
			pause = min(2*pause, time.Minute)
			continue
		}
		pause = time.Second
		d.mu.Lock()
		d.pace.Make(time.Since(begun))
		d.mu.Unlock()
		d.stock <- b // nobody else puts any there
	}
	for len(d.stock) > 0 {
		d.drop()
	}
}

// waitForLack waits until another blank is wanted, and drops what is not wanted any more. It is false if the driver closes.
func (d *Driver) waitForLack(n int) bool {
	for {
		d.mu.Lock()
		lack := goal(&d.pace, n, time.Now()) - len(d.stock)
		d.mu.Unlock()
		if lack > 0 {
			return d.waitQuiet()
		}
		if lack < 0 {
			d.drop()
		}
		look := time.NewTimer(stockLook)
		select {
		case <-d.stop:
			look.Stop()
			return false
		case <-d.taken:
			look.Stop()
		case <-look.C:
		}
	}
}

// drop destroys one that waits.
func (d *Driver) drop() {
	select {
	case b := <-d.stock:
		d.discard(b)
	default:
	}
}

// newLikely makes a blank with the limits that the next sandbox will most likely have.
func (d *Driver) newLikely() (*blank, error) {
	b, err := d.newBlank()
	if err != nil {
		return nil, err
	}
	if err := d.limitLikely(b); err != nil {
		return nil, errors.Join(err, b.destroy())
	}
	return b, nil
}

// limitLikely sets the limits that the next sandbox will most likely have, so that it need not be waited for.
func (d *Driver) limitLikely(b *blank) error {
	d.mu.Lock()
	likely := d.likely
	d.mu.Unlock()
	if likely.ID == "" {
		return nil
	}
	return b.limit(likely)
}

func (d *Driver) discard(b *blank) {
	if err := b.destroy(); err != nil {
		d.log.Error("a waiting sandbox could not be destroyed", "error", err)
	}
}

// waitQuiet waits until no sandbox has been taken for a while. It is false if the driver closes.
func (d *Driver) waitQuiet() bool {
	for {
		d.mu.Lock()
		wait := quiet - time.Since(d.lastTake)
		d.mu.Unlock()
		if !d.sleep(max(wait, 0)) {
			return false
		}
		if wait <= 0 {
			return true
		}
	}
}

// sleep is false if the driver closes.
func (d *Driver) sleep(t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-d.stop:
		return false
	case <-timer.C:
		return true
	}
}

// take is a blank, and whether it has waited in the stock.
func (d *Driver) take() (b *blank, waited bool, err error) {
	d.mu.Lock()
	d.lastTake = time.Now()
	d.pace.Take(d.lastTake)
	d.mu.Unlock()
	select {
	case d.taken <- struct{}{}: // a nil channel if there is no stock
	default:
	}
	select {
	case b := <-d.stock:
		return b, true, nil
	default:
		b, err := d.newBlank()
		return b, false, err
	}
}
