package accessanalyzer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/accessanalyzer"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const (
	maxRunning   = 5                  // jobs of an account and region at a time
	maxJobs      = 100                // that are kept, the newest ones
	keepJobs     = 7 * 24 * time.Hour // and for how long
	historyStart = 90 * 24 * time.Hour
)

// job is a policy generation, by its id.
type job struct {
	Principal string
	Request   string // what was asked for, to tell a repetition from another request with its token
	From, To  time.Time
	Trails    []*api.TrailProperties `json:",omitempty"`

	Status    string
	Started   time.Time
	Completed time.Time // zero while it runs
	Code      string    `json:",omitempty"` // of the error
	Message   string    `json:",omitempty"`
	Policies  []string  `json:",omitempty"`
}

var jobs = store.Table[job]{Name: "accessanalyzer.job"}

// regions are those whose events count; nil for all.
func (j *job) regions() []string {
	var out []string
	for _, t := range j.Trails {
		if t.AllRegions != nil && *t.AllRegions {
			return nil
		}
		out = append(out, t.Regions...)
		if arn, err := aws.ParseARN(*t.CloudTrailArn); err == nil && len(t.Regions) == 0 {
			out = append(out, arn.Region)
		}
	}
	return out
}

// run reads the trail and writes the outcome beside the job.
func (s *Service) run(ctx context.Context, id jobID, j job) {
	policies, err := s.generate(ctx, id.scope.Account, &j)
	j.Completed, j.Status, j.Policies = s.deps.Now().UTC(), api.JobStatusSucceeded, policies
	switch {
	case errors.Is(err, errTooMuch):
		j.Status, j.Code, j.Message = api.JobStatusFailed, api.JobErrorCodeServiceQuotaExceededError, "The principal used "+err.Error()+"."
	case err != nil:
		j.Status, j.Code, j.Message = api.JobStatusFailed, api.JobErrorCodeServiceError, interrupted
		if ctx.Err() == nil {
			s.deps.Log.Error("policy generation failed", "jobId", id.id, "error", err)
			j.Message = "The audit trail could not be read."
		}
	}
	err = s.deps.Store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error {
		row, err := jobs.Get(tx, id.scope, id.id)
		if errors.Is(err, store.ErrNotFound) || err == nil && row.Value.Status != api.JobStatusInProgress {
			return nil // cancelled meanwhile
		}
		if err == nil {
			_, err = jobs.Put(tx, id.scope, id.id, j)
		}
		return err
	})
	if err != nil {
		s.deps.Log.Error("a generated policy could not be kept", "jobId", id.id, "error", err)
	}
}

const interrupted = "The generation was interrupted: start it again."

func (s *Service) generate(ctx context.Context, account string, j *job) ([]string, error) {
	var seen Seen
	regions := j.regions()
	for e, err := range s.deps.Trail.Events(ctx, Query{Account: account, Principal: j.Principal, From: j.From, To: j.To}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		if regions != nil && !slices.Contains(regions, e.Region) {
			continue
		}
		if err := seen.Add(e); err != nil {
			return nil, err
		}
	}
	return Generate(&seen)
}

// find is a job as it stands now.
func (s *Service) find(ctx context.Context, sc store.Scope, id string) (j job, err error) {
	read := func() error {
		return s.deps.Store.View(ctx, func(tx store.Tx) error {
			row, err := jobs.Get(tx, sc, id)
			j = row.Value
			return err
		})
	}
	err = read()
	if err == nil && s.isLost(jobID{sc, id}, j) {
		// It may have ended between the two looks; its outcome is written before it counts as ended.
		if err = read(); err == nil && j.Status == api.JobStatusInProgress {
			j.Status, j.Code, j.Message, j.Completed = api.JobStatusFailed, api.JobErrorCodeServiceError, interrupted, j.Started
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return j, api.ErrValidation.Withf("The job %s was not found.", id)
	}
	return j, err
}

// isLost says that a row is of a process that ended: it says that the job runs, and it does not.
func (s *Service) isLost(id jobID, j job) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return j.Status == api.JobStatusInProgress && s.running[id] == nil
}

// prune deletes jobs that are old or too many.
func prune(tx store.Tx, sc store.Scope, now time.Time) error {
	var all []store.Row[job]
	for row, err := range jobs.Scan(tx, sc, store.Range{}) {
		if err != nil {
			return err
		}
		all = append(all, row)
	}
	slices.SortFunc(all, newestFirst)
	for i, row := range all {
		if i < maxJobs-1 && now.Sub(row.Value.Started) < keepJobs {
			continue
		}
		if err := jobs.Delete(tx, sc, row.Key); err != nil {
			return err
		}
	}
	return nil
}

func newestFirst(a, b store.Row[job]) int {
	if n := b.Value.Started.Compare(a.Value.Started); n != 0 {
		return n
	}
	return strings.Compare(a.Key, b.Key)
}
