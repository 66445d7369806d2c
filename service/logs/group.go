package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// pageSize is how many groups or streams a Describe answers at most, and unless told otherwise.
const pageSize = 50

// CreateLogGroup makes an empty group without retention.
func (s *Service) CreateLogGroup(ctx context.Context, in *api.CreateLogGroupInput) (*api.CreateLogGroupOutput, error) {
	name := *in.LogGroupName
	switch {
	case len(name) > maxName:
		return nil, errNameLength()
	case len(name) >= 4 && strings.EqualFold(name[:4], "aws/"):
		return nil, invalid("Log groups starting with AWS/ are reserved for AWS.")
	case in.KmsKeyID != nil:
		return nil, aws.ErrNotImplemented.New("CreateLogGroup with kmsKeyId is not implemented")
	case in.DeletionProtectionEnabled != nil && *in.DeletionProtectionEnabled:
		return nil, aws.ErrNotImplemented.New("CreateLogGroup with deletionProtectionEnabled is not implemented")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	row := groupRow{ID: fmt.Sprintf("%016x", newID()), Created: s.millis(), Class: api.LogGroupClassStandard, Tags: in.Tags}
	if in.LogGroupClass != nil {
		row.Class = *in.LogGroupClass
	}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		_, err := groups.Put(tx, scopeOf(aws.CallFrom(ctx)), name, row, store.IfAbsent())
		return err
	})
	if errors.Is(err, store.ErrExists) {
		return nil, api.ErrResourceAlreadyExists.New("The specified log group already exists")
	}
	if err != nil {
		return nil, err
	}
	return &api.CreateLogGroupOutput{}, nil
}

// maxName bounds the names of groups and streams, in characters.
const maxName = 512

func errNameLength() error {
	return invalid("Invalid LogGroup or LogStream, both must have length less than or equal to 512.")
}

// DeleteLogGroup unlinks a group with all its streams at once; the sweeper deletes their events.
func (s *Service) DeleteLogGroup(ctx context.Context, in *api.DeleteLogGroupInput) (*api.DeleteLogGroupOutput, error) {
	k := groupKey{scopeOf(aws.CallFrom(ctx)), *in.LogGroupName}
	err := s.db.Update(ctx, func(tx store.Tx) error {
		row, err := getGroup(tx, k.scope, k.name)
		if err != nil {
			return err
		}
		if _, err := trash.Put(tx, k.scope, store.Key(trashGroup, row.Value.ID), trashRow{}); err != nil {
			return err
		}
		return groups.Delete(tx, k.scope, k.name)
	})
	if err != nil {
		return nil, err
	}
	s.streams.forget(k)
	s.wake()
	return &api.DeleteLogGroupOutput{}, nil
}

// DescribeLogGroups lists groups by name.
func (s *Service) DescribeLogGroups(ctx context.Context, in *api.DescribeLogGroupsInput) (*api.DescribeLogGroupsOutput, error) {
	call := aws.CallFrom(ctx)
	sc := scopeOf(call)
	prefix, pattern := value(in.LogGroupNamePrefix), value(in.LogGroupNamePattern)
	if prefix != "" && pattern != "" {
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	wanted, err := identifiers(call, in.LogGroupIdentifiers)
	if err != nil {
		return nil, err
	}
	parameters := []string{"groups", sc.Account, sc.Region, prefix, pattern, value(in.LogGroupClass), strings.Join(wanted, " ")}
	after, err := parseListToken(in.NextToken, parameters...)
	if err != nil {
		return nil, err
	}
	limit := limitOf(in.Limit, pageSize)
	out := &api.DescribeLogGroupsOutput{LogGroups: []*api.LogGroup{}}
	if len(in.AccountIdentifiers) > 0 && !slices.Contains(in.AccountIdentifiers, call.Account) {
		return out, nil
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		for row, err := range groups.Scan(tx, sc, store.Range{Prefix: prefix, After: after}) {
			if err != nil {
				return err
			}
			class := in.LogGroupClass == nil || *in.LogGroupClass == row.Value.Class
			if !class || !strings.Contains(row.Key, pattern) || len(wanted) > 0 && !slices.Contains(wanted, row.Key) {
				continue
			}
			if len(out.LogGroups) == limit {
				out.NextToken = new(listToken(*out.LogGroups[limit-1].LogGroupName, parameters...))
				return nil
			}
			out.LogGroups = append(out.LogGroups, describeGroup(sc, row.Key, row.Value))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// describeGroup is a group as AWS shows it. The arn ends in ":*", which stands for the streams; the logGroupArn does not.
func describeGroup(sc store.Scope, name string, row groupRow) *api.LogGroup {
	arn := groupARN(sc, name)
	g := &api.LogGroup{
		LogGroupName:      &name,
		CreationTime:      &row.Created,
		MetricFilterCount: new(0),
		Arn:               new(arn + ":*"),
		LogGroupArn:       &arn,
		StoredBytes:       &row.StoredBytes,
		LogGroupClass:     &row.Class,
	}
	if row.Retention > 0 {
		g.RetentionInDays = &row.Retention
	}
	return g
}

func groupARN(sc store.Scope, name string) string {
	return api.GroupARN(sc.Region, sc.Account, name).String()
}

// groupOf is the group that a request names: by name or by identifier, which is a name or an ARN, but not by both.
func groupOf(call *aws.Call, name, identifier *string) (groupKey, error) {
	k := groupKey{scope: scopeOf(call)}
	switch {
	case name != nil && identifier != nil:
		return k, api.ErrValidation.New("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	case name != nil:
		k.name = *name
		return k, nil
	case identifier == nil:
		return k, invalid("1 validation error detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null")
	}
	names, err := identifiers(call, []string{*identifier})
	if err != nil {
		return k, err
	}
	k.name = names[0]
	return k, nil
}

// identifiers are the names of groups that are given by name or ARN. One of another account or region does not exist here.
func identifiers(call *aws.Call, list []string) ([]string, error) {
	names := make([]string, 0, len(list))
	for _, id := range list {
		if !strings.HasPrefix(id, "arn:") {
			names = append(names, id)
			continue
		}
		arn, name, ok := api.ParseGroupARN(id)
		if !ok {
			return nil, invalid("%s is not a valid log group identifier", id)
		}
		if arn.Account != call.Account || arn.Region != call.Region {
			return nil, errNoGroup()
		}
		names = append(names, name)
	}
	return names, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// limitOf is a page's size: limit if it is set and in 1…most, else most.
func limitOf(limit *int, most int) int {
	if limit == nil || *limit < 1 || *limit > most {
		return most
	}
	return *limit
}
