package runtimes

import "context"

// Check answers nil if this host can run functions of a runtime, else a *MissingError that says what to do.
func (s *Set) Check(ctx context.Context, name string) error {
	r, ok := lookup(name)
	if !ok {
		return unknown(name)
	}
	if img, err := s.baseImage(ctx, r); err != nil || img != nil {
		return err
	}
	if r.family == Provided {
		return nil
	}
	_, err := s.interpreter(ctx, r)
	return err
}
