package cloudtrail

import (
	"context"
	"time"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// UpdateTrail changes the settings that the input has.
func (s *Service) UpdateTrail(ctx context.Context, in *api.UpdateTrailInput) (*api.UpdateTrailOutput, error) {
	f, err := s.change(ctx, *in.Name, func(t *trail) (*trail, error) { return t, t.set(in) })
	if err != nil {
		return nil, err
	}
	return f.trail.answer(f.scope), nil
}

// DeleteTrail removes a trail. What was recorded stays.
func (s *Service) DeleteTrail(ctx context.Context, in *api.DeleteTrailInput) (*api.DeleteTrailOutput, error) {
	_, err := s.change(ctx, *in.Name, func(*trail) (*trail, error) { return nil, nil })
	return &api.DeleteTrailOutput{}, err
}

// GetTrail answers a trail's settings.
func (s *Service) GetTrail(ctx context.Context, in *api.GetTrailInput) (*api.GetTrailOutput, error) {
	f, err := s.get(ctx, *in.Name)
	if err != nil {
		return nil, err
	}
	return &api.GetTrailOutput{Trail: f.trail.describe(f.scope)}, nil
}

// DescribeTrails answers the trails that are named and exist, or those of the region and those of all regions; without shadow
// trails only what is at home here.
func (s *Service) DescribeTrails(ctx context.Context, in *api.DescribeTrailsInput) (*api.DescribeTrailsOutput, error) {
	call := aws.CallFrom(ctx)
	type named struct{ name, region string }
	wanted := map[named]bool{}
	for _, text := range in.TrailNameList {
		name, region, err := trailName(call, text)
		if err != nil {
			return nil, err
		}
		wanted[named{name, region}] = true
	}
	shadows := in.IncludeShadowTrails == nil || *in.IncludeShadowTrails
	out := &api.DescribeTrailsOutput{TrailList: []*api.Trail{}}
	err := s.db.View(ctx, func(tx store.Tx) error {
		all, err := list(tx, call)
		out.TrailList = out.TrailList[:0]
		for _, f := range all {
			here := f.scope.Region == call.Region
			if !here && (!f.trail.Multi || !shadows) {
				continue
			}
			if len(wanted) > 0 && !wanted[named{f.trail.Name, f.scope.Region}] && !wanted[named{f.trail.Name, call.Region}] {
				continue
			}
			out.TrailList = append(out.TrailList, f.trail.describe(f.scope))
		}
		return err
	})
	return out, err
}

// ListTrails answers every trail of the account in one page: there are at most five in a region.
func (s *Service) ListTrails(ctx context.Context, _ *api.ListTrailsInput) (*api.ListTrailsOutput, error) {
	call := aws.CallFrom(ctx)
	out := &api.ListTrailsOutput{Trails: []*api.TrailInfo{}}
	err := s.db.View(ctx, func(tx store.Tx) error {
		all, err := list(tx, call)
		out.Trails = out.Trails[:0]
		for _, f := range all {
			out.Trails = append(out.Trails, &api.TrailInfo{
				TrailARN: new(f.trail.arn(f.scope)), Name: &f.trail.Name, HomeRegion: &f.scope.Region,
			})
		}
		return err
	})
	return out, err
}

// StartLogging switches a trail's delivery on. Recording goes on with and without trails.
func (s *Service) StartLogging(ctx context.Context, in *api.StartLoggingInput) (*api.StartLoggingOutput, error) {
	_, err := s.change(ctx, *in.Name, func(t *trail) (*trail, error) {
		if !t.Logging {
			t.Logging, t.Started = true, s.now()
		}
		return t, nil
	})
	return &api.StartLoggingOutput{}, err
}

// StopLogging switches a trail's delivery off.
func (s *Service) StopLogging(ctx context.Context, in *api.StopLoggingInput) (*api.StopLoggingOutput, error) {
	_, err := s.change(ctx, *in.Name, func(t *trail) (*trail, error) {
		if t.Logging {
			t.Logging, t.Stopped = false, s.now()
		}
		return t, nil
	})
	return &api.StopLoggingOutput{}, err
}

// GetTrailStatus says whether a trail is logging, and since when. Nothing was delivered yet.
func (s *Service) GetTrailStatus(ctx context.Context, in *api.GetTrailStatusInput) (*api.GetTrailStatusOutput, error) {
	f, err := s.get(ctx, *in.Name)
	if err != nil {
		return nil, err
	}
	out := &api.GetTrailStatusOutput{
		IsLogging: &f.trail.Logging, LatestDeliveryAttemptTime: new(""), LatestNotificationAttemptTime: new(""),
		LatestNotificationAttemptSucceeded: new(""), LatestDeliveryAttemptSucceeded: new(""),
		TimeLoggingStarted: new(""), TimeLoggingStopped: new(""),
	}
	out.StartLoggingTime, out.TimeLoggingStarted = status(f.trail.Started)
	out.StopLoggingTime, out.TimeLoggingStopped = status(f.trail.Stopped)
	return out, nil
}

// status is a time as GetTrailStatus has it, twice.
func status(t time.Time) (*time.Time, *string) {
	if t.IsZero() {
		return nil, new("")
	}
	return &t, new(eventTime(t))
}
