package kms

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// policyName is the only name that a key policy may have.
const policyName = "default"

// maxPolicy bounds a key policy, in bytes.
const maxPolicy = 32 << 10

// defaultPolicy is the policy of a key that is made without one: the account's IAM policies decide.
func defaultPolicy(account string) string {
	return `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "` + rootARN(account) + `"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
}

// PutKeyPolicy replaces the key's policy.
func (s *Service) PutKeyPolicy(ctx context.Context, in *api.PutKeyPolicyInput) (*api.PutKeyPolicyOutput, error) {
	if in.PolicyName != nil && *in.PolicyName != policyName {
		return nil, invalid("PolicyName must be '%s'", policyName)
	}
	k, err := s.named(ctx, *in.KeyID)
	if err != nil {
		return nil, err
	}
	if err := s.checkPolicy(ctx, k.ref, *in.Policy, value(in.BypassPolicyLockoutSafetyCheck)); err != nil {
		return nil, err
	}
	_, err = s.change(ctx, *in.KeyID, func(_ store.Tx, k *key) error {
		if err := k.alive(); err != nil {
			return err
		}
		k.Policy, k.PolicySet = *in.Policy, s.clock()
		return nil
	})
	return &api.PutKeyPolicyOutput{}, err
}

// GetKeyPolicy answers the policy's text as it was put.
func (s *Service) GetKeyPolicy(ctx context.Context, in *api.GetKeyPolicyInput) (*api.GetKeyPolicyOutput, error) {
	k, err := s.named(ctx, *in.KeyID)
	if err != nil {
		return nil, err
	}
	if in.PolicyName != nil && *in.PolicyName != policyName {
		return nil, api.ErrNotFound.New("No such policy exists")
	}
	return &api.GetKeyPolicyOutput{Policy: &k.Policy, PolicyName: new(policyName)}, nil
}

// ListKeyPolicies answers "default".
func (s *Service) ListKeyPolicies(ctx context.Context, in *api.ListKeyPoliciesInput) (*api.ListKeyPoliciesOutput, error) {
	if _, err := s.named(ctx, *in.KeyID); err != nil {
		return nil, err
	}
	return &api.ListKeyPoliciesOutput{PolicyNames: []string{policyName}, Truncated: new(false)}, nil
}

// named is the key of a KeyId parameter that may not be an alias.
func (s *Service) named(ctx context.Context, keyID string) (*key, error) {
	r, err := s.find(ctx, keyID, false)
	if err != nil {
		return nil, err
	}
	return s.key(ctx, r)
}

var errPrincipals = api.ErrMalformedPolicyDocument.New("Policy contains a statement with one or more invalid principals.")

// principalsExist says whether those of the principals are there that are users or roles.
func (s *Service) principalsExist(ctx context.Context, principals ...string) (bool, error) {
	if s.exist == nil {
		return true, nil
	}
	return s.exist(ctx, principals)
}

// checkPolicy refuses a policy that is too long, does not parse, names who is not there, or locks out who puts it unless bypass says that it may.
func (s *Service) checkPolicy(ctx context.Context, r ref, text string, bypass bool) error {
	if len(text) > maxPolicy {
		return api.ErrLimitExceeded.Withf("The key policy has more than %d bytes.", maxPolicy)
	}
	p, err := policy.Parse([]byte(text), policy.KindResource)
	if err != nil {
		return api.ErrMalformedPolicyDocument.New(err.Error())
	}
	if ok, err := s.principalsExist(ctx, p.AWSPrincipals()...); !ok {
		return cmp.Or[error](err, errPrincipals)
	}
	call := aws.CallFrom(ctx)
	if bypass || call.Principal == nil || call.Principal.Type == aws.ServiceType {
		return nil
	}
	everything, err := s.policies.get(allowEverything, policy.KindIdentity)
	if err != nil {
		return err
	}
	d := policy.Evaluate(&policy.Request{
		Principal: keeper(call.Principal), Action: "kms:PutKeyPolicy", Resource: r.arn(), ResourceAccount: r.scope.Account,
		Keys: conditions{s, ctx, call, r.arn()},
	}, &policy.Grants{Identity: []policy.Named{{Name: "everything", Policy: everything}}},
		&policy.ResourceGrants{Policies: []policy.Named{{Name: "key policy", Policy: p}}, Decisive: true})
	if !d.Allowed {
		return api.ErrMalformedPolicyDocument.New("The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

const allowEverything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// keeper is who must be able to change the policy later. The root user always is, which proves nothing; what counts is
// that the policy lets the account decide, so that a user of the account could.
func keeper(p *aws.Principal) *aws.Principal {
	if p.Type != aws.Root {
		return p
	}
	return &aws.Principal{Type: aws.User, Account: p.Account, Arn: aws.NewARN("iam", "", p.Account, "user/any").String(), ID: "AIDA"}
}

// conditions are the condition keys of a call that the service itself asks about.
type conditions struct {
	s    *Service
	ctx  context.Context
	call *aws.Call
	arn  string
}

// Values implements [policy.Keys].
func (c conditions) Values(key string) ([]string, bool) {
	return c.s.ConditionValues(c.ctx, c.call, c.arn, key)
}

// policyCache keeps compiled policies by their text.
type policyCache struct {
	mu   sync.Mutex
	all  map[policyKey]*policy.Policy
	size int
}

type policyKey struct {
	text string
	kind policy.Kind
}

// maxCached bounds the texts of the cached policies, in bytes.
const maxCached = 8 << 20

func newPolicyCache() *policyCache { return &policyCache{all: map[policyKey]*policy.Policy{}} }

// get compiles a stored policy, which parsed when it was stored.
func (c *policyCache) get(text string, kind policy.Kind) (*policy.Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := policyKey{text, kind}
	if p := c.all[k]; p != nil {
		return p, nil
	}
	p, err := policy.Parse([]byte(text), kind)
	if err != nil {
		return nil, fmt.Errorf("stored key policy: %w", err)
	}
	if c.size += len(text); c.size > maxCached {
		clear(c.all)
		c.size = len(text)
	}
	c.all[k] = p
	return p, nil
}
