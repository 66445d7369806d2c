package logs

import (
	"fmt"
	"slices"
	"testing"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
)

func TestDescribeLogGroups(t *testing.T) {
	f := newFixture(t)
	for i := range 120 {
		f.group(fmt.Sprintf("/aws/lambda/f%03d", i))
	}
	f.group("other")
	if _, err := f.PutRetentionPolicy(f.ctx, &api.PutRetentionPolicyInput{LogGroupName: new("other"), RetentionInDays: new(7)}); err != nil {
		t.Fatal(err)
	}

	all := func(in api.DescribeLogGroupsInput) (names []string, pages int) {
		for pages = 1; ; pages++ {
			out, err := f.DescribeLogGroups(f.ctx, &in)
			f.check(err, "")
			for _, g := range out.LogGroups {
				names = append(names, *g.LogGroupName)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return names, pages
			}
		}
	}
	for _, tt := range []struct {
		name         string
		in           api.DescribeLogGroupsInput
		names, pages int
	}{
		{"all", api.DescribeLogGroupsInput{}, 121, 3},
		{"by prefix", api.DescribeLogGroupsInput{LogGroupNamePrefix: new("/aws/lambda/f00")}, 10, 1},
		{"a full last page", api.DescribeLogGroupsInput{LogGroupNamePrefix: new("/aws/lambda/f0"), Limit: new(20)}, 100, 5},
		{"by pattern", api.DescribeLogGroupsInput{LogGroupNamePattern: new("f01"), Limit: new(3)}, 10, 4},
		{"by pattern, case counts", api.DescribeLogGroupsInput{LogGroupNamePattern: new("F01")}, 0, 1},
		{"by class", api.DescribeLogGroupsInput{LogGroupClass: new(api.LogGroupClassInfrequentAccess)}, 0, 1},
		{"by identifier", api.DescribeLogGroupsInput{LogGroupIdentifiers: []string{"other", "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/f001:*"}}, 2, 1},
		{"of another account", api.DescribeLogGroupsInput{AccountIdentifiers: []string{"111111111111"}}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			names, pages := all(tt.in)
			if len(names) != tt.names || pages != tt.pages || !slices.IsSorted(names) || len(slices.Compact(names)) != tt.names {
				t.Errorf("%d names on %d pages, want %d on %d", len(names), pages, tt.names, tt.pages)
			}
		})
	}

	out, err := f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("other")})
	f.check(err, "")
	g := out.LogGroups[0]
	if *g.Arn != "arn:aws:logs:us-east-1:000000000000:log-group:other:*" || *g.LogGroupArn != "arn:aws:logs:us-east-1:000000000000:log-group:other" ||
		*g.CreationTime != ms(0) || *g.RetentionInDays != 7 || *g.StoredBytes != 0 || *g.MetricFilterCount != 0 || *g.LogGroupClass != "STANDARD" {
		t.Errorf("got %+v", g)
	}
	if _, err := f.DeleteRetentionPolicy(f.ctx, &api.DeleteRetentionPolicyInput{LogGroupName: new("other")}); err != nil {
		t.Fatal(err)
	}
	out, _ = f.DescribeLogGroups(f.ctx, &api.DescribeLogGroupsInput{LogGroupNamePrefix: new("other")})
	if out.LogGroups[0].RetentionInDays != nil {
		t.Error("the retention is still there")
	}
	foreign := aws.WithCall(f.ctx, &aws.Call{Account: account, Region: "eu-west-1"})
	if out, err := f.DescribeLogGroups(foreign, &api.DescribeLogGroupsInput{}); err != nil || len(out.LogGroups) != 0 {
		t.Errorf("another region has %d groups, %v", len(out.LogGroups), err)
	}
}
