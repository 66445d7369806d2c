package worker

import (
	"fmt"

	"github.com/enfold-run/enfold/sandbox"
)

// driver is what makes the sandboxes of f. It fails where the function is to be isolated in a way that this host cannot: it never gets
// less.
func (p *Pool) driver(f *Function) (sandbox.Driver, error) {
	if p.deps.DriverFor == nil {
		return p.deps.Driver, nil
	}
	d, err := p.deps.DriverFor(f)
	if err != nil {
		return nil, fmt.Errorf("isolation of %s: %w", f.Owner, err)
	}
	return d, nil
}

// snapshotter is the driver that stores sandboxes of f, nil if there is none.
func (p *Pool) snapshotter(f *Function) sandbox.Snapshotter {
	d, err := p.driver(f)
	if err != nil {
		return nil
	}
	s, _ := d.(sandbox.Snapshotter)
	return s
}

// wanted is the driver that f is to have by now, nil if this host has none: sandboxes of another are not used again. The caller does not
// hold p.mu: a driver may have to be made first.
func (p *Pool) wanted(f *Function) sandbox.Driver {
	d, err := p.driver(f)
	if err != nil {
		return nil
	}
	return d
}
