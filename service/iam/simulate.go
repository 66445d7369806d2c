package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// simulation is who asks, with which policies, under which circumstances.
type simulation struct {
	principal *aws.Principal
	grants    *policy.Grants
	resource  *policy.ResourceGrants
	sources   map[string]simulated // by the names in grants and resource
	context   contextEntries
	owner     string // account id of the resource; empty for the caller's
}

// Bounds of what a simulation may cost: with less time, a page has fewer results than were asked for, as on AWS.
const (
	maxSimulated = 512 << 10 // bytes of the policies in a request, together
	simulateTime = time.Second
)

// simulated is a policy of a simulation as its answer shows it.
type simulated struct {
	id       string // SourcePolicyId
	kind     string // SourcePolicyType
	document string
}

// The types of policies that AWS answers, which are not those that its model names.
const (
	kindIdentity = "IAM Policy"
	kindBoundary = "IAM Permissions Boundary Policy"
	kindResource = "Resource Policy"
)

// contextEntries are condition keys that the caller made up.
type contextEntries []*api.ContextEntry

// Values implements [policy.Keys].
func (c contextEntries) Values(key string) ([]string, bool) {
	for _, e := range c {
		if strings.EqualFold(val(e.ContextKeyName), key) {
			return e.ContextKeyValues, true
		}
	}
	return nil, false
}

// SimulateCustomPolicy tells what policies that are only texts would allow.
func (s *Service) SimulateCustomPolicy(ctx context.Context, in *api.SimulateCustomPolicyInput) (*api.SimulateCustomPolicyOutput, error) {
	same := api.SimulatePrincipalPolicyInput{
		PolicyInputList: in.PolicyInputList, PermissionsBoundaryPolicyInputList: in.PermissionsBoundaryPolicyInputList,
		ActionNames: in.ActionNames, ResourceArns: in.ResourceArns, ResourcePolicy: in.ResourcePolicy, ResourceOwner: in.ResourceOwner,
		CallerArn: in.CallerArn, ContextEntries: in.ContextEntries, MaxItems: in.MaxItems, Marker: in.Marker,
	}
	if in.ResourcePolicy != nil && in.CallerArn == nil {
		return nil, api.ErrInvalidInput.New("CallerArn must be specified with a ResourcePolicy.")
	}
	sim := &simulation{
		principal: &aws.Principal{Type: aws.User, Account: account(ctx), Arn: aws.NewARN("iam", "", account(ctx), "user/simulated").String()},
		grants:    nothing(),
	}
	return s.simulate(ctx, sim, &same)
}

// SimulatePrincipalPolicy tells what the policies of a user, group or role would allow, with more policies if they are given.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, in *api.SimulatePrincipalPolicyInput) (*api.SimulatePrincipalPolicyOutput, error) {
	sim := &simulation{sources: map[string]simulated{}}
	err := s.db.View(ctx, func(tx store.Tx) error {
		e, err := ownEntity(tx, account(ctx), *in.PolicySourceArn)
		if err != nil {
			return err
		}
		sim.principal = principalOf(account(ctx), e)
		if sim.grants, _, err = s.compileGrants(tx, account(ctx), e); err != nil {
			return err
		}
		sources, err := s.sources(tx, account(ctx), e)
		for _, src := range sources {
			sim.sources[src.name] = simulated{src.id(), kindIdentity, src.document}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.simulate(ctx, sim, in)
}

// ownEntity is an entity of the account by its ARN. Those of others do not exist.
func ownEntity(tx store.Tx, account, arn string) (*entity, error) {
	e, owner, err := byARN(tx, arn)
	if err != nil {
		return nil, err
	}
	if owner != account {
		return nil, errNoEntity(e.Kind, e.Name)
	}
	return e, nil
}

// principalOf is a user, or a session of a role; groups are simulated as a user.
func principalOf(account string, e *entity) *aws.Principal {
	p := &aws.Principal{Type: aws.User, Account: account, Arn: e.arn(account), ID: e.ID, Tags: tagMap(e.Tags)}
	if e.Kind == role {
		p.Type, p.ID = aws.AssumedRole, e.ID+":simulated"
		p.Arn = aws.NewARN("sts", "", account, "assumed-role/"+e.Name+"/simulated").String()
		p.Session = &aws.Session{Op: "AssumeRole", Issuer: e.arn(account), IssuerID: e.ID}
	}
	return p
}

// id is the source as the simulator names it.
func (src source) id() string {
	if src.arn != "" {
		return src.policy
	}
	return string(src.owner.Kind) + "_" + src.owner.Name + "_" + src.policy
}

// add puts what the request brings along into the simulation.
func (sim *simulation) add(s *Service, in *api.SimulatePrincipalPolicyInput) error {
	if sim.sources == nil {
		sim.sources = map[string]simulated{}
	}
	size := len(val(in.ResourcePolicy))
	for _, document := range slices.Concat(in.PolicyInputList, in.PermissionsBoundaryPolicyInputList) {
		size += len(document)
	}
	if size > maxSimulated {
		return api.ErrInvalidInput.Withf("The policies have more than %d characters together.", maxSimulated)
	}
	g := *sim.grants
	g.Identity = slices.Clone(g.Identity)
	sim.grants = &g
	for i, document := range in.PolicyInputList {
		p, err := s.cache.compile(document, policy.KindIdentity)
		if err != nil {
			return err
		}
		name := "PolicyInputList." + strconv.Itoa(i+1)
		sim.sources[name] = simulated{name, kindIdentity, document}
		g.Identity = append(g.Identity, named(name, p))
	}
	if len(in.PermissionsBoundaryPolicyInputList) > 1 {
		return api.ErrInvalidInput.New("Only one permissions boundary policy can be specified.")
	}
	for _, document := range in.PermissionsBoundaryPolicyInputList {
		p, err := s.cache.compile(document, policy.KindIdentity)
		if err != nil {
			return err
		}
		const name = "PermissionsBoundaryPolicyInputList.1"
		sim.sources[name] = simulated{name, kindBoundary, document}
		g.Boundary = new(named(name, p))
	}
	if in.ResourcePolicy != nil {
		p, err := s.cache.compile(*in.ResourcePolicy, policy.KindResource)
		if err != nil {
			return err
		}
		const name = "ResourcePolicy"
		sim.sources[name] = simulated{name, kindResource, *in.ResourcePolicy}
		sim.resource = &policy.ResourceGrants{Policies: []policy.Named{named(name, p)}}
	}
	return sim.circumstances(in)
}

func (sim *simulation) circumstances(in *api.SimulatePrincipalPolicyInput) error {
	sim.context = in.ContextEntries
	if in.CallerArn != nil {
		a, err := aws.ParseARN(*in.CallerArn)
		if err != nil {
			return api.ErrInvalidInput.Withf("Invalid CallerArn %s.", *in.CallerArn)
		}
		p := *sim.principal
		p.Arn, p.Account = *in.CallerArn, a.Account
		sim.principal = &p
	}
	if in.ResourceOwner != nil {
		sim.owner = *in.ResourceOwner
		if a, err := aws.ParseARN(sim.owner); err == nil {
			sim.owner = a.Account
		}
	}
	return nil
}

// simulate answers a page of every action on every resource. Only the page is evaluated.
func (s *Service) simulate(ctx context.Context, sim *simulation, in *api.SimulatePrincipalPolicyInput) (*api.SimulatePolicyResponse, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	begun := s.now()
	if err := sim.add(s, in); err != nil {
		return nil, err
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	from := 0
	if p.after != "" {
		if from, err = strconv.Atoi(p.after); err != nil || from < 0 {
			return nil, aws.ErrValidation.New("Invalid Marker.")
		}
	}
	out := &api.SimulatePolicyResponse{EvaluationResults: []*api.EvaluationResult{}, IsTruncated: new(false)}
	for i := from; i < len(in.ActionNames)*len(resources); i++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if i == from+p.max || i > from && s.now().Sub(begun) > simulateTime {
			out.Marker, out.IsTruncated = markerOf(strconv.Itoa(i)), new(true)
			break
		}
		action := in.ActionNames[i/len(resources)]
		if !strings.Contains(action, ":") {
			return nil, api.ErrInvalidInput.Withf("Invalid Action: %s", action)
		}
		out.EvaluationResults = append(out.EvaluationResults, sim.evaluate(action, resources[i%len(resources)]))
	}
	return out, nil
}

func (sim *simulation) evaluate(action, resource string) *api.EvaluationResult {
	req := &policy.Request{
		Principal: sim.principal, Action: action, Resource: resource, ResourceAccount: sim.owner, Keys: sim.context,
	}
	d := policy.Evaluate(req, sim.grants, sim.resource)
	r := &api.EvaluationResult{
		EvalActionName: &action, EvalResourceName: &resource, EvalDecision: new(decision(d)), MatchedStatements: []*api.Statement{},
		MissingContextValues: list0(d.Missing),
	}
	if d.Policy != "" {
		r.MatchedStatements = append(r.MatchedStatements, sim.statement(d))
	}
	if b := sim.grants.Boundary; b != nil {
		alone := policy.Evaluate(req, &policy.Grants{Identity: []policy.Named{*b}}, nil)
		r.PermissionsBoundaryDecisionDetail = &api.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: &alone.Allowed}
	}
	return r
}

func decision(d policy.Decision) string {
	switch {
	case d.Allowed:
		return api.PolicyEvaluationDecisionTypeAllowed
	case d.Explicit:
		return api.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return api.PolicyEvaluationDecisionTypeImplicitDeny
}

// statement is the one that decided, and where in its policy it is.
func (sim *simulation) statement(d policy.Decision) *api.Statement {
	from, ok := sim.sources[d.Policy]
	if !ok { // the boundary that the entity has
		from = simulated{id: lastSegment(d.Policy), kind: kindBoundary}
	}
	out := &api.Statement{SourcePolicyID: &from.id, SourcePolicyType: &from.kind}
	document := []byte(from.document)
	raw := rawStatement(document, d.Statement)
	if at := bytes.Index(document, raw); raw != nil && at >= 0 {
		out.StartPosition, out.EndPosition = position(document[:at]), position(document[:at+len(raw)])
	}
	return out
}

// rawStatement is the text of the statement of that Sid or number ("[3]").
func rawStatement(document []byte, label string) []byte {
	var p struct{ Statement json.RawMessage }
	if json.Unmarshal(document, &p) != nil {
		return nil
	}
	var all []json.RawMessage
	if json.Unmarshal(p.Statement, &all) != nil {
		all = []json.RawMessage{p.Statement}
	}
	for i, raw := range all {
		var st struct{ Sid string }
		if json.Unmarshal(raw, &st) == nil && (label == fmt.Sprintf("[%d]", i) || st.Sid != "" && st.Sid == label) {
			return raw
		}
	}
	return nil
}

// position is where a text ends, lines and columns from 1.
func position(before []byte) *api.Position {
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return &api.Position{Line: &line, Column: &column}
}

// GetContextKeysForCustomPolicy lists the condition keys that policies ask for.
func (s *Service) GetContextKeysForCustomPolicy(_ context.Context, in *api.GetContextKeysForCustomPolicyInput) (*api.GetContextKeysForCustomPolicyOutput, error) {
	return s.contextKeys(in.PolicyInputList)
}

// GetContextKeysForPrincipalPolicy lists the condition keys that the policies of a user, group or role ask for.
func (s *Service) GetContextKeysForPrincipalPolicy(ctx context.Context, in *api.GetContextKeysForPrincipalPolicyInput) (*api.GetContextKeysForPrincipalPolicyOutput, error) {
	documents := slices.Clone(in.PolicyInputList)
	err := s.db.View(ctx, func(tx store.Tx) error {
		e, err := ownEntity(tx, account(ctx), *in.PolicySourceArn)
		if err != nil {
			return err
		}
		sources, err := s.sources(tx, account(ctx), e)
		for _, src := range sources {
			documents = append(documents, src.document)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.contextKeys(documents)
}

func (s *Service) contextKeys(documents []string) (*api.GetContextKeysForPolicyResponse, error) {
	names := []string{}
	for _, document := range documents {
		p, err := s.cache.compile(document, policy.KindIdentity)
		if err != nil {
			return nil, err
		}
		names = append(names, p.ContextKeys()...)
	}
	slices.Sort(names)
	return &api.GetContextKeysForPolicyResponse{ContextKeyNames: slices.Compact(names)}, nil
}
