package sns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

func TestCreateTopic(t *testing.T) {
	w := newWorld(t)
	w.topic("t", map[string]string{"DisplayName": "T"})
	w.topic("t", nil)
	w.topic("t", map[string]string{"DisplayName": "T"})
	w.topic("f.fifo", map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	for _, c := range []struct {
		name       string
		attributes map[string]string
		tags       []*api.Tag
		want       string
	}{
		{"t", map[string]string{"DisplayName": "U"}, nil, "InvalidParameter: Invalid parameter: Attributes Reason: Topic already exists with different attributes"},
		{"t", nil, []*api.Tag{{Key: new("a"), Value: new("b")}}, "InvalidParameter: Invalid parameter: Tags Reason: Topic already exists with different tags"},
		{"u", nil, []*api.Tag{{Key: new("a"), Value: new("b")}, {Key: new("a"), Value: new("c")}}, "InvalidParameter: Invalid parameter: Duplicated keys are not allowed."},
		{"", nil, nil, "InvalidParameter: Invalid parameter: Topic Name"},
		{"a b", nil, nil, "InvalidParameter: Invalid parameter: Topic Name"},
		{"f.fifo", nil, nil, "InvalidParameter: Invalid parameter: Topic Name"},
		{strings.Repeat("x", 257), nil, nil, "InvalidParameter: Invalid parameter: Topic Name"},
		{"u", map[string]string{"Nonsense": "x"}, nil, "InvalidParameter: Invalid parameter: Attributes Reason: Unknown attribute Nonsense"},
		{"u", map[string]string{"SignatureVersion": "3"}, nil, "InvalidParameter: Invalid parameter: Attributes Reason: SignatureVersion: Invalid value [3]. Must be 1 or 2."},
	} {
		_, err := w.CreateTopic(w.ctx, &api.CreateTopicInput{Name: &c.name, Attributes: c.attributes, Tags: c.tags})
		refusal(t, err, c.want)
	}
	if _, err := w.CreateTopic(w.ctx, &api.CreateTopicInput{Name: new("g"), Attributes: map[string]string{"FifoTopic": "true"}}); err == nil ||
		!strings.Contains(err.Error(), "Fifo Topic names must end with .fifo") {
		t.Errorf("a FIFO topic without its suffix: %v", err)
	}
}

func TestTopicAttributes(t *testing.T) {
	w := newWorld(t)
	arn := w.topic("t", map[string]string{"SignatureVersion": "2"})
	get := func() map[string]string {
		return must(w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: &arn}))(t).Attributes
	}
	set := func(name, v string) error {
		_, err := w.SetTopicAttributes(w.ctx, &api.SetTopicAttributesInput{TopicArn: &arn, AttributeName: &name, AttributeValue: &v})
		return err
	}
	const effective = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,` +
		`"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,` +
		`"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`
	a := get()
	for name, want := range map[string]string{
		"TopicArn": arn, "Owner": account, "DisplayName": "", "SignatureVersion": "2", "SubscriptionsConfirmed": "0", "EffectiveDeliveryPolicy": effective,
		"FifoTopic": "", "DeliveryPolicy": "",
	} {
		if a[name] != want {
			t.Errorf("%s is %q, want %q", name, a[name], want)
		}
	}
	if p, err := policy.Parse([]byte(a["Policy"]), policy.KindResource); err != nil || len(p.Statements()) != 1 {
		t.Errorf("the default policy: %v", err)
	}
	for name, v := range map[string]string{
		"DisplayName": "hello", "HTTPSuccessFeedbackRoleArn": "arn:aws:iam::111122223333:role/r", "LambdaSuccessFeedbackSampleRate": "50", "TracingConfig": "Active",
		"DeliveryPolicy": `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1}}}`,
	} {
		if err := set(name, v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	a = get()
	if want := `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1},"disableSubscriptionOverrides":false}}`; a["DeliveryPolicy"] != want ||
		a["LambdaSuccessFeedbackSampleRate"] != "50" || !strings.Contains(a["EffectiveDeliveryPolicy"], `"minDelayTarget":5,"maxDelayTarget":6,"numRetries":1,"numMaxDelayRetries":0`) {
		t.Errorf("attributes %v", a)
	}
	for name, v := range map[string]string{
		"Nonsense": "x", "FifoTopic": "true", "ContentBasedDeduplication": "true", "Policy": "{}", "DeliveryPolicy": "[]", "TracingConfig": "x",
		"SQSSuccessFeedbackSampleRate": "101", "ArchivePolicy": `{"MessageRetentionPeriod":"30"}`, "DisplayName": strings.Repeat("x", 101),
	} {
		if err := set(name, v); err == nil {
			t.Errorf("%s = %s is taken", name, v)
		}
	}
	refusal(t, set("Nonsense", "x"), "InvalidParameter: Invalid parameter: AttributeName")
	_, err := w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: new(arn + "x")})
	refusal(t, err, "NotFound: Topic does not exist")
	_, err = w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: new("t")})
	refusal(t, err, "InvalidParameter: Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1")
	_, err = w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: new(strings.Replace(arn, region, "eu-west-1", 1))})
	refusal(t, err, "InvalidParameter: Invalid parameter: TopicArn")
}

func TestListAndDeleteTopics(t *testing.T) {
	w := newWorld(t)
	want := map[string]bool{}
	for i := range 205 {
		want[w.topic(fmt.Sprintf("t%d", i), nil)] = true
	}
	var sizes []int
	for token, more := (*string)(nil), true; more; {
		out := must(w.ListTopics(w.ctx, &api.ListTopicsInput{NextToken: token}))(t)
		for _, x := range out.Topics {
			delete(want, *x.TopicArn)
		}
		sizes = append(sizes, len(out.Topics))
		token, more = out.NextToken, out.NextToken != nil
	}
	if fmt.Sprint(sizes) != "[100 100 5]" || len(want) > 0 {
		t.Errorf("pages of %v, %d topics missing", sizes, len(want))
	}
	_, err := w.ListTopics(w.ctx, &api.ListTopicsInput{NextToken: new("!")})
	refusal(t, err, "InvalidParameter: Invalid parameter: NextToken")

	arn := w.topic("t0", nil)
	for i := range deletePiece + 5 {
		w.subscribe(arn, "sqs", fmt.Sprintf("%s%d", queue, i), nil)
	}
	for range 2 {
		must(w.DeleteTopic(w.ctx, &api.DeleteTopicInput{TopicArn: &arn}))(t)
	}
	_, err = w.ListSubscriptionsByTopic(w.ctx, &api.ListSubscriptionsByTopicInput{TopicArn: &arn})
	refusal(t, err, "NotFound: Topic does not exist")
	if out := must(w.ListSubscriptions(w.ctx, &api.ListSubscriptionsInput{}))(t); len(out.Subscriptions) != 0 {
		t.Errorf("%d subscriptions are left", len(out.Subscriptions))
	}
	w.topic("t0", nil)
	if out := must(w.ListSubscriptionsByTopic(w.ctx, &api.ListSubscriptionsByTopicInput{TopicArn: &arn}))(t); len(out.Subscriptions) != 0 {
		t.Errorf("a new topic has %d subscriptions of the old one", len(out.Subscriptions))
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	arn := w.topic("t", nil)
	tag := func(k, v string) *api.Tag { return &api.Tag{Key: &k, Value: &v} }
	must(w.TagResource(w.ctx, &api.TagResourceInput{ResourceArn: &arn, Tags: []*api.Tag{tag("a", "1"), tag("b", "2")}}))(t)
	must(w.TagResource(w.ctx, &api.TagResourceInput{ResourceArn: &arn, Tags: []*api.Tag{tag("b", "3")}}))(t)
	must(w.UntagResource(w.ctx, &api.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"a", "c"}}))(t)
	if out := must(w.ListTagsForResource(w.ctx, &api.ListTagsForResourceInput{ResourceArn: &arn}))(t); len(out.Tags) != 1 || *out.Tags[0].Value != "3" {
		t.Errorf("tags %v", out.Tags)
	}
	if v, ok := w.ConditionValues(w.ctx, aws.CallFrom(w.ctx), arn, "aws:resourcetag/B"); !ok || v[0] != "3" {
		t.Errorf("the condition key is %v", v)
	}
	var many []*api.Tag
	for i := range maxTags {
		many = append(many, tag(fmt.Sprint("k", i), ""))
	}
	_, err := w.TagResource(w.ctx, &api.TagResourceInput{ResourceArn: &arn, Tags: many})
	refusal(t, err, "TagLimitExceeded: Could not complete request: tag quota of per resource exceeded")
	_, err = w.ListTagsForResource(w.ctx, &api.ListTagsForResourceInput{ResourceArn: new(arn + "x")})
	refusal(t, err, "ResourceNotFound: Resource does not exist")
}

func TestPermissions(t *testing.T) {
	w := newWorld(t)
	arn := w.topic("t", nil)
	allowed := func(p *aws.Principal, action string) bool {
		t.Helper()
		g := must(w.ResourceGrants(w.ctx, nil, arn))(t)
		if g == nil {
			return false
		}
		call := &aws.Call{Principal: p, Account: account, SourceAccount: p.Account}
		return policy.Evaluate(&policy.Request{
			Principal: p, Action: action, Resource: arn, ResourceAccount: account, Keys: keys{w, call, arn},
		}, &policy.Grants{}, g).Allowed
	}
	stranger := aws.RootOf(other, "")
	add := func(label string, action string) error {
		_, err := w.AddPermission(w.ctx, &api.AddPermissionInput{TopicArn: &arn, Label: &label, AWSAccountID: []string{other}, ActionName: []string{action}})
		return err
	}
	if allowed(&aws.Principal{Type: aws.User, Account: account, Arn: "arn:aws:iam::111122223333:user/u", ID: "AIDA"}, "sns:Publish") {
		t.Error("the default policy lets every user of the account publish")
	}
	if err := add("l", "Subscribe"); err != nil {
		t.Fatal(err)
	}
	before, ok := policy.Evaluate(&policy.Request{
		Principal: stranger, Action: "sns:Subscribe", Resource: arn, ResourceAccount: account,
	}, &policy.Grants{Identity: []policy.Named{{Policy: must(policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), policy.KindIdentity))(t)}}},
		must(w.ResourceGrants(w.ctx, nil, arn))(t)), true
	if !before.Allowed || !ok {
		t.Errorf("the other account may not subscribe: %+v", before)
	}
	refusal(t, add("l", "Publish"), "InvalidParameter: Invalid parameter: Statement already exists")
	refusal(t, add("m", "Fly"), "InvalidParameter: Invalid parameter: Policy statement action out of service scope!")
	var p struct{ Statement []json.RawMessage }
	text := must(w.GetTopicAttributes(w.ctx, &api.GetTopicAttributesInput{TopicArn: &arn}))(t).Attributes["Policy"]
	if err := json.Unmarshal([]byte(text), &p); err != nil || len(p.Statement) != 2 ||
		string(p.Statement[1]) != `{"Sid":"l","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"SNS:Subscribe","Resource":"`+arn+`"}` {
		t.Errorf("the policy is %s", text)
	}
	for _, label := range []string{"l", "__default_statement_ID"} {
		must(w.RemovePermission(w.ctx, &api.RemovePermissionInput{TopicArn: &arn, Label: &label}))(t)
	}
	if allowed(stranger, "sns:Subscribe") {
		t.Error("a policy without statements allows something")
	}
	_, err := w.RemovePermission(w.ctx, &api.RemovePermissionInput{TopicArn: &arn, Label: new("l")})
	refusal(t, err, "NotFound: Statement does not exist")
	if err := add("again", "Publish"); err != nil {
		t.Error(err)
	}
	if g, err := w.ResourceGrants(w.ctx, nil, arn+"x"); g != nil || err != nil {
		t.Errorf("the policy of no topic: %v, %v", g, err)
	}
}

// keys are the condition keys of a call.
type keys struct {
	w    *world
	call *aws.Call
	arn  string
}

func (k keys) Values(key string) ([]string, bool) {
	return k.w.ConditionValues(k.w.ctx, k.call, k.arn, key)
}
