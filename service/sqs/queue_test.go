package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	kmsapi "github.com/enfold-run/enfold/api/kms"
	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

func TestCreateQueue(t *testing.T) {
	w := newWorld(t)
	create := func(name string, attributes ...string) error {
		in := &api.CreateQueueInput{QueueName: &name, Attributes: map[string]string{}}
		for i := 0; i < len(attributes); i += 2 {
			in.Attributes[attributes[i]] = attributes[i+1]
		}
		_, err := w.CreateQueue(w.ctx, in)
		return err
	}
	for _, err := range []error{
		create("q", attrVisibility, "5"), create("q"), create("q", attrVisibility, "5"), create("q", attrDelay, "0"),
		create("f.fifo", attrFIFO, "true"), create("f.fifo", attrFIFO, "true", attrContentDedup, "false"), create(strings.Repeat("n", 80)),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	bad := "InvalidParameterValueException: " + standardNames
	for _, test := range []struct {
		err  error
		want string
	}{
		{create("q", attrVisibility, "6"), "QueueNameExists: A queue already exists with the same name and a different value for attribute VisibilityTimeout"},
		{create("f.fifo", attrFIFO, "true", attrContentDedup, "true"), "QueueNameExists: A queue already exists with the same name and a different value for attribute ContentBasedDeduplication"},
		{create(""), bad},
		{create("a b"), bad},
		{create("f.fifo"), bad},
		{create(strings.Repeat("n", 81)), bad},
		{create("x", attrFIFO, "true"), "InvalidParameterValueException: " + fifoNames},
		{create("x", attrFIFO, "false"), "InvalidAttributeName: Unknown Attribute FifoQueue."},
		{create("x", attrContentDedup, "true"), "InvalidAttributeName: Unknown Attribute ContentBasedDeduplication."},
		{create("x", attrDedupScope, "queue"), "InvalidAttributeName: You can specify the DeduplicationScope only when FifoQueue is set to true."},
		{create("x", attrThroughput, "perQueue"), "InvalidAttributeName: You can specify the FifoThroughputLimit only when FifoQueue is set to true."},
		{create("x", attrVisibility, "43201"), "InvalidAttributeValue: Invalid value for the parameter VisibilityTimeout."},
		{create("x", attrMaxSize, "1023"), "InvalidAttributeValue: Invalid value for the parameter MaximumMessageSize."},
		{create("x", attrRetention, "x"), "InvalidAttributeValue: Invalid value for the parameter MessageRetentionPeriod."},
		{create("x", attrPolicy, "{"), "InvalidAttributeValue: Invalid value for the parameter Policy."},
		{create("x", attrVisible, "1"), "InvalidAttributeName: Unknown Attribute ApproximateNumberOfMessages."},
		{create("x", "Nothing", "1"), "InvalidAttributeName: Unknown Attribute Nothing."},
	} {
		wantError(t, test.err, test.want)
	}
	_, err := w.SetQueueAttributes(w.ctx, &api.SetQueueAttributesInput{QueueURL: url("f.fifo"), Attributes: map[string]string{attrFIFO: "false"}})
	wantError(t, err, "InvalidAttributeValue: Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.")
	_, err = w.SetQueueAttributes(w.ctx, &api.SetQueueAttributesInput{QueueURL: url("f.fifo"), Attributes: map[string]string{attrThroughput: perGroup}})
	wantError(t, err, "InvalidAttributeValue: Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup.")
}

func TestAttributesOfQueue(t *testing.T) {
	w := newWorld(t)
	got := w.attributes(w.create("q"))
	for name, want := range map[string]string{
		attrARN: arnOf("q"), attrVisibility: "30", attrMaxSize: "1048576", attrRetention: "345600", attrDelay: "0", attrWait: "0",
		attrVisible: "0", attrInFlight: "0", attrDelayed: "0", attrSSE: "true", attrFIFO: "", attrKMSReuse: "", attrPolicy: "",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if got[attrCreated] == "" || got[attrCreated] != got[attrModified] {
		t.Errorf("created %q, modified %q", got[attrCreated], got[attrModified])
	}
	got = w.attributes(w.create("q.fifo"))
	if got[attrFIFO] != "true" || got[attrContentDedup] != "false" || got[attrDedupScope] != scopeQueue || got[attrThroughput] != perQueue {
		t.Errorf("attributes of a FIFO queue %v", got)
	}
	out, err := w.GetQueueAttributes(w.ctx, &api.GetQueueAttributesInput{QueueURL: url("q"), AttributeNames: []string{attrDelay}})
	if err != nil || len(out.Attributes) != 1 || out.Attributes[attrDelay] != "0" {
		t.Errorf("one attribute: %v, %v", out, err)
	}
	_, err = w.GetQueueAttributes(w.ctx, &api.GetQueueAttributesInput{QueueURL: url("q"), AttributeNames: []string{"X"}})
	wantError(t, err, "InvalidAttributeName: Unknown Attribute X.")
}

func TestDeleteQueue(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	w.sendTo(q, "a")
	if _, err := w.DeleteQueue(w.ctx, &api.DeleteQueueInput{QueueURL: q}); err != nil {
		t.Fatal(err)
	}
	_, err := w.DeleteQueue(w.ctx, &api.DeleteQueueInput{QueueURL: q})
	wantError(t, err, "QueueDoesNotExist: The specified queue does not exist.")
	_, err = w.CreateQueue(w.ctx, &api.CreateQueueInput{QueueName: new("q")})
	wantError(t, err, "QueueDeletedRecently: You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	w.later += deletedFor
	if c := w.counts(w.create("q")); c != "0/0/0" {
		t.Errorf("a queue made anew has %s", c)
	}
}

func TestPurge(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	w.sendTo(q, "a")
	w.sendTo(q, "b")
	w.receive(q, 1)
	purge := func() error {
		_, err := w.PurgeQueue(w.ctx, &api.PurgeQueueInput{QueueURL: q})
		return err
	}
	if err := purge(); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(q); c != "0/0/0" {
		t.Errorf("counts %s", c)
	}
	wantError(t, purge(), "PurgeQueueInProgress: Only one PurgeQueue operation on q is allowed every 60 seconds.")
	w.later += purgeEvery
	if err := purge(); err != nil {
		t.Error(err)
	}
}

func TestListQueues(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.create(fmt.Sprint("a", i))
	}
	w.create("b")
	list := func(in api.ListQueuesInput) *api.ListQueuesOutput {
		out, err := w.ListQueues(w.ctx, &in)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := list(api.ListQueuesInput{}); len(out.QueueURLs) != 6 || out.NextToken != nil {
		t.Errorf("all: %v", out)
	}
	var got []string
	for token, pages := (*string)(nil), 0; pages == 0 || token != nil; pages++ {
		out := list(api.ListQueuesInput{QueueNamePrefix: new("a"), MaxResults: new(2), NextToken: token})
		for _, u := range out.QueueURLs {
			got = append(got, u[len(u)-2:])
		}
		token = out.NextToken
	}
	if strings.Join(got, " ") != "a0 a1 a2 a3 a4" {
		t.Errorf("by pages: %v", got)
	}
	_, err := w.ListQueues(w.ctx, &api.ListQueuesInput{NextToken: new("!")})
	wantError(t, err, "InvalidParameterValueException: Invalid or expired next token.")
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	if _, err := w.TagQueue(w.ctx, &api.TagQueueInput{QueueURL: q, Tags: map[string]string{"a": "1", "b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UntagQueue(w.ctx, &api.UntagQueueInput{QueueURL: q, TagKeys: []string{"a", "none"}}); err != nil {
		t.Fatal(err)
	}
	out, err := w.ListQueueTags(w.ctx, &api.ListQueueTagsInput{QueueURL: q})
	if err != nil || len(out.Tags) != 1 || out.Tags["b"] != "2" {
		t.Errorf("tags %v, %v", out, err)
	}
	if v, ok := w.ConditionValues(w.ctx, nil, arnOf("q"), "aws:resourcetag/b"); !ok || v[0] != "2" {
		t.Errorf("condition value %v", v)
	}
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = ""
	}
	_, err = w.TagQueue(w.ctx, &api.TagQueueInput{QueueURL: q, Tags: many})
	wantError(t, err, "InvalidParameterValueException: Too many tags added for queue q.")
	_, err = w.TagQueue(w.ctx, &api.TagQueueInput{QueueURL: q, Tags: map[string]string{"aws:x": "1"}})
	wantError(t, err, "InvalidParameterValueException: Tag keys that begin with aws: are reserved.")
}

// allowed says whether the queue's policy lets a root user of another account carry an op out.
func (w *world) allowed(op *aws.Op, other string) bool {
	w.t.Helper()
	call := &aws.Call{Op: op, Principal: aws.RootOf(other, ""), Account: other, Region: region}
	g, err := w.ResourceGrants(w.ctx, call, arnOf("q"))
	if err != nil {
		w.t.Fatal(err)
	}
	identity, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), policy.KindIdentity)
	if err != nil {
		w.t.Fatal(err)
	}
	return policy.Evaluate(&policy.Request{Principal: call.Principal, Action: op.Action, Resource: arnOf("q"), ResourceAccount: account, Keys: noKeys{}},
		&policy.Grants{Identity: []policy.Named{{Name: "all", Policy: identity}}}, g).Allowed
}

type noKeys struct{}

func (noKeys) Values(string) ([]string, bool) { return nil, false }

func TestPermissions(t *testing.T) {
	w := newWorld(t)
	q := w.create("q")
	const other = "444455556666"
	add := func(label string, actions ...string) error {
		_, err := w.AddPermission(w.ctx, &api.AddPermissionInput{QueueURL: q, Label: &label, AWSAccountIDs: []string{other}, Actions: actions})
		return err
	}
	if w.allowed(api.OpSendMessage, other) {
		t.Error("allowed without a policy")
	}
	if err := add("one", "SendMessage"); err != nil {
		t.Fatal(err)
	}
	if err := add("two", "*"); err != nil {
		t.Fatal(err)
	}
	if !w.allowed(api.OpSendMessage, other) || !w.allowed(api.OpReceiveMessage, other) || w.allowed(api.OpSendMessage, "777788889999") {
		t.Error("the policy does not allow what was added")
	}
	for _, op := range []*aws.Op{api.OpDeleteQueue, api.OpSetQueueAttributes, api.OpAddPermission, api.OpTagQueue, api.OpStartMessageMoveTask} {
		if w.allowed(op, other) {
			t.Errorf("%s is allowed to another account", op.Name)
		}
	}
	wantError(t, add("one", "SendMessage"), "InvalidParameterValueException: Value one for parameter Label is invalid. Reason: Already exists.")
	wantError(t, add("x", "Fly"), "InvalidParameterValueException: Value SQS:Fly for parameter ActionName is invalid. Reason: Please refer to the appropriate WSDL for a list of valid actions. ")
	for _, label := range []string{"one", "two"} {
		if _, err := w.RemovePermission(w.ctx, &api.RemovePermissionInput{QueueURL: q, Label: &label}); err != nil {
			t.Error(err)
		}
	}
	_, err := w.RemovePermission(w.ctx, &api.RemovePermissionInput{QueueURL: q, Label: new("two")})
	wantError(t, err, "InvalidParameterValueException: Value two for parameter Label is invalid. Reason: can't find label.")
	if p := w.attributes(q)[attrPolicy]; p != "" || w.allowed(api.OpSendMessage, other) {
		t.Errorf("policy %q is left", p)
	}
	// A policy with a single statement keeps it.
	single := `{"Version":"2012-10-17","Id":"i","Statement":{"Sid":"s","Effect":"Deny","Principal":"*","Action":"sqs:PurgeQueue","Resource":"*"}}`
	if _, err := w.SetQueueAttributes(w.ctx, &api.SetQueueAttributesInput{QueueURL: q, Attributes: map[string]string{attrPolicy: single}}); err != nil {
		t.Fatal(err)
	}
	if err := add("one", "SendMessage"); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Statement []struct{ Sid, Effect string }
	}
	if err := json.Unmarshal([]byte(w.attributes(q)[attrPolicy]), &doc); err != nil || len(doc.Statement) != 2 || doc.Statement[0].Effect != "Deny" {
		t.Errorf("policy %+v, %v", doc, err)
	}
}

// fakeKMS gives out data keys under the caller's name, and refuses when it is told to.
type fakeKMS struct {
	kmsapi.API
	calls  int
	refuse error
	keys   map[string][]byte
}

func (k *fakeKMS) GenerateDataKey(ctx context.Context, in *kmsapi.GenerateDataKeyInput) (*kmsapi.GenerateDataKeyOutput, error) {
	if k.calls++; k.refuse != nil {
		return nil, k.refuse
	}
	if call := aws.CallFrom(ctx); len(call.Via) != 1 || call.Via[0] != "sqs.amazonaws.com" {
		return nil, fmt.Errorf("called via %v", call.Via)
	}
	blob := fmt.Sprint(len(k.keys), in.EncryptionContext)
	k.keys[blob] = []byte(fmt.Sprintf("%032d", len(k.keys)))
	return &kmsapi.GenerateDataKeyOutput{Plaintext: []byte(string(k.keys[blob])), CiphertextBlob: []byte(blob)}, nil
}

func (k *fakeKMS) Decrypt(_ context.Context, in *kmsapi.DecryptInput) (*kmsapi.DecryptOutput, error) {
	if k.calls++; k.refuse != nil {
		return nil, k.refuse
	}
	if !strings.HasSuffix(string(in.CiphertextBlob), fmt.Sprint(in.EncryptionContext)) {
		return nil, fmt.Errorf("another encryption context: %v", in.EncryptionContext)
	}
	return &kmsapi.DecryptOutput{Plaintext: []byte(string(k.keys[string(in.CiphertextBlob)]))}, nil
}

func TestKMS(t *testing.T) {
	w := newWorld(t)
	k := &fakeKMS{keys: map[string][]byte{}}
	w.kms = k
	dead := w.create("dead")
	q := w.create("q", attrKMSKey, "alias/x", attrKMSReuse, "60", attrVisibility, "0", attrRedrive, redriveTo("dead", 2))
	for range 3 {
		w.sendTo(q, "secret")
	}
	if k.calls != 1 {
		t.Errorf("%d calls for three messages: the data key is not used again", k.calls)
	}
	if got := w.receive(q, 10); bodies(got) != "secret secret secret" || k.calls != 2 {
		t.Errorf("received %q with %d calls", bodies(got), k.calls)
	}
	w.later += 61 * time.Second
	k.refuse = aws.ErrAccessDenied.New("no")
	_, err := w.ReceiveMessage(w.ctx, &api.ReceiveMessageInput{QueueURL: q})
	wantError(t, err, "KmsAccessDenied: no")
	if c := w.counts(q); c != "3/0/0" {
		t.Errorf("counts %s after a receive that was refused", c)
	}
	k.refuse = kmsapi.ErrDisabled.New("off")
	_, err = w.SendMessage(w.ctx, &api.SendMessageInput{QueueURL: q, MessageBody: new("x")})
	wantError(t, err, "KmsDisabled: off")
	k.refuse = nil
	w.receive(q, 10)
	if got := w.receive(q, 10); len(got) != 0 {
		t.Errorf("received %q more than twice", bodies(got))
	}
	if got := w.receive(dead, 10); bodies(got) != "secret secret secret" { // sealed with the key of the queue they came from
		t.Errorf("dead letters %q", bodies(got))
	}
}
