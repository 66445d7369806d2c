package ecr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// SetRepositoryPolicy replaces the repository's policy. Force lets somebody shut out who sets it, which is refused otherwise.
func (s *Service) SetRepositoryPolicy(ctx context.Context, in *api.SetRepositoryPolicyInput) (*api.SetRepositoryPolicyOutput, error) {
	p, err := policy.Parse([]byte(*in.PolicyText), policy.KindRepository)
	if err != nil {
		return nil, invalid("PolicyText", "Invalid repository policy provided").Because(err)
	}
	if exist := s.deps.PrincipalsExist; exist != nil {
		if ok, err := exist(ctx, p.AWSPrincipals()); !ok {
			return nil, cmp.Or[error](err, invalid("PolicyText", "Invalid repository policy provided"))
		}
	}
	call := aws.CallFrom(ctx)
	if !value(in.Force) && locksOut(call, p, *in.RepositoryName) {
		return nil, invalid("PolicyText", "The policy would not let you set another one; use force to set it nevertheless")
	}
	r, err := s.change(ctx, in.RepositoryName, func(_ store.Tx, r *repository) error {
		r.row.Policy, r.row.PolicySet = *in.PolicyText, s.clock()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.SetRepositoryPolicyOutput{RegistryID: &r.scope.Account, RepositoryName: &r.name, PolicyText: in.PolicyText}, nil
}

// locksOut says that a policy denies the caller to set another.
func locksOut(call *aws.Call, p *policy.Policy, name string) bool {
	if call.Principal == nil || call.Principal.Type == aws.ServiceType {
		return false
	}
	everything, err := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), policy.KindIdentity)
	if err != nil {
		return true
	}
	d := policy.Evaluate(&policy.Request{
		Principal: call.Principal, Action: "ecr:SetRepositoryPolicy", Resource: api.RepositoryARN(call.Region, call.Account, name).String(),
		ResourceAccount: call.Account,
	}, &policy.Grants{Identity: []policy.Named{{Name: "everything", Policy: everything}}},
		&policy.ResourceGrants{Policies: []policy.Named{{Name: "repository policy", Policy: p}}})
	return d.Explicit
}

// GetRepositoryPolicy answers the policy's text as it was set.
func (s *Service) GetRepositoryPolicy(ctx context.Context, in *api.GetRepositoryPolicyInput) (*api.GetRepositoryPolicyOutput, error) {
	var out *api.GetRepositoryPolicyOutput
	err := s.view(ctx, in.RepositoryName, func(_ store.Tx, r *repository) error {
		out = &api.GetRepositoryPolicyOutput{RegistryID: &r.scope.Account, RepositoryName: &r.name, PolicyText: &r.row.Policy}
		return r.hasPolicy()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (r *repository) hasPolicy() error {
	if r.row.Policy == "" {
		return api.ErrRepositoryPolicyNotFound.Withf("Repository policy does not exist for the %s", r.where())
	}
	return nil
}

// DeleteRepositoryPolicy removes the policy and answers it.
func (s *Service) DeleteRepositoryPolicy(ctx context.Context, in *api.DeleteRepositoryPolicyInput) (*api.DeleteRepositoryPolicyOutput, error) {
	var text string
	r, err := s.change(ctx, in.RepositoryName, func(_ store.Tx, r *repository) error {
		if err := r.hasPolicy(); err != nil {
			return err
		}
		text = r.row.Policy
		r.row.Policy, r.row.PolicySet = "", time.Time{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteRepositoryPolicyOutput{RegistryID: &r.scope.Account, RepositoryName: &r.name, PolicyText: &text}, nil
}

// ofARN reads a repository by its ARN; nil if there is none.
func (s *Service) ofARN(ctx context.Context, arn string) (r *repository, err error) {
	a, name, ok := api.ParseRepositoryARN(arn)
	if !ok {
		return nil, nil
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		r, err = getRepository(tx, store.Scope{Account: a.Account, Region: a.Region}, name)
		return err
	})
	if errors.Is(err, api.ErrRepositoryNotFound) {
		return nil, nil
	}
	return r, err
}

// lambdaMayPull is the consent of every repository to be pulled from by Lambda for functions of the repository's own account: whoever
// makes such a function is asked for the permission to pull. AWS writes it into the repository's policy then.
// See https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions.
const lambdaMayPull = `{"Version":"2012-10-17","Statement":[{"Sid":"LambdaECRImageRetrievalPolicy","Effect":"Allow",` +
	`"Principal":{"Service":"lambda.amazonaws.com"},"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}`

// ResourceGrants is the policy of a repository, of whatever account, and its consent to Lambda; nil if there is none.
func (s *Service) ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error) {
	r, err := s.ofARN(ctx, arn)
	if err != nil || r == nil {
		return nil, err
	}
	all := &policy.ResourceGrants{}
	if r.row.Policy != "" {
		p, err := s.policies.get(r.row.Policy)
		if err != nil {
			return nil, err
		}
		all.Policies = append(all.Policies, policy.Named{Name: "policy of " + arn, Set: r.row.PolicySet, Policy: p})
	}
	if p := call.Principal; p != nil && p.Service == "lambda.amazonaws.com" && call.SourceAccount == r.scope.Account {
		p, err := s.policies.get(lambdaMayPull)
		if err != nil {
			return nil, err
		}
		all.Policies = append(all.Policies, policy.Named{Name: "consent of " + arn, Policy: p})
	}
	if len(all.Policies) == 0 {
		return nil, nil
	}
	return all, nil
}

// ConditionValues finds the tags of repositories, and for which account a service acts.
// See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html.
func (s *Service) ConditionValues(ctx context.Context, _ *aws.Call, arn, key string) ([]string, bool) {
	tag, is := strings.CutPrefix(key, "aws:resourcetag/")
	if !is {
		tag, is = strings.CutPrefix(key, "ecr:resourcetag/")
	}
	if !is {
		return nil, false
	}
	r, err := s.ofARN(ctx, arn)
	if err != nil {
		s.deps.Log.Error("read tags", "repository", arn, "error", err)
	}
	if err != nil || r == nil {
		return nil, false
	}
	var values []string
	for k, v := range r.row.Tags {
		if k == tag || values == nil && strings.EqualFold(k, tag) {
			values = []string{v}
		}
		if k == tag {
			break
		}
	}
	return values, values != nil
}

// policyCache keeps compiled policies by their text.
type policyCache struct {
	mu   sync.Mutex
	all  map[string]*policy.Policy
	size int
}

// maxCached bounds the texts of what a cache keeps, in bytes.
const maxCached = 4 << 20

func newPolicyCache() *policyCache { return &policyCache{all: map[string]*policy.Policy{}} }

// get compiles a stored policy, which parsed when it was stored.
func (c *policyCache) get(text string) (*policy.Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.all[text]; p != nil {
		return p, nil
	}
	p, err := policy.Parse([]byte(text), policy.KindRepository)
	if err != nil {
		return nil, fmt.Errorf("stored policy of a repository: %w", err)
	}
	if c.size += len(text); c.size > maxCached {
		clear(c.all)
		c.size = len(text)
	}
	c.all[text] = p
	return p, nil
}
