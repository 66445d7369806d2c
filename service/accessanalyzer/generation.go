package accessanalyzer

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/accessanalyzer"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

const (
	maxToken  = 256 // bytes of a client token
	maxTrails = 10
	usualPage = 50
	mostPage  = 100
)

// StartPolicyGeneration starts a job that reads what a role or user of the caller's account did. A repetition with the same
// client token is the same job.
func (s *Service) StartPolicyGeneration(ctx context.Context, in *api.StartPolicyGenerationInput) (*api.StartPolicyGenerationOutput, error) {
	call := aws.CallFrom(ctx)
	j, err := s.newJob(call, in)
	if err != nil {
		return nil, err
	}
	id := jobID{store.Scope{Account: call.Account, Region: call.Region}, uuid.NewString()}
	if in.ClientToken != nil {
		id.id = uuid.NewSHA1(uuid.Nil, []byte(store.Key(call.Account, call.Region, *in.ClientToken))).String()
	}
	work, err := s.reserve(id)
	if errors.Is(err, errRuns) {
		return s.repetition(ctx, id, j)
	}
	if err != nil {
		return nil, err
	}
	repeated := false
	err = s.deps.Store.Update(ctx, func(tx store.Tx) error {
		repeated = false
		switch _, err := jobs.Get(tx, id.scope, id.id); {
		case err == nil:
			repeated = true
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := prune(tx, id.scope, j.Started); err != nil {
			return err
		}
		_, err := jobs.Put(tx, id.scope, id.id, j)
		return err
	})
	if err != nil || repeated {
		s.release(id)
	}
	if err != nil {
		return nil, err
	}
	if repeated {
		return s.repetition(ctx, id, j)
	}
	go func() {
		defer s.release(id)
		s.run(work, id, j)
	}()
	return &api.StartPolicyGenerationOutput{JobID: &id.id}, nil
}

// errRuns: the job runs already.
var errRuns = errors.New("the job runs")

// reserve makes room for a job, which release gives back.
func (s *Service) reserve(id jobID) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, aws.ErrUnavailable.New("The server is shutting down.")
	}
	if s.running[id] != nil {
		return nil, errRuns
	}
	n := 0
	for other := range s.running {
		if other.scope == id.scope {
			n++
		}
	}
	if n >= maxRunning {
		return nil, api.ErrServiceQuotaExceeded.Withf("The limit of %d policy generations at a time is reached.", maxRunning)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.running[id] = cancel
	s.jobs.Add(1)
	return ctx, nil
}

func (s *Service) release(id jobID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[id]()
	delete(s.running, id)
	s.jobs.Done()
}

// repetition is the answer to a client token that was used before.
func (s *Service) repetition(ctx context.Context, id jobID, j job) (*api.StartPolicyGenerationOutput, error) {
	old, err := s.find(ctx, id.scope, id.id)
	if err != nil {
		return nil, err
	}
	if old.Request != j.Request {
		return nil, api.ErrConflict.New("The client token was used before with other parameters.")
	}
	return &api.StartPolicyGenerationOutput{JobID: &id.id}, nil
}

func (s *Service) newJob(call *aws.Call, in *api.StartPolicyGenerationInput) (job, error) {
	now := s.deps.Now().UTC()
	j := job{
		Principal: *in.PolicyGenerationDetails.PrincipalArn, Status: api.JobStatusInProgress,
		Started: now, From: now.Add(-historyStart), To: now,
	}
	if in.ClientToken != nil && len(*in.ClientToken) > maxToken {
		return j, api.ErrValidation.Withf("The client token may have %d characters.", maxToken)
	}
	if arn, err := aws.ParseARN(j.Principal); err != nil || arn.Account != call.Account {
		return j, api.ErrValidation.Withf("The principal %s is not of account %s.", j.Principal, call.Account)
	}
	if d := in.CloudTrailDetails; d != nil {
		if len(d.Trails) > maxTrails {
			return j, api.ErrValidation.Withf("At most %d trails may be given.", maxTrails)
		}
		for _, t := range d.Trails {
			if arn, err := aws.ParseARN(*t.CloudTrailArn); err != nil || arn.Account != call.Account {
				return j, api.ErrValidation.Withf("The trail %s is not of account %s.", *t.CloudTrailArn, call.Account)
			}
			j.Trails = append(j.Trails, &api.TrailProperties{CloudTrailArn: t.CloudTrailArn, Regions: t.Regions, AllRegions: t.AllRegions})
		}
		j.From = d.StartTime.UTC()
		if d.EndTime != nil {
			j.To = d.EndTime.UTC()
		}
		if j.From.After(j.To) {
			return j, api.ErrValidation.New("The start time must be before the end time.")
		}
	}
	b, err := json.Marshal(struct {
		P *api.PolicyGenerationDetails
		C *api.CloudTrailDetails
	}{in.PolicyGenerationDetails, in.CloudTrailDetails})
	j.Request = string(b)
	return j, err
}

// GetGeneratedPolicy answers how far a job is, and its policies when it has succeeded.
func (s *Service) GetGeneratedPolicy(ctx context.Context, in *api.GetGeneratedPolicyInput) (*api.GetGeneratedPolicyOutput, error) {
	call := aws.CallFrom(ctx)
	j, err := s.find(ctx, store.Scope{Account: call.Account, Region: call.Region}, *in.JobID)
	if err != nil {
		return nil, err
	}
	out := &api.GetGeneratedPolicyOutput{
		JobDetails: &api.JobDetails{JobID: in.JobID, Status: &j.Status, StartedOn: &j.Started},
		GeneratedPolicyResult: &api.GeneratedPolicyResult{Properties: &api.GeneratedPolicyProperties{
			PrincipalArn: &j.Principal, IsComplete: new(j.Status == api.JobStatusSucceeded),
			CloudTrailProperties: &api.CloudTrailProperties{TrailProperties: j.Trails, StartTime: &j.From, EndTime: &j.To},
		}},
	}
	if j.Trails == nil {
		out.GeneratedPolicyResult.Properties.CloudTrailProperties.TrailProperties = []*api.TrailProperties{}
	}
	if !j.Completed.IsZero() {
		out.JobDetails.CompletedOn = &j.Completed
	}
	if j.Code != "" {
		out.JobDetails.JobError = &api.JobError{Code: &j.Code, Message: &j.Message}
	}
	for _, p := range j.Policies {
		out.GeneratedPolicyResult.GeneratedPolicies = append(out.GeneratedPolicyResult.GeneratedPolicies, &api.GeneratedPolicy{Policy: &p})
	}
	return out, nil
}

// CancelPolicyGeneration ends a job. One that is over stays as it is.
func (s *Service) CancelPolicyGeneration(ctx context.Context, in *api.CancelPolicyGenerationInput) (*api.CancelPolicyGenerationOutput, error) {
	call := aws.CallFrom(ctx)
	id := jobID{store.Scope{Account: call.Account, Region: call.Region}, *in.JobID}
	if _, err := s.find(ctx, id.scope, id.id); err != nil {
		return nil, err
	}
	err := s.deps.Store.Update(ctx, func(tx store.Tx) error {
		row, err := jobs.Get(tx, id.scope, id.id)
		if err != nil || row.Value.Status != api.JobStatusInProgress {
			return err
		}
		row.Value.Status, row.Value.Completed = api.JobStatusCanceled, s.deps.Now().UTC()
		_, err = jobs.Put(tx, id.scope, id.id, row.Value)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.running[id]; cancel != nil {
		cancel()
	}
	return &api.CancelPolicyGenerationOutput{}, nil
}

// ListPolicyGenerations answers the jobs of the last days, the newest first.
func (s *Service) ListPolicyGenerations(ctx context.Context, in *api.ListPolicyGenerationsInput) (*api.ListPolicyGenerationsOutput, error) {
	call := aws.CallFrom(ctx)
	sc := store.Scope{Account: call.Account, Region: call.Region}
	var all []store.Row[job]
	err := s.deps.Store.View(ctx, func(tx store.Tx) error {
		all = nil
		for row, err := range jobs.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return err
			}
			if in.PrincipalArn == nil || row.Value.Principal == *in.PrincipalArn {
				all = append(all, row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, newestFirst)
	if in.NextToken != nil {
		i := slices.IndexFunc(all, func(r store.Row[job]) bool { return r.Key == *in.NextToken })
		if i < 0 {
			return nil, api.ErrValidation.New("The nextToken is not valid.")
		}
		all = all[i+1:]
	}
	limit := usualPage
	if in.MaxResults != nil {
		limit = min(*in.MaxResults, mostPage)
	}
	out := &api.ListPolicyGenerationsOutput{PolicyGenerations: []*api.PolicyGeneration{}}
	if len(all) > limit {
		all = all[:limit]
		out.NextToken = &all[limit-1].Key
	}
	for _, row := range all {
		j := row.Value
		if s.isLost(jobID{sc, row.Key}, j) {
			if j, err = s.find(ctx, sc, row.Key); err != nil {
				return nil, err
			}
		}
		g := &api.PolicyGeneration{JobID: new(strings.Clone(row.Key)), PrincipalArn: &j.Principal, Status: &j.Status, StartedOn: &j.Started}
		if !j.Completed.IsZero() {
			g.CompletedOn = &j.Completed
		}
		out.PolicyGenerations = append(out.PolicyGenerations, g)
	}
	return out, nil
}
