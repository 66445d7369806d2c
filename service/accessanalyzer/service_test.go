package accessanalyzer

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	api "github.com/enfold-run/enfold/api/accessanalyzer"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTrail yields events when it is let go.
type fakeTrail struct {
	events []Event
	err    error
	mu     sync.Mutex
	asked  Query
	hold   chan struct{} // nil: at once
}

func (f *fakeTrail) Events(ctx context.Context, q Query) iter.Seq2[Event, error] {
	f.mu.Lock()
	f.asked = q
	f.mu.Unlock()
	return func(yield func(Event, error) bool) {
		if f.hold != nil {
			select {
			case <-f.hold:
			case <-ctx.Done():
				yield(Event{}, ctx.Err())
				return
			}
		}
		for _, e := range f.events {
			if !yield(e, nil) {
				return
			}
		}
		if f.err != nil {
			yield(Event{}, f.err)
		}
	}
}

const roleARN = "arn:aws:iam::" + account + ":role/app/r"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newService(t *testing.T, trail *fakeTrail) (*Service, context.Context) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Deps{Store: db, Trail: trail, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, callIn(t.Context(), account)
}

func callIn(ctx context.Context, acct string) context.Context {
	return aws.WithCall(ctx, &aws.Call{Account: acct, Region: "us-east-1", Principal: aws.RootOf(acct, "AKIA")})
}

func start(t *testing.T, s *Service, ctx context.Context, token string) string {
	t.Helper()
	in := &api.StartPolicyGenerationInput{PolicyGenerationDetails: &api.PolicyGenerationDetails{PrincipalArn: new(roleARN)}}
	if token != "" {
		in.ClientToken = &token
	}
	out, err := s.StartPolicyGeneration(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	return *out.JobID
}

// over waits for a job and answers it.
func over(t *testing.T, s *Service, ctx context.Context, id string) *api.GetGeneratedPolicyOutput {
	t.Helper()
	for range 500 {
		out, err := s.GetGeneratedPolicy(ctx, &api.GetGeneratedPolicyInput{JobID: &id})
		if err != nil {
			t.Fatal(err)
		}
		if *out.JobDetails.Status != api.JobStatusInProgress {
			return out
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the job does not end")
	return nil
}

func code(err error) string {
	var e *aws.Error
	if errors.As(err, &e) {
		return e.Type.Code
	}
	return ""
}

func TestGeneration(t *testing.T) {
	trail := &fakeTrail{events: []Event{did("lambda.amazonaws.com", "lambda:GetFunction", arnOf("f"))}}
	s, ctx := newService(t, trail)
	id := start(t, s, ctx, "")
	out := over(t, s, ctx, id)
	if *out.JobDetails.Status != api.JobStatusSucceeded || len(out.GeneratedPolicyResult.GeneratedPolicies) != 1 ||
		!strings.Contains(*out.GeneratedPolicyResult.GeneratedPolicies[0].Policy, arnOf("f")) {
		t.Errorf("the job is %s: %+v", *out.JobDetails.Status, out.GeneratedPolicyResult)
	}
	trail.mu.Lock()
	defer trail.mu.Unlock()
	if trail.asked != (Query{Account: account, Principal: roleARN, From: noon.Add(-historyStart), To: noon}) {
		t.Errorf("the trail was asked for %+v", trail.asked)
	}
	list, err := s.ListPolicyGenerations(ctx, &api.ListPolicyGenerationsInput{})
	if err != nil || len(list.PolicyGenerations) != 1 || *list.PolicyGenerations[0].JobID != id {
		t.Errorf("the list is %+v, %v", list, err)
	}
	other := callIn(t.Context(), "444455556666")
	if _, err := s.GetGeneratedPolicy(other, &api.GetGeneratedPolicyInput{JobID: &id}); code(err) != "ValidationException" {
		t.Errorf("another account reads the job: %v", err)
	}
	if _, err := s.StartPolicyGeneration(other, &api.StartPolicyGenerationInput{
		PolicyGenerationDetails: &api.PolicyGenerationDetails{PrincipalArn: new(roleARN)},
	}); code(err) != "ValidationException" {
		t.Errorf("another account analyzes the role: %v", err)
	}
}

func TestGenerationOfRegions(t *testing.T) {
	far := did("lambda.amazonaws.com", "lambda:DeleteFunction", arnOf("f"))
	far.Region = "eu-west-1"
	s, ctx := newService(t, &fakeTrail{events: []Event{far, did("lambda.amazonaws.com", "lambda:GetFunction", arnOf("f"))}})
	out, err := s.StartPolicyGeneration(ctx, &api.StartPolicyGenerationInput{
		PolicyGenerationDetails: &api.PolicyGenerationDetails{PrincipalArn: new(roleARN)},
		CloudTrailDetails: &api.CloudTrailDetails{
			AccessRole: new(roleARN), StartTime: new(noon.Add(-time.Hour)),
			Trails: []*api.Trail{{CloudTrailArn: new("arn:aws:cloudtrail:us-east-1:" + account + ":trail/t")}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := over(t, s, ctx, *out.JobID).GeneratedPolicyResult.GeneratedPolicies
	if len(got) != 1 || strings.Contains(*got[0].Policy, "Delete") || !strings.Contains(*got[0].Policy, "GetFunction") {
		t.Errorf("the policy has what was done in another region: %v", got)
	}
}

func TestGenerationFails(t *testing.T) {
	s, ctx := newService(t, &fakeTrail{err: errors.New("disk on fire")})
	out := over(t, s, ctx, start(t, s, ctx, ""))
	if *out.JobDetails.Status != api.JobStatusFailed || *out.JobDetails.JobError.Code != api.JobErrorCodeServiceError ||
		strings.Contains(*out.JobDetails.JobError.Message, "fire") {
		t.Errorf("the job is %+v", out.JobDetails)
	}
}

func TestGenerationIsCancelledAndRepeated(t *testing.T) {
	trail := &fakeTrail{hold: make(chan struct{})}
	s, ctx := newService(t, trail)
	id := start(t, s, ctx, "token")
	if again := start(t, s, ctx, "token"); again != id {
		t.Errorf("the same token is job %s, then %s", id, again)
	}
	_, err := s.StartPolicyGeneration(ctx, &api.StartPolicyGenerationInput{
		PolicyGenerationDetails: &api.PolicyGenerationDetails{PrincipalArn: new(roleARN + "2")}, ClientToken: new("token"),
	})
	if code(err) != "ConflictException" {
		t.Errorf("the token with another role: %v", err)
	}
	for range maxRunning - 1 {
		start(t, s, ctx, "")
	}
	_, err = s.StartPolicyGeneration(ctx, &api.StartPolicyGenerationInput{PolicyGenerationDetails: &api.PolicyGenerationDetails{PrincipalArn: new(roleARN)}})
	if code(err) != "ServiceQuotaExceededException" {
		t.Errorf("one job too many: %v", err)
	}
	if _, err := s.CancelPolicyGeneration(ctx, &api.CancelPolicyGenerationInput{JobID: &id}); err != nil {
		t.Fatal(err)
	}
	if out := over(t, s, ctx, id); *out.JobDetails.Status != api.JobStatusCanceled {
		t.Errorf("a cancelled job is %s", *out.JobDetails.Status)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out := over(t, s, ctx, id); *out.JobDetails.Status != api.JobStatusCanceled {
		t.Errorf("a cancelled job becomes %s", *out.JobDetails.Status)
	}
	list, err := s.ListPolicyGenerations(ctx, &api.ListPolicyGenerationsInput{MaxResults: new(2)})
	if err != nil || len(list.PolicyGenerations) != 2 || list.NextToken == nil {
		t.Fatalf("a page is %+v, %v", list, err)
	}
	rest, err := s.ListPolicyGenerations(ctx, &api.ListPolicyGenerationsInput{NextToken: list.NextToken})
	if err != nil || len(rest.PolicyGenerations) != maxRunning-2 || rest.NextToken != nil {
		t.Errorf("the rest is %+v, %v", rest, err)
	}
	for _, g := range append(list.PolicyGenerations, rest.PolicyGenerations...) {
		if *g.JobID != id && *g.Status != api.JobStatusFailed {
			t.Errorf("a job that the end of the server cut off is %s", *g.Status)
		}
	}
	if _, err := s.StartPolicyGeneration(ctx, &api.StartPolicyGenerationInput{
		PolicyGenerationDetails: &api.PolicyGenerationDetails{PrincipalArn: new(roleARN)},
	}); err == nil {
		t.Error("a job starts after Close")
	}
}

func TestChecksOfAPI(t *testing.T) {
	s, ctx := newService(t, &fakeTrail{})
	open := doc(`{"Sid":"All","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*"}`)
	public, err := s.CheckNoPublicAccess(ctx, &api.CheckNoPublicAccessInput{PolicyDocument: &open, ResourceType: new("AWS::Lambda::Function")})
	if err != nil || *public.Result != "FAIL" || len(public.Reasons) != 1 || *public.Reasons[0].StatementID != "All" {
		t.Errorf("an open policy: %+v, %v", public, err)
	}
	mine := doc(`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"lambda:InvokeFunction","Resource":"*"}`)
	public, err = s.CheckNoPublicAccess(ctx, &api.CheckNoPublicAccessInput{PolicyDocument: &mine, ResourceType: new("AWS::Lambda::Function")})
	if err != nil || *public.Result != "PASS" || public.Reasons != nil {
		t.Errorf("a policy of one account: %+v, %v", public, err)
	}
	granted, err := s.CheckAccessNotGranted(ctx, &api.CheckAccessNotGrantedInput{
		PolicyDocument: &mine, PolicyType: new("RESOURCE_POLICY"),
		Access: []*api.Access{{Actions: []string{"lambda:DeleteFunction"}}},
	})
	if err != nil || *granted.Result != "PASS" {
		t.Errorf("access that is not granted: %+v, %v", granted, err)
	}
	found, err := s.ValidatePolicy(ctx, &api.ValidatePolicyInput{PolicyDocument: &open, PolicyType: new("RESOURCE_POLICY")})
	if err != nil || len(found.Findings) != 1 || *found.Findings[0].IssueCode != "PUBLIC_PRINCIPAL" {
		t.Fatalf("findings are %+v, %v", found, err)
	}
	span := found.Findings[0].Locations[0].Span
	if got := open[*span.Start.Offset:*span.End.Offset]; got != `"*"` {
		t.Errorf("the finding is about %s", got)
	}
	long := strings.Repeat(" ", maxCheckedText+1)
	if _, err := s.ValidatePolicy(ctx, &api.ValidatePolicyInput{PolicyDocument: &long, PolicyType: new("RESOURCE_POLICY")}); code(err) != "ValidationException" {
		t.Errorf("a policy that is too long: %v", err)
	}
}
