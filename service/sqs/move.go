package sqs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

// The states of a message move task.
const (
	taskRunning    = "RUNNING"
	taskCompleted  = "COMPLETED"
	taskCancelling = "CANCELLING"
	taskCancelled  = "CANCELLED"
	taskFailed     = "FAILED"
)

const (
	maxMoveRate  = 500 // messages a second
	moveBatch    = 100 // messages of one transaction when no rate is given
	moveTicks    = 10  // transactions a second when one is
	maxTasks     = 10  // that ListMessageMoveTasks answers, and that are kept of a queue
	maxListTasks = 10
)

// taskRow is a message move task.
type taskRow struct {
	ID          string
	Destination string `json:",omitempty"` // ARN; empty: back to where each message came from
	Rate        int    `json:",omitempty"` // messages a second; 0: as fast as it goes
	Status      string
	Moved       int64
	ToMove      int64
	Started     time.Time
	Failure     string `json:",omitempty"`
}

func (t *taskRow) ended() bool { return t.Status != taskRunning && t.Status != taskCancelling }

// StartMessageMoveTask begins to move the messages of a dead-letter queue. The task goes on after a restart.
func (s *Service) StartMessageMoveTask(ctx context.Context, in *api.StartMessageMoveTaskInput) (*api.StartMessageMoveTaskOutput, error) {
	source, err := s.taskQueue(ctx, *in.SourceArn, "SourceArn")
	if err != nil {
		return nil, err
	}
	task := taskRow{ID: uuid.NewString(), Destination: value(in.DestinationArn), Rate: value(in.MaxNumberOfMessagesPerSecond), Status: taskRunning, Started: s.now()}
	if in.MaxNumberOfMessagesPerSecond != nil && (task.Rate < 1 || task.Rate > maxMoveRate) {
		return nil, wrong(task.Rate, "MaxNumberOfMessagesPerSecond", "Must be between 1 and 500, if provided.")
	}
	if task.Destination != "" {
		to, err := s.taskQueue(ctx, task.Destination, "DestinationArn")
		if err != nil {
			return nil, err
		}
		if to.scope != source.scope || to.fifo != source.fifo || to.row.ID == source.row.ID {
			return nil, wrong(task.Destination, "DestinationArn", "The destination must be another queue of the same type, account and Region.")
		}
	}
	d, err := s.depth(ctx, source)
	if err != nil {
		return nil, err
	}
	task.ToMove = d.Due + d.Delayed
	err = s.db.Update(ctx, func(tx store.Tx) error {
		isTarget := false
		err := s.sources(tx, source, "", func(string) bool { isTarget = true; return false })
		if err != nil {
			return err
		}
		if !isTarget {
			return invalid("Source queue must be configured as a Dead Letter Queue.")
		}
		old, err := tasksOf(tx, source.scope, source.name)
		if err != nil {
			return err
		}
		for i, t := range old {
			if !t.ended() {
				return invalid("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
			}
			if i >= maxTasks-1 {
				if err := tasks.Delete(tx, source.scope, store.Key(source.name, t.ID)); err != nil {
					return err
				}
			}
		}
		_, err = tasks.Put(tx, source.scope, store.Key(source.name, task.ID), task)
		return err
	})
	if err != nil {
		return nil, err
	}
	select {
	case s.moving <- struct{}{}:
	default:
	}
	return &api.StartMessageMoveTaskOutput{TaskHandle: new(api.NewTaskHandle(task.ID, source.arn()))}, nil
}

// taskQueue is the queue of an ARN that a parameter gives.
func (s *Service) taskQueue(ctx context.Context, arn, parameter string) (*queue, error) {
	q, err := s.byARN(ctx, arn)
	if err == nil && q == nil {
		err = noTaskQueue(parameter)
	}
	return q, err
}

func noTaskQueue(parameter string) error {
	return api.ErrResourceNotFound.Withf("The resource that you specified for the %s parameter doesn't exist.", parameter)
}

// tasksOf are the tasks of a queue, the latest first.
func tasksOf(tx store.Tx, sc store.Scope, name string) ([]taskRow, error) {
	var all []taskRow
	for rec, err := range tasks.Scan(tx, sc, store.Range{Prefix: store.Prefix(name)}) {
		if err != nil {
			return nil, err
		}
		all = append(all, rec.Value)
	}
	slices.SortFunc(all, func(a, b taskRow) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// CancelMessageMoveTask stops a task. What it moved stays where it is.
func (s *Service) CancelMessageMoveTask(ctx context.Context, in *api.CancelMessageMoveTaskInput) (*api.CancelMessageMoveTaskOutput, error) {
	id, arn, err := api.ParseTaskHandle(*in.TaskHandle)
	if err != nil {
		return nil, err
	}
	source, err := s.taskQueue(ctx, arn, "SourceArn")
	if err != nil {
		return nil, err
	}
	var moved int64
	err = s.db.Update(ctx, func(tx store.Tx) error {
		key := store.Key(source.name, id)
		t, err := tasks.Get(tx, source.scope, key)
		if errors.Is(err, store.ErrNotFound) {
			return api.ErrResourceNotFound.New("Task does not exist.")
		}
		if err != nil {
			return err
		}
		if t.Value.Status != taskRunning {
			return invalid("Only active tasks can be cancelled.")
		}
		moved = t.Value.Moved
		t.Value.Status = taskCancelling
		_, err = tasks.Put(tx, source.scope, key, t.Value)
		return err
	})
	return &api.CancelMessageMoveTaskOutput{ApproximateNumberOfMessagesMoved: &moved}, err
}

// ListMessageMoveTasks lists the latest tasks of a queue, the latest first.
func (s *Service) ListMessageMoveTasks(ctx context.Context, in *api.ListMessageMoveTasksInput) (*api.ListMessageMoveTasksOutput, error) {
	source, err := s.taskQueue(ctx, *in.SourceArn, "SourceArn")
	if err != nil {
		return nil, err
	}
	most := 1
	if in.MaxResults != nil {
		if most = *in.MaxResults; most < 1 || most > maxListTasks {
			return nil, wrong(most, "MaxResults", "Value for parameter MaxResults is invalid. Must be between 1 and 10.")
		}
	}
	var all []taskRow
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		all, err = tasksOf(tx, source.scope, source.name)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &api.ListMessageMoveTasksOutput{Results: []*api.ListMessageMoveTasksResultEntry{}}
	for _, t := range all[:min(most, len(all))] {
		out.Results = append(out.Results, t.describe(source.arn()))
	}
	return out, nil
}

func (t *taskRow) describe(source string) *api.ListMessageMoveTasksResultEntry {
	e := &api.ListMessageMoveTasksResultEntry{
		Status: &t.Status, SourceArn: &source, ApproximateNumberOfMessagesMoved: &t.Moved, ApproximateNumberOfMessagesToMove: &t.ToMove,
		StartedTimestamp: new(t.Started.UnixMilli()),
	}
	if !t.ended() {
		e.TaskHandle = new(api.NewTaskHandle(t.ID, source))
	}
	if t.Destination != "" {
		e.DestinationArn = &t.Destination
	}
	if t.Rate != 0 {
		e.MaxNumberOfMessagesPerSecond = &t.Rate
	}
	if t.Failure != "" {
		e.FailureReason = &t.Failure
	}
	return e
}
