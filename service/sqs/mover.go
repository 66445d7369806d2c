package sqs

import (
	"context"
	"errors"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
	"github.com/google/uuid"
)

// moveRetry is how long a task waits after the store failed.
const moveRetry = 5 * time.Second

// startTasks gives each task that is not over a goroutine, which ends with ctx.
func (s *Service) startTasks(ctx context.Context) {
	type found struct {
		scope store.Scope
		key   string
	}
	var all []found
	err := s.db.View(ctx, func(tx store.Tx) error {
		scopes, err := tasks.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for rec, err := range tasks.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				if !rec.Value.ended() {
					all = append(all, found{sc, rec.Key})
				}
			}
		}
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("queues: message move tasks were not started", "error", err)
		}
		return
	}
	for _, f := range all {
		if _, there := s.running.LoadOrStore(f, true); there {
			continue
		}
		s.movers.Go(func() {
			defer s.running.Delete(f)
			s.move(ctx, f.scope, f.key)
		})
	}
}

// move works on a task until it is over or ctx ends.
func (s *Service) move(ctx context.Context, sc store.Scope, key string) {
	for ctx.Err() == nil {
		pause, over, err := s.moveSome(ctx, sc, key)
		if over {
			return
		}
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("queues: a message move task stands still", "task", key, "error", err)
			}
			pause = moveRetry
		}
		if pause == 0 {
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// moveSome is one transaction of a task: messages, and the task's row. It answers how long to wait then.
func (s *Service) moveSome(ctx context.Context, sc store.Scope, key string) (pause time.Duration, over bool, err error) {
	var woken map[*queue]int
	err = s.messages.Update(ctx, func(tx store.Tx) error {
		pause, over, woken = 0, false, map[*queue]int{}
		row, err := tasks.Get(tx, sc, key)
		if errors.Is(err, store.ErrNotFound) {
			over = true
			return nil
		}
		if err != nil {
			return err
		}
		t := row.Value
		if t.ended() {
			over = true
			return nil
		}
		if t.Status == taskCancelling {
			t.Status = taskCancelled
		} else {
			pause, err = s.moveBatch(tx, sc, key, &t, woken)
		}
		if err != nil {
			return err
		}
		over = t.ended()
		_, err = tasks.Put(tx, sc, key, t)
		return err
	})
	if err == nil {
		for q, n := range woken {
			q.room.notify(n)
		}
	}
	return pause, over, err
}

// moveBatch moves the next messages and says in t how it went.
func (s *Service) moveBatch(tx store.Tx, sc store.Scope, key string, t *taskRow, woken map[*queue]int) (time.Duration, error) {
	name, _, _ := strings.Cut(key, "\x00")
	source, err := s.read(tx, sc, name)
	if errors.Is(err, api.ErrQueueDoesNotExist) {
		t.Status, t.Failure = taskFailed, "AWS.SimpleQueueService.NonExistentQueue"
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, pause := moveBatch, time.Duration(0)
	if t.Rate > 0 {
		n = max(1, t.Rate/moveTicks)
		pause = time.Second * time.Duration(n) / time.Duration(t.Rate)
	}
	claim := tx.Claim
	if source.fifo {
		claim = tx.ClaimRuns
	}
	all, err := claim(source.messages(), sc, n, s.now(), time.Minute)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		t.Status = taskCompleted
		return 0, nil
	}
	for i, m := range all {
		why, err := s.moveOne(tx, source, t, m, woken)
		if err != nil {
			return 0, err
		}
		if why != "" {
			t.Status, t.Failure = taskFailed, why
			return 0, returnAll(tx, source, all[i:], s.now())
		}
		t.Moved++
	}
	return pause, nil
}

func returnAll(tx store.Tx, q *queue, all []store.Claimed, now time.Time) error {
	for _, m := range all {
		if err := tx.Return(q.messages(), q.scope, m.Receipt, now); err != nil {
			return err
		}
	}
	return nil
}

// moveOne moves one message, which becomes a new one, or answers why it cannot.
func (s *Service) moveOne(tx store.Tx, source *queue, t *taskRow, m store.Claimed, woken map[*queue]int) (string, error) {
	e, err := decodeEnvelope(m.Body)
	if err != nil {
		return "", err
	}
	to := t.Destination
	if to == "" {
		to = e.source
	}
	arn, ok := api.ParseQueueARN(to)
	if !ok {
		return "CouldNotDetermineMessageSource", nil
	}
	target, err := s.read(tx, store.Scope{Account: arn.Account, Region: arn.Region}, arn.Resource)
	if errors.Is(err, api.ErrQueueDoesNotExist) || err == nil && target.scope != source.scope {
		return "AWS.SimpleQueueService.NonExistentQueue", nil
	}
	if err != nil {
		return "", err
	}
	e.source, e.sent, e.before = "", s.now(), receives{}
	moved := store.Message{ID: uuid.NewString(), Body: e.encode()}
	if target.fifo {
		moved.Group = m.Group
	}
	if _, err := tx.Enqueue(target.messages(), target.scope, moved); err != nil {
		return "", err
	}
	woken[target]++
	return "", tx.Ack(source.messages(), source.scope, m.Receipt)
}
