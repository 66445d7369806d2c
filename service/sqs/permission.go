package sqs

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/store"
)

const (
	maxLabel     = 80
	maxGrantees  = 50
	maxGranted   = 7 // actions of one AddPermission
	defaultSuffx = "/SQSDefaultPolicy"
)

// grantable are the actions that AddPermission knows.
var grantable = []string{
	"*", "ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",
	"ReceiveMessage", "SendMessage",
}

// policyText is a queue policy whose statements are kept as they are.
type policyText struct {
	Version   string            `json:"Version,omitempty"`
	ID        string            `json:"Id,omitempty"`
	Statement []json.RawMessage `json:"Statement"`
}

func (q *queue) policyText() (*policyText, error) {
	p := &policyText{Version: "2008-10-17", ID: q.arn() + defaultSuffx}
	text := q.row.Attributes[attrPolicy]
	if text == "" {
		return p, nil
	}
	var one struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(text), &one); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(one.Statement), "[") { // a single one may stand by itself
		var head struct{ Version, ID string }
		err := json.Unmarshal([]byte(text), &head)
		return &policyText{head.Version, head.ID, []json.RawMessage{one.Statement}}, err
	}
	p = &policyText{}
	return p, json.Unmarshal([]byte(text), p)
}

// find is the place of the statement of a label, -1 if there is none.
func (p *policyText) find(label string) int {
	return slices.IndexFunc(p.Statement, func(raw json.RawMessage) bool {
		var st struct{ Sid string }
		return json.Unmarshal(raw, &st) == nil && st.Sid == label
	})
}

func (q *queue) setPolicy(p *policyText) error {
	if len(p.Statement) == 0 {
		delete(q.row.Attributes, attrPolicy)
		return nil
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if len(b) > maxPolicy {
		return api.ErrOverLimit.Withf("The queue's policy has more than %d bytes.", maxPolicy)
	}
	q.row.Attributes[attrPolicy] = string(b)
	return nil
}

// AddPermission adds a statement to the queue's policy that lets accounts do something.
func (s *Service) AddPermission(ctx context.Context, in *api.AddPermissionInput) (*api.AddPermissionOutput, error) {
	if err := checkGrant(in); err != nil {
		return nil, err
	}
	err := s.change(ctx, in.QueueURL, func(_ store.Tx, q *queue) error {
		p, err := q.policyText()
		if err != nil {
			return err
		}
		if p.find(*in.Label) >= 0 {
			return wrong(*in.Label, "Label", "Already exists.")
		}
		raw, err := grantOf(in, q.arn())
		if err != nil {
			return err
		}
		p.Statement = append(p.Statement, raw)
		q.row.Modified = s.now()
		return q.setPolicy(p)
	})
	return &api.AddPermissionOutput{}, err
}

func checkGrant(in *api.AddPermissionInput) error {
	label := *in.Label
	if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return wrong(clip(label), "Label", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
	}
	if len(in.AWSAccountIDs) == 0 {
		return missing("PrincipalId")
	}
	if len(in.Actions) == 0 {
		return missing("Actions")
	}
	if len(in.AWSAccountIDs) > maxGrantees || len(in.Actions) > maxGranted {
		return api.ErrOverLimit.Withf("%d Actions were found, maximum allowed is %d.", len(in.Actions), maxGranted)
	}
	for _, a := range in.Actions {
		if !slices.Contains(grantable, a) {
			return wrong("SQS:"+clip(a), "ActionName", "Please refer to the appropriate WSDL for a list of valid actions. ")
		}
	}
	for _, id := range in.AWSAccountIDs {
		if len(id) != 12 || strings.Trim(id, "0123456789") != "" {
			return wrong(clip(id), "PrincipalId", "Unable to verify.")
		}
	}
	return nil
}

// grantOf is the statement of an AddPermission.
func grantOf(in *api.AddPermissionInput, arn string) (json.RawMessage, error) {
	oneOrMore := func(all []string) any {
		if len(all) == 1 {
			return all[0]
		}
		return all
	}
	var who, what []string
	for _, id := range in.AWSAccountIDs {
		who = append(who, "arn:aws:iam::"+id+":root")
	}
	for _, a := range in.Actions {
		what = append(what, "SQS:"+a)
	}
	return json.Marshal(struct {
		Sid, Effect string
		Principal   map[string]any
		Action      any
		Resource    string
	}{*in.Label, "Allow", map[string]any{"AWS": oneOrMore(who)}, oneOrMore(what), arn})
}

// RemovePermission removes the statement of a label.
func (s *Service) RemovePermission(ctx context.Context, in *api.RemovePermissionInput) (*api.RemovePermissionOutput, error) {
	err := s.change(ctx, in.QueueURL, func(_ store.Tx, q *queue) error {
		p, err := q.policyText()
		if err != nil {
			return err
		}
		i := p.find(*in.Label)
		if i < 0 {
			return wrong(clip(*in.Label), "Label", "can't find label.")
		}
		p.Statement = slices.Delete(p.Statement, i, i+1)
		q.row.Modified = s.now()
		return q.setPolicy(p)
	})
	return &api.RemovePermissionOutput{}, err
}
