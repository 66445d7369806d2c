package cloudtrail

import (
	"fmt"
	"strings"
	"testing"
	"time"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

func TestLookupEvents(t *testing.T) {
	f := newFixture(t)
	for i := range 7 {
		f.at = noon.Add(time.Duration(i) * time.Minute)
		p := root
		if i%2 == 1 {
			p = worker
		}
		f.record(f.remove(p), nil, nil)
		f.record(f.invoke(root), nil, nil) // data events are not in the history
		if i%3 == 0 {
			f.check(f.flush(t.Context()), "")
		}
	}
	f.record(f.call(root, lambdaapi.OpGetFunction, hello, &lambdaapi.GetFunctionInput{}), nil, nil)
	for _, c := range []struct {
		key, value string
		want       int
	}{
		{"EventName", "DeleteFunction20150331", 7},
		{"EventName", "DeleteFunction", 0},
		{"ReadOnly", "true", 1},
		{"Username", "job-7", 3},
		{"Username", "root", 5},
		{"ResourceType", "AWS::Lambda::Function", 8},
		{"ResourceName", "hello", 8},
		{"ResourceName", hello, 8},
		{"EventSource", "lambda.amazonaws.com", 8},
		{"AccessKeyId", "ASIAEXAMPLE", 3},
		{"EventId", "none", 0},
	} {
		out := f.lookup(&api.LookupEventsInput{LookupAttributes: []*api.LookupAttribute{{AttributeKey: &c.key, AttributeValue: &c.value}}})
		if len(out.Events) != c.want || out.NextToken != nil {
			t.Errorf("%s=%s: %d events, want %d", c.key, c.value, len(out.Events), c.want)
		}
	}
	out := f.lookup(&api.LookupEventsInput{StartTime: new(noon.Add(time.Minute)), EndTime: new(noon.Add(3 * time.Minute))})
	if len(out.Events) != 3 || !out.Events[0].EventTime.Equal(noon.Add(3*time.Minute)) || *out.Events[0].Username != "job-7" {
		t.Errorf("three minutes: %d events", len(out.Events))
	}
	f.at = noon.Add(91 * 24 * time.Hour)
	if out := f.lookup(&api.LookupEventsInput{}); len(out.Events) != 0 {
		t.Errorf("%d events older than 90 days", len(out.Events))
	}
}

func TestLookupPages(t *testing.T) {
	f := newFixture(t)
	for i := range 10 {
		f.record(f.remove(root), nil, nil)
		if i%4 == 0 {
			f.check(f.flush(t.Context()), "")
		}
	}
	seen := map[string]bool{}
	in := &api.LookupEventsInput{MaxResults: new(3)}
	pages := 0
	for ; pages < 10; pages++ {
		out := f.lookup(in)
		for _, e := range out.Events {
			if seen[*e.EventID] {
				t.Errorf("%s twice", *e.EventID)
			}
			seen[*e.EventID] = true
		}
		f.record(f.remove(root), nil, nil) // what comes meanwhile is not in later pages
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if len(seen) != 10 || pages != 3 {
		t.Errorf("%d events in %d pages, want 10 in 4", len(seen), pages+1)
	}
}

func TestLookupErrors(t *testing.T) {
	f := newFixture(t)
	f.written(3)
	token := f.lookup(&api.LookupEventsInput{MaxResults: new(1)}).NextToken
	attribute := func(k, v string) *api.LookupAttribute {
		return &api.LookupAttribute{AttributeKey: &k, AttributeValue: &v}
	}
	for _, c := range []struct {
		name string
		in   api.LookupEventsInput
		want string
	}{
		{"too many", api.LookupEventsInput{MaxResults: new(51)}, "InvalidMaxResultsException"},
		{"none", api.LookupEventsInput{MaxResults: new(0)}, "InvalidMaxResultsException"},
		{"two attributes", api.LookupEventsInput{LookupAttributes: []*api.LookupAttribute{attribute("EventName", "a"), attribute("EventName", "b")}}, "InvalidLookupAttributesException"},
		{"no truth", api.LookupEventsInput{LookupAttributes: []*api.LookupAttribute{attribute("ReadOnly", "yes")}}, "InvalidLookupAttributesException"},
		{"backwards", api.LookupEventsInput{StartTime: new(noon), EndTime: new(noon.Add(-1))}, "InvalidTimeRangeException"},
		{"category", api.LookupEventsInput{EventCategory: new("data")}, "InvalidEventCategoryException"},
		{"no token", api.LookupEventsInput{NextToken: new("x")}, "InvalidNextTokenException"},
		{"long token", api.LookupEventsInput{NextToken: new(strings.Repeat("A", 4096))}, "InvalidNextTokenException"},
		{"token of another question", api.LookupEventsInput{NextToken: token, StartTime: new(noon)}, "InvalidNextTokenException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := f.LookupEvents(f.ctx(), &c.in)
			if got, _, _ := strings.Cut(fmt.Sprint(err), ":"); got != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// TestRegions: the history is a region's, but what IAM does is in us-east-1.
func TestRegions(t *testing.T) {
	f := newFixture(t)
	f.record(f.remove(root), nil, nil)
	iam := &aws.Op{Service: &aws.Service{SigningName: "iam"}, Name: "DeleteRole", Action: "iam:DeleteRole"}
	f.record(f.call(root, iam, role, nil), nil, nil)
	if out := f.lookup(&api.LookupEventsInput{}); len(out.Events) != 1 || *out.Events[0].EventName != "DeleteFunction20150331" {
		t.Errorf("%d events in %s", len(out.Events), region)
	}
	ctx := aws.WithCall(t.Context(), &aws.Call{Account: account, Region: "us-east-1", Principal: root})
	out, err := f.LookupEvents(ctx, &api.LookupEventsInput{})
	f.check(err, "")
	if len(out.Events) != 1 || *out.Events[0].EventName != "DeleteRole" || *out.Events[0].Resources[0].ResourceName != "worker" {
		t.Errorf("events in us-east-1: %+v", out.Events)
	}
}

func (f *fixture) trail(name string) string {
	f.t.Helper()
	out, err := f.CreateTrail(f.ctx(), &api.CreateTrailInput{Name: &name, S3BucketName: new("my-bucket")})
	f.check(err, "")
	return *out.TrailARN
}

func TestTrails(t *testing.T) {
	f := newFixture(t)
	arn := f.trail("first")
	if arn != "arn:aws:cloudtrail:eu-west-1:000000000000:trail/first" {
		t.Errorf("ARN %s", arn)
	}
	_, err := f.CreateTrail(f.ctx(), &api.CreateTrailInput{Name: new("first"), S3BucketName: new("my-bucket")})
	f.check(err, "TrailAlreadyExistsException: Trail first already exists for customer: 000000000000")
	for i := range maxTrails - 1 {
		f.trail(fmt.Sprintf("trail-%d", i))
	}
	_, err = f.CreateTrail(f.ctx(), &api.CreateTrailInput{Name: new("one-more"), S3BucketName: new("my-bucket")})
	f.check(err, "MaximumNumberOfTrailsExceededException: User: 000000000000 already has 5 trails in eu-west-1.")

	_, err = f.UpdateTrail(f.ctx(), &api.UpdateTrailInput{Name: &arn, S3KeyPrefix: new("p"), IsMultiRegionTrail: new(true)})
	f.check(err, "")
	got, err := f.GetTrail(f.ctx(), &api.GetTrailInput{Name: new("first")})
	f.check(err, "")
	if tr := got.Trail; *tr.S3KeyPrefix != "p" || !*tr.IsMultiRegionTrail || *tr.S3BucketName != "my-bucket" || *tr.HomeRegion != region || *tr.HasCustomEventSelectors {
		t.Errorf("trail %+v", tr)
	}
	other := aws.WithCall(t.Context(), &aws.Call{Account: account, Region: "us-east-1", Principal: root})
	all, err := f.DescribeTrails(other, &api.DescribeTrailsInput{})
	f.check(err, "")
	if len(all.TrailList) != 1 || *all.TrailList[0].Name != "first" {
		t.Errorf("%d trails seen from another region, want the one of all regions", len(all.TrailList))
	}
	_, err = f.StartLogging(other, &api.StartLoggingInput{Name: &arn})
	f.check(err, "InvalidHomeRegionException: The home region of the trail "+arn+" is eu-west-1.")
	listed, err := f.ListTrails(other, &api.ListTrailsInput{})
	f.check(err, "")
	if len(listed.Trails) != maxTrails {
		t.Errorf("%d trails listed", len(listed.Trails))
	}
	stranger := aws.WithCall(t.Context(), &aws.Call{Account: "111111111111", Region: region, Principal: root})
	_, err = f.GetTrail(stranger, &api.GetTrailInput{Name: &arn})
	f.check(err, "TrailNotFoundException: Unknown trail: "+arn+" for the user: 111111111111")

	_, err = f.DeleteTrail(f.ctx(), &api.DeleteTrailInput{Name: new("first")})
	f.check(err, "")
	_, err = f.GetTrailStatus(f.ctx(), &api.GetTrailStatusInput{Name: new("first")})
	f.check(err, "TrailNotFoundException: Unknown trail: "+arn+" for the user: 000000000000")
}

func TestLogging(t *testing.T) {
	f := newFixture(t)
	arn := f.trail("first")
	status := func() *api.GetTrailStatusOutput {
		out, err := f.GetTrailStatus(f.ctx(), &api.GetTrailStatusInput{Name: &arn})
		f.check(err, "")
		return out
	}
	if s := status(); *s.IsLogging || s.StartLoggingTime != nil {
		t.Errorf("a new trail: %+v", s)
	}
	_, err := f.StartLogging(f.ctx(), &api.StartLoggingInput{Name: &arn})
	f.check(err, "")
	if s := status(); !*s.IsLogging || !s.StartLoggingTime.Equal(noon) || *s.TimeLoggingStarted != "2026-11-21T12:00:00Z" {
		t.Errorf("started: %+v", s)
	}
	f.at = noon.Add(time.Hour)
	_, err = f.StopLogging(f.ctx(), &api.StopLoggingInput{Name: &arn})
	f.check(err, "")
	if s := status(); *s.IsLogging || *s.TimeLoggingStopped != "2026-11-21T13:00:00Z" {
		t.Errorf("stopped: %+v", s)
	}
	f.record(f.remove(root), nil, nil)
	if len(f.events(Query{})) != 1 {
		t.Error("stopping a trail stopped the recording")
	}
}

func TestTrailErrors(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name string
		in   api.CreateTrailInput
		want string
	}{
		{"short", api.CreateTrailInput{Name: new("ab")}, "InvalidTrailNameException: Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters."},
		{"empty", api.CreateTrailInput{Name: new("")}, "InvalidTrailNameException: Trail name or ARN can not be empty."},
		{"start", api.CreateTrailInput{Name: new("-abc")}, "InvalidTrailNameException: Trail name must starts with a letter or number."},
		{"end", api.CreateTrailInput{Name: new("abc-")}, "InvalidTrailNameException: Trail name must ends with a letter or number."},
		{"character", api.CreateTrailInput{Name: new("a!c")}, "InvalidTrailNameException: Trail name or ARN can only contain uppercase letters, lowercase letters, numbers, periods (.), hyphens (-), and underscores (_)."},
		{"address", api.CreateTrailInput{Name: new("192.168.5.4")}, "InvalidTrailNameException: Trail name cannot be in IP address format."},
		{"bucket", api.CreateTrailInput{Name: new("abc"), S3BucketName: new("No_Bucket")}, "InvalidS3BucketNameException: Bucket name is invalid: No_Bucket"},
		{"combination", api.CreateTrailInput{Name: new("abc"), IsMultiRegionTrail: new(true), IncludeGlobalServiceEvents: new(false)}, "InvalidParameterCombinationException: Multi-Region trail must include global service events."},
		{"tag", api.CreateTrailInput{Name: new("abc"), TagsList: []*api.Tag{{Key: new("aws:x")}}}, "InvalidTagParameterException: Tag keys cannot start with aws:."},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.in.S3BucketName == nil {
				c.in.S3BucketName = new("my-bucket")
			}
			_, err := f.CreateTrail(f.ctx(), &c.in)
			f.t = t
			f.check(err, c.want)
		})
	}
}

func TestTags(t *testing.T) {
	f := newFixture(t)
	arn := f.trail("first")
	_, err := f.AddTags(f.ctx(), &api.AddTagsInput{ResourceID: &arn, TagsList: []*api.Tag{{Key: new("b"), Value: new("2")}, {Key: new("a")}}})
	f.check(err, "")
	_, err = f.RemoveTags(f.ctx(), &api.RemoveTagsInput{ResourceID: &arn, TagsList: []*api.Tag{{Key: new("a")}}})
	f.check(err, "")
	out, err := f.ListTags(f.ctx(), &api.ListTagsInput{ResourceIDList: []string{arn}})
	f.check(err, "")
	if l := out.ResourceTagList; len(l) != 1 || len(l[0].TagsList) != 1 || *l[0].TagsList[0].Key != "b" || *l[0].TagsList[0].Value != "2" {
		t.Errorf("tags %+v", l)
	}
	_, err = f.AddTags(f.ctx(), &api.AddTagsInput{ResourceID: new(arn + "2")})
	f.check(err, "ResourceNotFoundException: Resource not found: "+arn+"2")
	var many []*api.Tag
	for i := range maxTags {
		many = append(many, &api.Tag{Key: new(fmt.Sprint(i))})
	}
	_, err = f.AddTags(f.ctx(), &api.AddTagsInput{ResourceID: &arn, TagsList: many})
	f.check(err, "TagsLimitExceededException: The number of tags per trail has exceeded the limit of 50.")
}

func TestSelectors(t *testing.T) {
	f := newFixture(t)
	arn := f.trail("first")
	out, err := f.GetEventSelectors(f.ctx(), &api.GetEventSelectorsInput{TrailName: &arn})
	f.check(err, "")
	if len(out.EventSelectors) != 1 || *out.EventSelectors[0].ReadWriteType != "All" || !*out.EventSelectors[0].IncludeManagementEvents {
		t.Errorf("selectors of a new trail: %+v", out.EventSelectors)
	}
	put := func(in api.PutEventSelectorsInput) error {
		in.TrailName = &arn
		_, err := f.PutEventSelectors(f.ctx(), &in)
		return err
	}
	field := func(name string, values ...string) *api.AdvancedFieldSelector {
		return &api.AdvancedFieldSelector{Field: &name, Equals: values}
	}
	f.check(put(api.PutEventSelectorsInput{EventSelectors: []*api.EventSelector{{
		DataResources: []*api.DataResource{{Type: new("AWS::Lambda::Function"), Values: []string{"arn:aws:lambda"}}},
	}}}), "")
	f.check(put(api.PutEventSelectorsInput{AdvancedEventSelectors: []*api.AdvancedEventSelector{{
		FieldSelectors: []*api.AdvancedFieldSelector{field("eventCategory", "Data"), field("resources.type", "AWS::Lambda::Function")},
	}}}), "")
	out, err = f.GetEventSelectors(f.ctx(), &api.GetEventSelectorsInput{TrailName: &arn})
	f.check(err, "")
	if len(out.EventSelectors) != 0 || len(out.AdvancedEventSelectors) != 1 {
		t.Errorf("one form does not replace the other: %+v", out)
	}
	for name, in := range map[string]api.PutEventSelectorsInput{
		"nothing":  {},
		"six":      {EventSelectors: []*api.EventSelector{{}, {}, {}, {}, {}, {}}},
		"type":     {EventSelectors: []*api.EventSelector{{DataResources: []*api.DataResource{{Type: new("AWS::X")}}}}},
		"category": {AdvancedEventSelectors: []*api.AdvancedEventSelector{{FieldSelectors: []*api.AdvancedFieldSelector{field("readOnly", "true")}}}},
		"no type":  {AdvancedEventSelectors: []*api.AdvancedEventSelector{{FieldSelectors: []*api.AdvancedFieldSelector{field("eventCategory", "Data")}}}},
		"empty":    {AdvancedEventSelectors: []*api.AdvancedEventSelector{{FieldSelectors: []*api.AdvancedFieldSelector{field("eventCategory")}}}},
	} {
		if err := put(in); !strings.HasPrefix(fmt.Sprint(err), "InvalidEventSelectorsException: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
