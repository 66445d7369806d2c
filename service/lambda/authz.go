package lambda

import (
	"context"
	"fmt"
	"strings"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// access is what authorization asks about a function. It is shared and does not change.
type access struct {
	policies map[string]*policy.ResourceGrants // by qualifier
	tags     map[string]string
}

// ResourceGrants is the policy of a function, version, alias or layer version, of whatever account; nil if it has none. That
// of a function that was asked about before comes from memory.
func (s *Service) ResourceGrants(ctx context.Context, _ *aws.Call, arn string) (*policy.ResourceGrants, error) {
	if r, ok := functionOf(arn); ok {
		a, err := s.access(ctx, r)
		if a == nil {
			return nil, err
		}
		return a.policies[r.orLatest()], nil
	}
	id, ok := parseLayerArn(arn)
	if !ok || id.version < 1 {
		return nil, nil
	}
	var p *resourcePolicy
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		p, err = getLayerPolicy(tx, id)
		return err
	})
	if p == nil {
		return nil, err
	}
	return p.grants(arn)
}

// grants is the policy compiled: each statement for itself, for each was added at its own time.
func (p *resourcePolicy) grants(arn string) (*policy.ResourceGrants, error) {
	all := &policy.ResourceGrants{}
	for i := range p.Statements {
		text, err := statementsText(p.Statements[i : i+1])
		if err != nil {
			return nil, err
		}
		compiled, err := policy.Parse([]byte(text), policy.KindResource)
		if err != nil {
			return nil, fmt.Errorf("read policy of %s: %w", arn, err)
		}
		set := p.Set[compiled.Statements()[0].Sid]
		all.Policies = append(all.Policies, policy.Named{Name: "policy of " + arn, Set: set, Policy: compiled})
	}
	return all, nil
}

// functionOf is the function that an ARN names, with its qualifier.
func functionOf(arn string) (ref, bool) {
	parts := strings.SplitN(arn, ":", 8)
	if len(parts) < 7 || parts[0] != "arn" || parts[2] != "lambda" || parts[5] != "function" {
		return ref{}, false
	}
	r := ref{scope: store.Scope{Account: parts[4], Region: parts[3]}, name: parts[6]}
	if len(parts) == 8 {
		r.qualifier = parts[7]
	}
	return r, true
}

// access answers nil if there is no such function.
func (s *Service) access(ctx context.Context, r ref) (*access, error) {
	m := s.cache.of(functionKey{r.scope, r.name})
	if known := m.access.Load(); known != nil {
		return known, nil
	}
	a := &access{policies: map[string]*policy.ResourceGrants{}}
	err := s.deps.Store.View(ctx, func(tx store.Tx) error {
		clear(a.policies)
		f, err := getFunction(tx, r.scope, r.name)
		if f == nil {
			return cmpErr(err, store.ErrNotFound)
		}
		a.tags = f.Tags
		prefix := store.Prefix(r.name)
		for row, err := range policies.Scan(tx, r.scope, store.Range{Prefix: prefix}) {
			if err != nil {
				return err
			}
			q := strings.TrimPrefix(row.Key, prefix)
			if a.policies[q], err = row.Value.grants(qualify(r.arn(), q)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		// A name that means nothing is not remembered: there is no end of such names.
		s.cache.forget(r.scope, r.name)
		return nil, ifThere(err)
	}
	m.access.Store(a)
	return a, nil
}

// ConditionValues finds Lambda's condition keys of a call, and the tags of functions.
// See https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html.
func (s *Service) ConditionValues(ctx context.Context, call *aws.Call, arn, key string) (values []string, ok bool) {
	if tag, is := strings.CutPrefix(key, "aws:resourcetag/"); is {
		return s.resourceTag(ctx, arn, tag)
	}
	switch key {
	case "lambda:functionarn":
		return functionArnKey(call, arn)
	case "lambda:sourcefunctionarn":
		if call.Principal != nil && call.Principal.Session != nil {
			return present(call.Principal.Session.FunctionArn)
		}
		return nil, false
	}
	switch in := call.Input.(type) {
	case *api.CreateFunctionInput:
		return createKeys(key, in.Layers, in.VpcConfig, in.CodeSigningConfigArn)
	case *api.UpdateFunctionConfigurationInput:
		return createKeys(key, in.Layers, in.VpcConfig, nil)
	case *api.AddPermissionInput:
		switch key {
		case "lambda:principal":
			return present(str(in.Principal))
		case "lambda:functionurlauthtype":
			return present(str(in.FunctionURLAuthType))
		}
	case *api.RemovePermissionInput:
		return s.removeKeys(ctx, arn, str(in.StatementID), key)
	case *api.InvokeInput, *api.InvokeWithResponseStreamInput:
		if key == "lambda:invokedviafunctionurl" {
			return present("false")
		}
	}
	return nil, false
}

// present is a key with one value, absent if that is empty.
func present(value string) ([]string, bool) {
	if value == "" {
		return nil, false
	}
	return []string{value}, true
}

// functionArnKey is lambda:FunctionArn, which only ops have that reach a function by something else of theirs.
func functionArnKey(call *aws.Call, arn string) ([]string, bool) {
	r, ok := functionOf(arn)
	if !ok || call.Op == nil || !strings.Contains(call.Op.Action, "Url") {
		return nil, false
	}
	return present(r.arn())
}

// createKeys are the keys of the ops that set a configuration.
func createKeys(key string, layers []string, vpc *api.VpcConfig, signing *string) ([]string, bool) {
	switch key {
	case "lambda:layer":
		return layers, len(layers) > 0
	case "lambda:codesigningconfigarn":
		return present(str(signing))
	}
	if vpc == nil {
		return nil, false
	}
	switch key {
	case "lambda:subnetids":
		return vpc.SubnetIDs, len(vpc.SubnetIDs) > 0
	case "lambda:securitygroupids":
		return vpc.SecurityGroupIDs, len(vpc.SecurityGroupIDs) > 0
	}
	return nil, false
}

// removeKeys are the keys of the statement that a RemovePermission is about.
func (s *Service) removeKeys(ctx context.Context, arn, sid, key string) ([]string, bool) {
	r, ok := functionOf(arn)
	if !ok || key != "lambda:principal" && key != "lambda:functionurlauthtype" {
		return nil, false
	}
	var st *statement
	err := s.deps.Store.View(ctx, func(tx store.Tx) error {
		st = nil
		p, err := getPolicy(tx, r)
		if p != nil {
			_, st, err = p.find(sid)
		}
		return err
	})
	switch {
	case err != nil:
		s.deps.Log.Error("read policy", "function", r.arn(), "error", err)
		return nil, false
	case st == nil:
		return nil, false
	case key == "lambda:principal":
		return present(st.principal())
	case st.Condition == nil:
		return nil, false
	}
	return present(st.Condition.StringEquals["lambda:FunctionUrlAuthType"])
}

// principal is who a statement is for, as an AddPermission would name it.
func (st *statement) principal() string {
	named, ok := st.Principal.(map[string]any)
	if !ok {
		all, _ := st.Principal.(string)
		return all
	}
	for _, v := range named {
		who, _ := v.(string)
		if a, err := aws.ParseARN(who); err == nil && a.Resource == "root" {
			return a.Account
		}
		return who
	}
	return ""
}

// resourceTag is a function's tag. Its key is compared as IAM compares keys: without regard to case.
func (s *Service) resourceTag(ctx context.Context, arn, tag string) ([]string, bool) {
	r, ok := functionOf(arn)
	if !ok {
		return nil, false
	}
	a, err := s.access(ctx, r)
	if err != nil {
		s.deps.Log.Error("read tags", "function", r.arn(), "error", err)
	}
	if a == nil {
		return nil, false
	}
	if v, ok := a.tags[tag]; ok {
		return []string{v}, true
	}
	for k, v := range a.tags {
		if strings.EqualFold(k, tag) {
			return []string{v}, true
		}
	}
	return nil, false
}
