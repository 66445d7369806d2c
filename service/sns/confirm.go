package sns

import (
	"context"
	"errors"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// ask is the delivery that asks an endpoint whether it wants the subscription.
func (s *Service) ask(tx store.Tx, t *topic, sub *subscription) (*event.Delivery, error) {
	m := s.newMessage(t.arn, "You have chosen to subscribe to the topic "+t.arn.String()+
		".\nTo confirm the subscription, visit the SubscribeURL included in this message.")
	m.SignatureVersion = t.signatureVersion()
	return s.emitHandshake(tx, sub, m, typeSubscribe)
}

// tell is the delivery that tells an endpoint that its subscription is gone.
func (s *Service) tell(tx store.Tx, t *topic, sub *subscription) (*event.Delivery, error) {
	m := s.newMessage(sub.topic, "You have chosen to deactivate subscription "+sub.arn()+
		".\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message.")
	m.SignatureVersion = t.signatureVersion()
	return s.emitHandshake(tx, sub, m, typeUnsubscribe)
}

func (s *Service) emitHandshake(tx store.Tx, sub *subscription, m *message, kind string) (*event.Delivery, error) {
	m.Type, m.Token = kind, s.confirmToken(sub)
	d, err := delivery(sub, m, defaultRetry().retry())
	if err != nil {
		return nil, err
	}
	return d, s.deps.Outbox.Emit(tx, d)
}

// ConfirmSubscription confirms a subscription, or restores one that was removed without its owner.
func (s *Service) ConfirmSubscription(ctx context.Context, in *api.ConfirmSubscriptionInput) (*api.ConfirmSubscriptionOutput, error) {
	call := aws.CallFrom(ctx)
	arn, err := api.ParseTopicARN("TopicArn", value(in.TopicArn))
	if err != nil {
		return nil, err
	}
	if arn.Region != call.Region {
		return nil, invalid("Topic")
	}
	t, ok := s.openToken(value(in.Token), toConfirm, arn)
	if !ok {
		return nil, invalid("Token")
	}
	keep := value(in.AuthenticateOnUnsubscribe)
	if keep != "" && keep != "true" && keep != "false" {
		return nil, invalid("AuthenticateOnUnsubscribe: must be true or false")
	}
	sub := &subscription{arn, t.ID, subscriptionRow{}}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		row, err := subscriptions.Get(tx, scopeOf(arn), store.Key(arn.Resource, t.ID))
		switch {
		case err == nil && !row.Value.Pending:
			return nil // once more
		case err == nil:
			sub.row = row.Value
			sub.confirm(call, keep == "true")
			return sub.confirmed(tx)
		case errors.Is(err, store.ErrNotFound):
			return sub.restore(tx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.ConfirmSubscriptionOutput{SubscriptionArn: new(sub.arn())}, nil
}

// confirm notes who confirmed.
func (s *subscription) confirm(call *aws.Call, keep bool) {
	s.row.Pending = false
	s.row.Authenticated = !byLink(call)
	s.row.KeepSigned = keep && s.row.Authenticated
}

// confirmed stores a subscription that was pending.
func (s *subscription) confirmed(tx store.Tx) error {
	t, err := getTopic(tx, s.topic)
	if err != nil {
		return err
	}
	_, err = t.count(tx, func(c *countRow) {
		c.Pending = max(c.Pending-1, 0)
		s.join(c)
	})
	return errors.Join(err, s.put(tx))
}

// restore stores a subscription again that was removed.
func (s *subscription) restore(tx store.Tx) error {
	t, err := getTopic(tx, s.topic)
	if err != nil {
		return invalid("Token") // of a topic that is no more
	}
	key := store.Key(t.name(), s.id)
	row, err := unsubscribed.Get(tx, t.scope, key)
	if errors.Is(err, store.ErrNotFound) {
		return invalid("Token")
	}
	if err != nil {
		return err
	}
	s.row = row.Value
	s.row.Deleted = time.Time{}
	if err := s.makeRoom(tx, t); err != nil {
		return err
	}
	return errors.Join(unsubscribed.Delete(tx, t.scope, key), s.add(tx))
}

// sweep removes what was not confirmed in time, and forgets what was not restored in time.
func (s *Service) sweep(ctx context.Context) error {
	old := s.deps.Now().Add(-tokenAge)
	var scopes []store.Scope
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		scopes, err = topics.Scopes(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if err := s.sweepScope(ctx, scope, func(r *subscriptionRow) bool { return r.Pending && r.Created.Before(old) }); err != nil {
			return err
		}
		err := s.db.Update(ctx, func(tx store.Tx) error {
			for row, err := range unsubscribed.Scan(tx, scope, store.Range{}) {
				if err != nil {
					return err
				}
				if row.Value.Deleted.Before(old) {
					if err := unsubscribed.Delete(tx, scope, row.Key); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweepScope removes the subscriptions of an account and Region that are too old, a few in each transaction.
func (s *Service) sweepScope(ctx context.Context, scope store.Scope, tooOld func(*subscriptionRow) bool) error {
	for after := ""; ; {
		var found []string
		read := 0
		err := s.db.View(ctx, func(tx store.Tx) error {
			found, read = nil, 0
			for row, err := range subscriptions.Scan(tx, scope, store.Range{After: after, Limit: sweepPiece}) {
				if err != nil {
					return err
				}
				read++
				after = row.Key
				if tooOld(&row.Value) {
					found = append(found, row.Key)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			if err := s.drop(ctx, scope, found, tooOld); err != nil {
				return err
			}
		}
		if read < sweepPiece {
			return nil
		}
	}
}

// sweepPiece is how many subscriptions one transaction of a sweep looks at.
const sweepPiece = 500

func (s *Service) drop(ctx context.Context, scope store.Scope, keys []string, tooOld func(*subscriptionRow) bool) error {
	return s.db.Update(ctx, func(tx store.Tx) error {
		for _, key := range keys {
			name := key[:len(key)-len(lastPart(key))-1]
			sub, err := getSubscription(tx, aws.NewARN("sns", scope.Region, scope.Account, name), lastPart(key))
			if err != nil {
				return err
			}
			if sub == nil || !tooOld(&sub.row) {
				continue
			}
			if _, err := s.unsubscribe(tx, sub, true); err != nil && !errors.Is(err, api.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}
