package server

import (
	"context"
	"iter"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/accessanalyzer"
	"github.com/enfold-run/enfold/service/cloudtrail"
)

// analyzedTrail is the audit trail as Access Analyzer reads it.
type analyzedTrail struct{ *cloudtrail.Service }

// Events yields what a role's sessions, or a user, did.
func (t analyzedTrail) Events(ctx context.Context, q accessanalyzer.Query) iter.Seq2[accessanalyzer.Event, error] {
	return func(yield func(accessanalyzer.Event, error) bool) {
		of := cloudtrail.Query{Account: q.Account, From: q.From, To: q.To}
		isRole := false
		if arn, err := aws.ParseARN(q.Principal); err == nil && strings.HasPrefix(arn.Resource, "role/") {
			isRole, of.RoleArn = true, q.Principal
		}
		for e, err := range t.Service.Events(ctx, of) {
			if err != nil {
				yield(accessanalyzer.Event{}, err)
				return
			}
			if !isRole && e.PrincipalArn != q.Principal {
				continue
			}
			if !yield(accessanalyzer.Event{Source: e.Source, Region: e.Region, Allowed: e.Allowed(), Access: e.Access}, nil) {
				return
			}
		}
	}
}
