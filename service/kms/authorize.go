package kms

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// ResourceGrants gives what is said at a key about who may use it: its policy, without whose consent nothing is allowed, and
// the grants that cover this call, as statements that allow. An alias has no policy. A key of the caller's account that does
// not exist has none either, so that who may do the thing on every key learns that it is not there; of another account it
// allows nothing.
func (s *Service) ResourceGrants(ctx context.Context, call *aws.Call, arn string) (*policy.ResourceGrants, error) {
	r, ok := keyOf(arn)
	if !ok {
		return nil, nil
	}
	s.knowReEncrypted(ctx, call)
	var k *key
	var covering []grantRow
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		covering = nil
		if k, err = getKey(tx, r, s.now()); err != nil || k == nil {
			return err
		}
		covering, err = s.covering(tx, call, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	texts, service := []namedText{}, managedService(r)
	switch {
	case k != nil:
		texts = append(texts, namedText{"key policy", k.Policy, k.PolicySet})
	case service != "":
		texts = append(texts, namedText{name: "key policy", text: managedPolicy(r.scope, service)})
	case call.Principal != nil && call.Principal.Account == r.scope.Account:
		return nil, nil
	}
	if service != "" {
		texts = append(texts, namedText{name: "key policy", text: ownServicePolicy(service)})
	}
	for i := range covering {
		texts = append(texts, covering[i].statement())
	}
	return s.compiled(texts)
}

type namedText struct {
	name, text string
	set        time.Time // zero for what names nobody but accounts and services
}

func (s *Service) compiled(texts []namedText) (*policy.ResourceGrants, error) {
	all := &policy.ResourceGrants{Decisive: true}
	for _, t := range texts {
		p, err := s.policies.get(t.text, policy.KindResource)
		if err != nil {
			return nil, err
		}
		all.Policies = append(all.Policies, policy.Named{Name: t.name, Set: t.set, Policy: p})
	}
	return all, nil
}

// keyOf is the key that an ARN names.
func keyOf(arn string) (ref, bool) {
	a, err := aws.ParseARN(arn)
	id, ok := strings.CutPrefix(a.Resource, "key/")
	if err != nil || !ok || a.Service != "kms" || !api.IsKeyID(id) {
		return ref{}, false
	}
	return ref{store.Scope{Account: a.Account, Region: a.Region}, id}, true
}

// covering are the grants of a key that let the call's principal do what it asks. Constraints are checked here: they are
// about the case of names too, which conditions of policies are not.
func (s *Service) covering(tx store.Tx, call *aws.Call, k *key) ([]grantRow, error) {
	if call.Op == nil || call.Principal == nil || call.Op.Service != api.Service {
		return nil, nil
	}
	if in, ok := call.Input.(*api.RetireGrantInput); ok {
		return s.retiring(tx, in, k)
	}
	var all []grantRow
	for _, grantee := range identities(call.Principal) {
		for row, err := range grantees.Scan(tx, k.scope, store.Range{Prefix: store.Prefix(k.id, grantee)}) {
			if err != nil {
				return nil, err
			}
			g, err := grants.Get(tx, k.scope, store.Key(k.id, lastPart(row.Key)))
			if err != nil {
				return nil, err
			}
			if g.Value.Operations = g.Value.covered(call, k.arn()); len(g.Value.Operations) > 0 {
				all = append(all, g.Value)
			}
		}
	}
	return all, nil
}

// identities are the names by which a grant may mean a principal.
func identities(p *aws.Principal) []string {
	var all []string
	if p.Session != nil && p.Session.Issuer != "" {
		all = append(all, p.Session.Issuer)
	}
	if p.Account != "" {
		all = append(all, rootARN(p.Account))
	}
	if p.Arn != "" {
		all = append(all, p.Arn)
	}
	if p.Service != "" {
		all = append(all, p.Service)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// retiring is the grant that is to be retired. Who may is its retiring principal, and its grantee if it says so.
func (s *Service) retiring(tx store.Tx, in *api.RetireGrantInput, k *key) ([]grantRow, error) {
	id := value(in.GrantID)
	if in.GrantToken != nil {
		r, of, err := s.openToken(*in.GrantToken)
		if err != nil || r != k.ref {
			return nil, nil
		}
		id = of
	}
	row, err := grants.Get(tx, k.scope, store.Key(k.id, id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []grantRow
	g := row.Value
	if slices.Contains(g.Operations, api.GrantOperationRetireGrant) {
		g.Operations = []string{api.GrantOperationRetireGrant}
		all = append(all, g)
	}
	if g.Retiring != "" {
		g.Grantee, g.Operations = g.Retiring, []string{api.GrantOperationRetireGrant}
		all = append(all, g)
	}
	return all, nil
}

// covered are the operations of a grant that the call asks for and whose constraints it keeps.
func (g *grantRow) covered(call *aws.Call, arn string) []string {
	var ops []string
	for _, op := range asked(call, arn) {
		if slices.Contains(g.Operations, op) && g.keeps(call, op) {
			ops = append(ops, op)
		}
	}
	return ops
}

// asked is what a call asks for on a key, as grants call it.
func asked(call *aws.Call, arn string) []string {
	in, ok := call.Input.(*api.ReEncryptInput)
	if !ok {
		return []string{call.Op.Name}
	}
	from, to := reEncrypted(call, in)
	var ops []string
	if from.arn() == arn {
		ops = append(ops, api.GrantOperationReEncryptFrom)
	}
	if to.arn() == arn {
		ops = append(ops, api.GrantOperationReEncryptTo)
	}
	return ops
}

// knowReEncrypted finds both keys of a ReEncrypt before the authorizer asks for the second one.
func (s *Service) knowReEncrypted(ctx context.Context, call *aws.Call) {
	in, ok := call.Input.(*api.ReEncryptInput)
	if !ok {
		return
	}
	ctx = aws.WithCall(ctx, call)
	for _, id := range []*string{in.SourceKeyID, in.DestinationKeyID} {
		if id == nil {
			continue
		}
		if _, ok := remembered(call, *id); !ok {
			_, _ = s.FindKey(ctx, *id, true) // the authorizer gets the error itself
		}
	}
	if _, ok := remembered(call, string(in.CiphertextBlob)); !ok && in.SourceKeyID == nil {
		_, _ = s.FindCiphertext(ctx, in.CiphertextBlob)
	}
}

// reEncrypted are the keys of a ReEncrypt; one that is not to be found is empty.
func reEncrypted(call *aws.Call, in *api.ReEncryptInput) (from, to ref) {
	if in.SourceKeyID != nil {
		from, _ = remembered(call, *in.SourceKeyID)
	} else {
		from, _ = remembered(call, string(in.CiphertextBlob))
	}
	to, _ = remembered(call, value(in.DestinationKeyID))
	return from, to
}

// keeps says whether a call keeps the constraints of the grant. A grant that is made by right of another one must be as
// narrow as that one.
func (g *grantRow) keeps(call *aws.Call, op string) bool {
	if in, ok := call.Input.(*api.CreateGrantInput); ok {
		return g.asNarrow(in)
	}
	context, has := contextOf(call, op)
	if !has {
		return true
	}
	if g.Equals != nil && !maps.Equal(g.Equals, context) {
		return false
	}
	return contains(context, g.Subset)
}

func (g *grantRow) asNarrow(in *api.CreateGrantInput) bool {
	for _, op := range in.Operations {
		if !slices.Contains(g.Operations, op) {
			return false
		}
	}
	var c api.GrantConstraints
	if in.Constraints != nil {
		c = *in.Constraints
	}
	if g.Equals != nil && (c.EncryptionContextEquals == nil || !maps.Equal(g.Equals, c.EncryptionContextEquals)) {
		return false
	}
	return g.Subset == nil || contains(c.EncryptionContextSubset, g.Subset) || contains(c.EncryptionContextEquals, g.Subset)
}

// contains says whether all pairs of part are in whole.
func contains(whole, part map[string]string) bool {
	for k, v := range part {
		if got, ok := whole[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// statement is a grant as a policy that allows its covered operations to its grantee.
func (g *grantRow) statement() namedText {
	kind := "AWS"
	if isService(g.Grantee) {
		kind = "Service"
	}
	actions := make([]string, len(g.Operations))
	for i, op := range g.Operations {
		actions[i] = "kms:" + op
	}
	text, err := json.Marshal(policyText{Version: "2012-10-17", ID: g.ID, Statement: []statementText{{
		Sid: "Grant", Effect: "Allow", Principal: map[string]string{kind: g.Grantee}, Action: actions, Resource: "*",
	}}})
	if err != nil {
		panic(err) // strings and maps of them
	}
	return namedText{"grant " + g.ID, string(text), g.set()}
}
