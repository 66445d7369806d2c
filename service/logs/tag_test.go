package logs

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/wire"
)

// tags are those of a group, by its ARN and by its name.
func (f *fixture) tags(group string) map[string]string {
	f.t.Helper()
	byARN, err := f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceArn: new(groupARN(f.scope(), group))})
	f.check(err, "")
	byName, err := f.ListTagsLogGroup(f.ctx, &api.ListTagsLogGroupInput{LogGroupName: &group})
	f.check(err, "")
	if byARN.Tags == nil || !maps.Equal(byARN.Tags, byName.Tags) {
		f.t.Errorf("%s has %v by its ARN and %v by its name", group, byARN.Tags, byName.Tags)
	}
	return byARN.Tags
}

func TestTags(t *testing.T) {
	f := newFixture(t)
	f.group("other")
	_, err := f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{LogGroupName: new("/g"), Tags: map[string]string{"a": "1", "b": "2"}})
	f.check(err, "")
	arn := groupARN(f.scope(), "/g")
	steps := []struct {
		name string
		do   func() error
		want map[string]string
	}{
		{"as created", func() error { return nil }, map[string]string{"a": "1", "b": "2"}},
		{"more, and another value", func() error {
			_, err := f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"b": "", "ü c": "3"}})
			return err
		}, map[string]string{"a": "1", "b": "", "ü c": "3"}},
		{"by ARN again", func() error {
			_, err := f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: &arn, Tags: map[string]string{"d": "4"}})
			return err
		}, map[string]string{"a": "1", "b": "", "ü c": "3", "d": "4"}},
		{"by name; keys differ by case", func() error {
			_, err := f.TagLogGroup(f.ctx, &api.TagLogGroupInput{LogGroupName: new("/g"), Tags: map[string]string{"A": "5"}})
			return err
		}, map[string]string{"a": "1", "b": "", "ü c": "3", "d": "4", "A": "5"}},
		{"fewer", func() error {
			_, err := f.UntagResource(f.ctx, &api.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"a", "d", "never there"}})
			return err
		}, map[string]string{"b": "", "ü c": "3", "A": "5"}},
		{"after a restart", func() error { f.reopen(); return nil }, map[string]string{"b": "", "ü c": "3", "A": "5"}},
		{"with a retention", func() error {
			_, err := f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("/g"), RetentionInDays: new(7)})
			return err
		}, map[string]string{"b": "", "ü c": "3", "A": "5"}},
		{"none, by name", func() error {
			_, err := f.UntagLogGroup(f.ctx, &api.UntagLogGroupInput{LogGroupName: new("/g"), Tags: []string{"b", "ü c", "A"}})
			return err
		}, map[string]string{}},
	}
	for _, step := range steps {
		f.check(step.do(), "")
		if got := f.tags("/g"); !maps.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	if got := f.tags("other"); len(got) != 0 {
		t.Errorf("another group has %v", got)
	}
	out, err := f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("/g")})
	f.check(err, "")
	if g := out.LogGroups[0]; g.RetentionInDays == nil || *g.CreationTime != ms(0) {
		t.Errorf("tags changed the group: %+v", g)
	}
}

// A group has 50 tags; what would be the 51st leaves it as it was.
func TestTooManyTags(t *testing.T) {
	f := newFixture(t)
	f.group("g")
	some := func(from, n int) map[string]string {
		tags := map[string]string{}
		for i := range n {
			tags[fmt.Sprint("k", from+i)] = "v"
		}
		return tags
	}
	arn := groupARN(f.scope(), "g")
	tag := func(tags map[string]string) error {
		_, err := f.TagResource(f.ctx, &api.TagResourceInput{ResourceArn: &arn, Tags: tags})
		return err
	}
	f.check(tag(some(0, 49)), "")
	f.check(tag(some(48, 2)), "") // one of them is there already
	err := tag(some(49, 2))
	f.check(err, "TooManyTagsException: A resource can have no more than 50 tags.")
	if e := (*aws.Error)(nil); !errors.As(err, &e) || e.Fields["resourceName"] != arn {
		t.Errorf("the error does not name the group: %+v", e)
	}
	_, err = f.TagLogGroup(f.ctx, &api.TagLogGroupInput{LogGroupName: new("g"), Tags: some(50, 1)})
	f.check(err, "InvalidParameterException: A resource can have no more than 50 tags.")
	if got := f.tags("g"); !maps.Equal(got, some(0, 50)) {
		t.Errorf("the group has %v", got)
	}
}

// The model's constraints, the same for all that give tags.
func TestTagConstraints(t *testing.T) {
	for _, tt := range []struct {
		name       string
		key, value string
		ok         bool
	}{
		{"as long as can be", strings.Repeat("ü", 128), strings.Repeat("ü", 256), true},
		{"no value", "k", "", true},
		{"no key", "", "v", false},
		{"a long key", strings.Repeat("k", 129), "v", false},
		{"a long value", "k", strings.Repeat("v", 257), false},
		{"a key with a star", "k*", "v", false},
		{"a value with a star", "k", "*", false},
	} {
		tags, g := map[string]string{tt.key: tt.value}, new("g")
		for _, in := range []any{
			&api.CreateLogGroupInput{LogGroupName: g, Tags: tags}, &api.TagLogGroupInput{LogGroupName: g, Tags: tags},
			&api.TagResourceInput{ResourceArn: new("arn:aws:logs:us-east-1:000000000000:log-group:g:*"), Tags: tags},
		} {
			if err := wire.Validate(in); (err == nil) != tt.ok {
				t.Errorf("%s: %T: %v", tt.name, in, err)
			}
		}
	}
}

func TestTagConditions(t *testing.T) {
	f := newFixture(t)
	_, err := f.CreateLogGroup(f.ctx, &api.CreateLogGroupInput{
		LogGroupName: new("g"), Tags: map[string]string{"Team": "blue", "k": "1", "K": "2", "kk": "3", "KK": "4", "Kk": "5"},
	})
	f.check(err, "")
	group := groupARN(f.scope(), "g")
	for _, tt := range []struct{ arn, key, want string }{
		{group, "aws:resourcetag/Team", "blue"},
		{group, "aws:resourcetag/team", "blue"},
		{group, "aws:resourcetag/k", "1"},
		{group, "aws:resourcetag/K", "2"},
		{group, "aws:resourcetag/kK", "4"}, // always the same of several
		{group, "aws:resourcetag/Other", ""},
		{group, "aws:requesttag/Team", ""},
		{group + ":log-stream:", "aws:resourcetag/Team", "blue"}, // as all ops by name are authorized
		{group + ":log-stream:s", "aws:resourcetag/Team", ""},
		{groupARN(f.scope(), "x"), "aws:resourcetag/Team", ""},
		{"arn:aws:logs:eu-west-1:000000000000:log-group:g", "aws:resourcetag/Team", ""},
		{"arn:aws:logs:us-east-1:111111111111:log-group:g", "aws:resourcetag/Team", ""},
		{"*", "aws:resourcetag/Team", ""},
	} {
		got, ok := f.ConditionValues(f.ctx, nil, tt.arn, tt.key)
		if ok != (tt.want != "") || strings.Join(got, ",") != tt.want {
			t.Errorf("%s of %s is %q, %t", tt.key, tt.arn, got, ok)
		}
	}
}
