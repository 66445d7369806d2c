package cloudtrail

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Limits of an account.
const (
	maxTrails = 5 // in a region
	maxPrefix = 200
)

// trail is a trail, in the scope of its home region and by its name.
type trail struct {
	Name     string
	Bucket   string
	Prefix   string `json:",omitempty"`
	Topic    string `json:",omitempty"` // name or ARN
	Global   bool   // with the events of global services
	Multi    bool   // of all regions
	Validate bool   // log file validation
	Group    string `json:",omitempty"` // ARN of a log group
	Role     string `json:",omitempty"` // that writes to it
	Key      string `json:",omitempty"`

	Logging          bool
	Started, Stopped time.Time // of logging; zero for never
	Tags             map[string]string
	Selectors        []*api.EventSelector         `json:",omitempty"`
	Advanced         []*api.AdvancedEventSelector `json:",omitempty"`
}

var trails = store.Table[trail]{Name: "cloudtrail.trail"}

// CreateTrail keeps a trail that is not logging.
func (s *Service) CreateTrail(ctx context.Context, in *api.CreateTrailInput) (*api.CreateTrailOutput, error) {
	call := aws.CallFrom(ctx)
	if strings.HasPrefix(*in.Name, "arn:") {
		return nil, api.ErrInvalidTrailName.New("Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_).")
	}
	if err := checkName(*in.Name); err != nil {
		return nil, err
	}
	t := trail{Name: *in.Name, Global: true}
	if err := t.set((*api.UpdateTrailInput)(settingsOf(in))); err != nil {
		return nil, err
	}
	var err error
	if t.Tags, err = addTags(nil, in.TagsList); err != nil {
		return nil, err
	}
	sc := store.Scope{Account: call.Account, Region: call.Region}
	err = s.db.Update(ctx, func(tx store.Tx) error {
		n := 0
		for _, err := range trails.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return err
			}
			n++
		}
		if _, err := trails.Get(tx, sc, t.Name); err == nil {
			return api.ErrTrailAlreadyExists.Withf("Trail %s already exists for customer: %s", t.Name, call.Account)
		}
		if n >= maxTrails {
			return api.ErrMaximumNumberOfTrailsExceeded.Withf("User: %s already has %d trails in %s.", call.Account, n, call.Region)
		}
		_, err := trails.Put(tx, sc, t.Name, t, store.IfAbsent())
		return err
	})
	if err != nil {
		return nil, err
	}
	return (*api.CreateTrailOutput)(t.answer(sc)), nil
}

// settingsOf are the members that CreateTrail and UpdateTrail have in common.
func settingsOf(in *api.CreateTrailInput) *api.UpdateTrailInput {
	return &api.UpdateTrailInput{
		Name: in.Name, S3BucketName: in.S3BucketName, S3KeyPrefix: in.S3KeyPrefix, SnsTopicName: in.SnsTopicName,
		IncludeGlobalServiceEvents: in.IncludeGlobalServiceEvents, IsMultiRegionTrail: in.IsMultiRegionTrail,
		EnableLogFileValidation: in.EnableLogFileValidation, CloudWatchLogsLogGroupArn: in.CloudWatchLogsLogGroupArn,
		CloudWatchLogsRoleArn: in.CloudWatchLogsRoleArn, KmsKeyID: in.KmsKeyID, IsOrganizationTrail: in.IsOrganizationTrail,
	}
}

var bucketName = aws.Pattern(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// set changes what an input has.
func (t *trail) set(in *api.UpdateTrailInput) error {
	change(&t.Bucket, in.S3BucketName)
	change(&t.Prefix, in.S3KeyPrefix)
	change(&t.Topic, in.SnsTopicName)
	change(&t.Global, in.IncludeGlobalServiceEvents)
	change(&t.Multi, in.IsMultiRegionTrail)
	change(&t.Validate, in.EnableLogFileValidation)
	change(&t.Group, in.CloudWatchLogsLogGroupArn)
	change(&t.Role, in.CloudWatchLogsRoleArn)
	change(&t.Key, in.KmsKeyID)
	switch {
	case !bucketName().MatchString(t.Bucket):
		return api.ErrInvalidS3BucketName.Withf("Bucket name is invalid: %s", clip(t.Bucket, maxName))
	case len(t.Prefix) > maxPrefix:
		return api.ErrInvalidS3Prefix.Withf("The S3 prefix is longer than the maximum length of %d characters.", maxPrefix)
	case len(t.Topic) > 256:
		return api.ErrInvalidSnsTopicName.New("The SNS topic name is longer than the maximum length of 256 characters.")
	case t.Multi && !t.Global:
		return api.ErrInvalidParameterCombination.New("Multi-Region trail must include global service events.")
	case in.IsOrganizationTrail != nil && *in.IsOrganizationTrail:
		return api.ErrOrganizationsNotInUse.New("Your account is not a member of an organization.")
	case t.Group != "" && t.Role == "":
		return api.ErrInvalidCloudWatchLogsRoleArn.New("You must specify a role ARN as well as a log group.")
	case t.Group == "" && t.Role != "":
		return api.ErrInvalidCloudWatchLogsLogGroupArn.New("You must specify a log group as well as a role ARN.")
	case t.Group != "" && !isARN(t.Group, "logs"):
		return api.ErrInvalidCloudWatchLogsLogGroupArn.New("CloudTrail CloudWatch Logs LogGroupArn is not a valid ARN.")
	case t.Role != "" && !isARN(t.Role, "iam"):
		return api.ErrInvalidCloudWatchLogsRoleArn.New("CloudTrail CloudWatch Logs RoleArn is not a valid ARN.")
	}
	return nil
}

func change[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func isARN(text, service string) bool {
	arn, err := aws.ParseARN(text)
	return err == nil && arn.Service == service
}

// topic is the trail's topic as a name and as an ARN; both nil if it has none.
func (t *trail) topic(sc store.Scope) (name, arn *string) {
	switch {
	case t.Topic == "":
		return nil, nil
	case strings.HasPrefix(t.Topic, "arn:"):
		return &t.Topic, &t.Topic
	}
	return &t.Topic, new(aws.NewARN("sns", sc.Region, sc.Account, t.Topic).String())
}

func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// answer is a trail as CreateTrail and UpdateTrail answer it.
func (t *trail) answer(sc store.Scope) *api.UpdateTrailOutput {
	topic, topicARN := t.topic(sc)
	return &api.UpdateTrailOutput{
		Name: &t.Name, S3BucketName: &t.Bucket, S3KeyPrefix: some(t.Prefix), SnsTopicName: topic, SnsTopicARN: topicARN,
		IncludeGlobalServiceEvents: &t.Global, IsMultiRegionTrail: &t.Multi, TrailARN: new(t.arn(sc)),
		LogFileValidationEnabled: &t.Validate, CloudWatchLogsLogGroupArn: some(t.Group), CloudWatchLogsRoleArn: some(t.Role),
		KmsKeyID: some(t.Key), IsOrganizationTrail: new(false),
	}
}

// describe is a trail as GetTrail and DescribeTrails answer it.
func (t *trail) describe(sc store.Scope) *api.Trail {
	a := t.answer(sc)
	return &api.Trail{
		Name: a.Name, S3BucketName: a.S3BucketName, S3KeyPrefix: a.S3KeyPrefix, SnsTopicName: a.SnsTopicName,
		SnsTopicARN: a.SnsTopicARN, IncludeGlobalServiceEvents: a.IncludeGlobalServiceEvents,
		IsMultiRegionTrail: a.IsMultiRegionTrail, HomeRegion: &sc.Region, TrailARN: a.TrailARN,
		LogFileValidationEnabled: a.LogFileValidationEnabled, CloudWatchLogsLogGroupArn: a.CloudWatchLogsLogGroupArn,
		CloudWatchLogsRoleArn: a.CloudWatchLogsRoleArn, KmsKeyID: a.KmsKeyID,
		HasCustomEventSelectors: new(len(t.Selectors) > 0 || len(t.Advanced) > 0), HasInsightSelectors: new(false),
		IsOrganizationTrail: a.IsOrganizationTrail,
	}
}

func (t *trail) arn(sc store.Scope) string { return api.TrailARN(sc.Region, sc.Account, t.Name) }

// found is a trail and where it is at home.
type found struct {
	scope store.Scope
	trail trail
}

// find answers TrailNotFoundException if there is no trail of that name or ARN. A trail of all regions is found by name in
// each.
func find(tx store.Tx, call *aws.Call, text string) (found, error) {
	name, region, err := trailName(call, text)
	if err != nil {
		return found{}, err
	}
	sc := store.Scope{Account: call.Account, Region: region}
	row, err := trails.Get(tx, sc, name)
	if err == nil {
		return found{sc, row.Value}, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return found{}, err
	}
	if !strings.HasPrefix(text, "arn:") {
		all, err := list(tx, call)
		if err != nil {
			return found{}, err
		}
		for _, f := range all {
			if f.trail.Name == name && f.trail.Multi {
				return f, nil
			}
		}
	}
	return found{}, unknownTrail(call, text)
}

// list is every trail of the account, by name.
func list(tx store.Tx, call *aws.Call) ([]found, error) {
	scopes, err := trails.Scopes(tx)
	if err != nil {
		return nil, err
	}
	var all []found
	for _, sc := range scopes {
		if sc.Account != call.Account {
			continue
		}
		for row, err := range trails.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return nil, err
			}
			all = append(all, found{sc, row.Value})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(a.trail.Name, b.trail.Name) })
	return all, nil
}

// change is one transaction on a trail, which must be at home in the call's region. A nil answer of fn deletes it.
func (s *Service) change(ctx context.Context, name string, fn func(t *trail) (*trail, error)) (found, error) {
	call := aws.CallFrom(ctx)
	var f found
	err := s.db.Update(ctx, func(tx store.Tx) (err error) {
		if f, err = find(tx, call, name); err != nil {
			return err
		}
		if f.scope.Region != call.Region {
			return api.ErrInvalidHomeRegion.Withf("The home region of the trail %s is %s.", f.trail.arn(f.scope), f.scope.Region)
		}
		t, err := fn(&f.trail)
		if err != nil {
			return err
		}
		if t == nil {
			return trails.Delete(tx, f.scope, f.trail.Name)
		}
		_, err = trails.Put(tx, f.scope, t.Name, *t)
		return err
	})
	return f, err
}

// get reads one trail.
func (s *Service) get(ctx context.Context, name string) (f found, err error) {
	err = s.db.View(ctx, func(tx store.Tx) (err error) {
		f, err = find(tx, aws.CallFrom(ctx), name)
		return err
	})
	return f, err
}
