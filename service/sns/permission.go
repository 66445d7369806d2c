package sns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// maxPolicy bounds the policy of a topic, in bytes.
const maxPolicy = 30 << 10

// defaultPolicy is that of a topic without one of its own: its account may do everything.
func defaultPolicy(arn aws.ARN) string {
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission",` +
		`"SNS:RemovePermission","SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],` +
		`"Resource":"` + arn.String() + `","Condition":{"StringEquals":{"AWS:SourceOwner":"` + arn.Account + `"}}}]}`
}

// policy is the text of the topic's policy.
func (t *topic) policy() string {
	if own := t.attribute("Policy"); own != "" {
		return own
	}
	return defaultPolicy(t.arn)
}

// checkPolicy refuses what is no policy of a topic.
func checkPolicy(text, where string) error {
	if len(text) > maxPolicy {
		return invalid("%sPolicy Error: the policy is too long", where)
	}
	if _, err := policy.Parse([]byte(text), policy.KindResource); err != nil {
		return invalid("%sPolicy Error: %s", where, err)
	}
	return nil
}

// checkPrincipals refuses a policy that names a user or role who is not there.
func (s *Service) checkPrincipals(ctx context.Context, text, where string) error {
	p, err := policy.Parse([]byte(text), policy.KindResource)
	if s.deps.PrincipalsExist == nil || err != nil { // there is none, or it is refused for what it is
		return nil
	}
	if ok, err := s.deps.PrincipalsExist(ctx, p.AWSPrincipals()); ok || err != nil {
		return err
	}
	return invalid("%sPolicy Error: PrincipalNotFound", where)
}

// policyText is a policy as it is edited here.
type policyText struct {
	Version   string `json:",omitempty"`
	ID        string `json:"Id,omitempty"`
	Statement []json.RawMessage
}

// statement is what AddPermission adds.
type statement struct {
	Sid       string
	Effect    string
	Principal map[string]any
	Action    any
	Resource  string
}

func readPolicyText(text string) (p policyText, err error) {
	var one struct{ Statement json.RawMessage }
	if err = json.Unmarshal([]byte(text), &one); err != nil {
		return p, fmt.Errorf("read policy of a topic: %w", err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(one.Statement), []byte("{")) { // a single statement need not be in a list
		var head struct{ Version, ID string }
		if err = json.Unmarshal([]byte(text), &head); err != nil {
			return p, fmt.Errorf("read policy of a topic: %w", err)
		}
		return policyText{head.Version, head.ID, []json.RawMessage{one.Statement}}, nil
	}
	if err = json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("read policy of a topic: %w", err)
	}
	return p, nil
}

// sid is the name of a statement.
func sid(raw json.RawMessage) string {
	var s struct{ Sid string }
	_ = json.Unmarshal(raw, &s) // without a name it is not found by one
	return s.Sid
}

// grantable are the actions that AddPermission grants.
var grantable = []string{
	"AddPermission", "DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish", "Receive", "RemovePermission", "SetTopicAttributes",
	"Subscribe", "GetDataProtectionPolicy", "PutDataProtectionPolicy", "ListTagsForResource",
}

// AddPermission adds a statement to the topic's policy.
func (s *Service) AddPermission(ctx context.Context, in *api.AddPermissionInput) (*api.AddPermissionOutput, error) {
	st, err := newStatement(in)
	if err != nil {
		return nil, err
	}
	err = s.changeTopic(ctx, "TopicArn", in.TopicArn, func(_ store.Tx, t *topic) error {
		st.Resource = t.arn.String()
		p, err := readPolicyText(t.policy())
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p.Statement, func(raw json.RawMessage) bool { return sid(raw) == st.Sid }) {
			return invalid("Statement already exists")
		}
		raw, err := json.Marshal(st)
		if err != nil {
			return err
		}
		p.Statement = append(p.Statement, raw)
		return t.setPolicy(p)
	})
	return &api.AddPermissionOutput{}, err
}

func newStatement(in *api.AddPermissionInput) (*statement, error) {
	label := value(in.Label)
	switch {
	case label == "" || len(label) > 80 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
		return nil, invalid("Label")
	case len(in.AWSAccountID) == 0:
		return nil, invalid("AWSAccountId")
	case len(in.ActionName) == 0:
		return nil, invalid("ActionName")
	}
	var who, what []string
	for _, account := range in.AWSAccountID {
		if len(account) != 12 || strings.Trim(account, "0123456789") != "" {
			return nil, invalid("AWSAccountId")
		}
		who = append(who, aws.NewARN("iam", "", account, "root").String())
	}
	for _, action := range in.ActionName {
		if !slices.Contains(grantable, action) {
			return nil, invalid("Policy statement action out of service scope!")
		}
		what = append(what, "SNS:"+action)
	}
	return &statement{Sid: label, Effect: "Allow", Principal: map[string]any{"AWS": oneOrMany(who)}, Action: oneOrMany(what)}, nil
}

func oneOrMany(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// RemovePermission removes a statement from the topic's policy.
func (s *Service) RemovePermission(ctx context.Context, in *api.RemovePermissionInput) (*api.RemovePermissionOutput, error) {
	err := s.changeTopic(ctx, "TopicArn", in.TopicArn, func(_ store.Tx, t *topic) error {
		p, err := readPolicyText(t.policy())
		if err != nil {
			return err
		}
		rest := slices.DeleteFunc(slices.Clone(p.Statement), func(raw json.RawMessage) bool { return sid(raw) == value(in.Label) })
		if len(rest) == len(p.Statement) {
			return api.ErrNotFound.New("Statement does not exist")
		}
		p.Statement = rest
		return t.setPolicy(p)
	})
	return &api.RemovePermissionOutput{}, err
}

// setPolicy sets a policy that was edited. One without any statement stays as it is: it grants nothing.
func (t *topic) setPolicy(p policyText) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if len(p.Statement) == 0 {
		t.row.Attributes = maps.Clone(t.row.Attributes)
		t.row.Attributes["Policy"] = string(text)
		return nil
	}
	return t.set("Policy", string(text), "")
}

// noStatements ends a policy that setPolicy wrote without any.
const noStatements = `"Statement":[]}`

// ResourceGrants is the policy of a topic, of whatever account; nil if there is no such topic.
func (s *Service) ResourceGrants(ctx context.Context, _ *aws.Call, arn string) (*policy.ResourceGrants, error) {
	a, err := api.ParseTopicARN("TopicArn", arn)
	if err != nil {
		return nil, nil
	}
	var text string
	var set time.Time
	err = s.db.View(ctx, func(tx store.Tx) error {
		t, err := getTopic(tx, a)
		if err != nil {
			return err
		}
		text, set = t.policy(), t.row.PolicySet
		return nil
	})
	if errors.Is(err, api.ErrNotFound) || strings.HasSuffix(text, noStatements) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := s.policies.get(text)
	if err != nil {
		return nil, err
	}
	return &policy.ResourceGrants{Policies: []policy.Named{{Name: "policy of " + arn, Set: set, Policy: p}}}, nil
}

// ConditionValues finds SNS's condition keys of a call, and the tags of topics.
// See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html.
func (s *Service) ConditionValues(ctx context.Context, call *aws.Call, arn, key string) ([]string, bool) {
	if tag, is := strings.CutPrefix(key, "aws:resourcetag/"); is {
		return s.resourceTag(ctx, arn, tag)
	}
	in, subscribes := call.Input.(*api.SubscribeInput)
	switch key {
	case "sns:endpoint":
		if subscribes && in.Endpoint != nil {
			return []string{*in.Endpoint}, true
		}
	case "sns:protocol":
		if subscribes && in.Protocol != nil {
			return []string{*in.Protocol}, true
		}
	case "aws:sourceowner": // for which account a service acts
		if call.Principal != nil && call.Principal.Type == aws.ServiceType && call.SourceAccount != "" {
			return []string{call.SourceAccount}, true
		}
	}
	return nil, false
}

func (s *Service) resourceTag(ctx context.Context, arn, tag string) (values []string, ok bool) {
	a, err := api.ParseTopicARN("TopicArn", arn)
	if err != nil {
		return nil, false
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		values, ok = nil, false
		t, err := getTopic(tx, a)
		if err != nil {
			return err
		}
		for k, v := range t.row.Tags {
			if k == tag || !ok && strings.EqualFold(k, tag) {
				values, ok = []string{v}, true
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, api.ErrNotFound) {
		s.deps.Log.Error("read tags", "topic", arn, "error", err)
	}
	return values, ok
}

// policyCache keeps compiled policies by their text.
type policyCache struct {
	mu   sync.Mutex
	all  map[string]*policy.Policy
	size int
}

// maxCached bounds the texts of what a cache keeps, in bytes.
const maxCached = 8 << 20

func newPolicyCache() *policyCache { return &policyCache{all: map[string]*policy.Policy{}} }

// get compiles a stored policy, which parsed when it was stored.
func (c *policyCache) get(text string) (*policy.Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.all[text]; p != nil {
		return p, nil
	}
	p, err := policy.Parse([]byte(text), policy.KindResource)
	if err != nil {
		return nil, fmt.Errorf("stored policy of a topic: %w", err)
	}
	if c.size += len(text); c.size > maxCached {
		clear(c.all)
		c.size = len(text)
	}
	c.all[text] = p
	return p, nil
}
