package sqs

import (
	"context"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

// DeleteMessage removes a message that was received. A second time is no error.
func (s *Service) DeleteMessage(ctx context.Context, in *api.DeleteMessageInput) (*api.DeleteMessageOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	errs, err := s.remove(ctx, q, []string{*in.ReceiptHandle})
	if err == nil {
		err = errs[0]
	}
	if err != nil {
		return nil, err
	}
	return &api.DeleteMessageOutput{}, nil
}

// remove removes messages by their handles and answers what is wrong with each.
func (s *Service) remove(ctx context.Context, q *queue, handles []string) ([]error, error) {
	opened, wrong := s.openAll(q, handles)
	var errs []error
	removed := 0
	err := s.messages.Update(ctx, func(tx store.Tx) error {
		errs, removed = append(errs[:0], wrong...), 0
		if _, err := s.current(tx, q); err != nil {
			return err
		}
		for i, r := range opened {
			if errs[i] != nil {
				continue
			}
			err := s.removeOne(tx, q, handles[i], r)
			if err == nil {
				removed++
			}
			if errs[i], err = answerTo(err); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && removed > 0 {
		q.room.left(removed)
		if q.fifo {
			q.room.notify(removed) // what was behind them may be received now
		}
	}
	return errs, err
}

func (s *Service) openAll(q *queue, handles []string) (opened []receipt, errs []error) {
	opened, errs = make([]receipt, len(handles)), make([]error, len(handles))
	for i, h := range handles {
		opened[i], errs[i] = s.openHandle(q, h)
	}
	return opened, errs
}

// answerTo tells an error that is an answer about one message from one of the whole transaction.
func answerTo(err error) (one, all error) {
	if err == nil || errors.Is(err, api.ErrInvalidParameterValue) || errors.Is(err, api.ErrMessageNotInflight) {
		return err, nil
	}
	return nil, err
}

// removeOne removes one message. A standard queue takes the latest handle of a message for as long as the message is there,
// and a FIFO queue only while it is in flight: later, another may be before it.
func (s *Service) removeOne(tx store.Tx, q *queue, handle string, r receipt) error {
	if q.fifo {
		until, err := tx.Lookup(q.messages(), q.scope, r.claim)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case errors.Is(err, store.ErrLease), err == nil && !until.After(s.now()):
			return wrong(handle, "ReceiptHandle", "The receipt handle has expired.")
		case err != nil:
			return err
		}
	}
	err := tx.Ack(q.messages(), q.scope, r.claim)
	if errors.Is(err, store.ErrLease) {
		return nil
	}
	return err
}

// ChangeMessageVisibility says for how long from now a message in flight stays hidden.
func (s *Service) ChangeMessageVisibility(ctx context.Context, in *api.ChangeMessageVisibilityInput) (*api.ChangeMessageVisibilityOutput, error) {
	q, err := s.named(ctx, in.QueueURL)
	if err != nil {
		return nil, err
	}
	errs, err := s.hide(ctx, q, []hiding{{*in.ReceiptHandle, *in.VisibilityTimeout}})
	if err == nil {
		err = errs[0]
	}
	if err != nil {
		return nil, err
	}
	return &api.ChangeMessageVisibilityOutput{}, nil
}

// hiding is for how many seconds a message shall be hidden.
type hiding struct {
	handle  string
	seconds int
}

// hide changes when messages become visible again, and answers what is wrong with each.
func (s *Service) hide(ctx context.Context, q *queue, wanted []hiding) ([]error, error) {
	handles := make([]string, len(wanted))
	for i, w := range wanted {
		handles[i] = w.handle
	}
	opened, wrong := s.openAll(q, handles)
	for i, w := range wanted {
		if wrong[i] == nil {
			wrong[i] = s.checkHiding(w, opened[i])
		}
	}
	var errs []error
	var soonest time.Time
	shown := 0
	err := s.messages.Update(ctx, func(tx store.Tx) error {
		errs, soonest, shown = append(errs[:0], wrong...), time.Time{}, 0
		if _, err := s.current(tx, q); err != nil {
			return err
		}
		now := s.now()
		for i, r := range opened {
			if errs[i] != nil {
				continue
			}
			due := now.Add(time.Duration(wanted[i].seconds) * time.Second)
			var err error
			if errs[i], err = answerTo(hideOne(tx, q, handles[i], r.claim, now, due)); err != nil {
				return err
			}
			switch {
			case errs[i] != nil:
			case wanted[i].seconds == 0:
				shown++
			case soonest.IsZero() || due.Before(soonest):
				soonest = due
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if shown > 0 {
		q.room.left(shown)
		q.room.notify(shown)
	}
	if !soonest.IsZero() {
		q.room.alarm(soonest, s.now())
	}
	return errs, nil
}

func (s *Service) checkHiding(w hiding, r receipt) error {
	if w.seconds < 0 || w.seconds > maxHidden {
		return wrong(w.seconds, attrVisibility, "VisibilityTimeout must be an integer between 0 and 43200.")
	}
	if end := s.now().Add(time.Duration(w.seconds) * time.Second); w.seconds > 0 && end.Sub(r.received) > maxHidden*time.Second+time.Second {
		return wrong(w.seconds, attrVisibility, "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	return nil
}

func hideOne(tx store.Tx, q *queue, handle, claim string, now, due time.Time) error {
	until, err := tx.Lookup(q.messages(), q.scope, claim)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrLease):
		return wrong(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
	case err == nil && !until.After(now):
		return api.ErrMessageNotInflight.New("The specified message isn't in flight.")
	case err != nil:
		return err
	}
	return tx.Extend(q.messages(), q.scope, claim, due)
}
