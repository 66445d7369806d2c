//go:build amd64 || arm64

package namespace

import (
	"errors"
	"time"
)

// quiet is how long the stock waits after a sandbox was taken before it makes another: the function that took it starts now
// and needs the processor more.
const quiet = 25 * time.Millisecond

// startStock keeps n blanks ready in the background.
func (d *Driver) startStock(n int) {
	if n == 0 {
		n = defaultStock
	}
	if n < 0 {
		return
	}
	d.stock = make(chan *blank, n-1) // one more is in the hands of refill
	d.done.Go(d.refill)
}

func (d *Driver) refill() {
	pause := time.Second
	for d.waitQuiet() {
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
		select {
		case d.stock <- b:
		case <-d.stop:
			d.discard(b)
		}
	}
	for {
		select {
		case b := <-d.stock:
			d.discard(b)
		default:
			return
		}
	}
}

// newLikely makes a blank with the limits that the next sandbox will most likely have.
func (d *Driver) newLikely() (*blank, error) {
	b, err := d.newBlank()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	likely := d.likely
	d.mu.Unlock()
	if likely.ID == "" {
		return b, nil
	}
	if err := b.limit(likely); err != nil {
		return nil, errors.Join(err, b.destroy())
	}
	return b, nil
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
	d.mu.Unlock()
	select {
	case b := <-d.stock: // a nil channel if there is no stock
		return b, true, nil
	default:
		b, err := d.newBlank()
		return b, false, err
	}
}
