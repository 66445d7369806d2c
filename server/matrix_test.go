package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	sqsapi "github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/service/sts/ststest"
)

// The exceptions of the op tables. What is not named here has the op's own name as its action, a resource level, and no
// further permission: a row that is lost or widened by mistake is noticed.
var (
	// withoutPermission are the ops that everybody may call.
	withoutPermission = []string{"sts:GetCallerIdentity", "sts:GetSessionToken"}
	// unsigned are the ops that come without a signature: what their input proves is authorized instead of a user.
	unsigned = []string{"sts:AssumeRoleWithWebIdentity"}
	// otherActions are those whose action is not called like the op.
	otherActions = map[string]string{
		"lambda:GetLayerVersionByArn": "lambda:GetLayerVersion", "lambda:Invoke": "lambda:InvokeFunction",
		"lambda:InvokeWithResponseStream": "lambda:InvokeFunction", "kms:ReEncrypt": "kms:ReEncryptTo", "sns:PublishBatch": "sns:Publish",
		"sqs:SendMessageBatch": "sqs:SendMessage", "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
		"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
	}
	// furtherPermissions are what ops ask for beyond their action.
	furtherPermissions = map[string][]string{
		"lambda:CreateFunction":              {"iam:PassRole", "lambda:GetLayerVersion", "lambda:TagResource"},
		"lambda:UpdateFunctionConfiguration": {"iam:PassRole", "lambda:GetLayerVersion"},
		"lambda:CreateEventSourceMapping":    {"lambda:TagResource"},
		"sts:AssumeRole":                     {"sts:TagSession", "sts:SetSourceIdentity"},
		"sts:AssumeRoleWithWebIdentity":      {"sts:TagSession", "sts:SetSourceIdentity"},
		"sts:GetFederationToken":             {"sts:TagSession"},
		"kms:CreateKey":                      {"kms:TagResource"},
		"ecr:CreateRepository":               {"ecr:TagResource"},
		"sns:CreateTopic":                    {"sns:TagResource", "iam:PassRole"},
		"sns:SetTopicAttributes":             {"iam:PassRole"},
		"kms:ReEncrypt":                      {"kms:ReEncryptFrom"},
		"sqs:CreateQueue":                    {"sqs:TagQueue"},
		"iam:CreateUser":                     {"iam:TagUser"},
		"iam:CreateRole":                     {"iam:TagRole"},
		"iam:CreatePolicy":                   {"iam:TagPolicy"},
		"iam:CreateOpenIDConnectProvider":    {"iam:TagOpenIDConnectProvider"},
		"logs:CreateLogGroup":                {"logs:TagResource"},
		"cloudtrail:CreateTrail":             {"cloudtrail:AddTags"},
		"sqs:StartMessageMoveTask":           {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SendMessage"},
	}
	// withoutResource are the ops whose action has no resource level.
	withoutResource = []string{
		"lambda:GetAccountSettings", "lambda:ListFunctions", "lambda:ListLayerVersions", "lambda:ListLayers",
		"lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings",
		"logs:DescribeLogGroups", "sts:GetAccessKeyInfo", "sts:GetCallerIdentity", "sts:GetSessionToken",
		"sts:DecodeAuthorizationMessage",
		"iam:GetServiceLinkedRoleDeletionStatus", "iam:CreateAccountAlias", "iam:DeleteAccountAlias", "iam:ListAccountAliases",
		"iam:GetAccountSummary", "iam:GetAccountAuthorizationDetails", "iam:GenerateCredentialReport", "iam:GetCredentialReport",
		"iam:SimulateCustomPolicy", "iam:GetContextKeysForCustomPolicy", "iam:GetServiceLastAccessedDetails",
		"iam:ListOpenIDConnectProviders", "cloudtrail:DescribeTrails", "cloudtrail:ListTrails", "cloudtrail:LookupEvents",
		"sns:ListTopics", "sns:ListSubscriptions", "sns:Unsubscribe", "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes",
		"kms:CreateKey", "kms:ListKeys", "kms:GenerateRandom", "kms:ListAliases", "kms:ListRetirableGrants",
		"sqs:ListQueues", "ecr:GetAuthorizationToken",
		"accessanalyzer:CancelPolicyGeneration", "accessanalyzer:CheckAccessNotGranted", "accessanalyzer:CheckNoPublicAccess",
		"accessanalyzer:GetGeneratedPolicy", "accessanalyzer:ListPolicyGenerations", "accessanalyzer:StartPolicyGeneration",
		"accessanalyzer:ValidatePolicy",
	}
)

const (
	matrixAccount = "000000000000"
	matrixUser    = "arn:aws:iam::000000000000:user/nobody"
)

// granted is an Identities: one user with one policy, or none.
type granted struct{ text string }

func (g *granted) Grants(context.Context, *aws.Principal) (*policy.Grants, error) {
	if g.text == "" {
		return nil, nil
	}
	p, err := policy.Parse([]byte(g.text), policy.KindIdentity)
	if err != nil {
		return nil, err
	}
	return &policy.Grants{Identity: []policy.Named{{Name: "matrix", Policy: p}}}, nil
}

// permission is an action and what it is allowed on.
type permission struct {
	action string
	arns   []string
}

// policyOf allows exactly these.
func policyOf(list []permission) string {
	type statement struct {
		Effect, Action string
		Resource       []string
	}
	doc := struct {
		Version   string
		Statement []statement
	}{Version: "2012-10-17"}
	for _, p := range list {
		s := statement{Effect: "Allow", Action: p.action}
		for _, arn := range p.arns {
			if arn != "*" {
				arn = strings.NewReplacer("$", "${$}", "*", "${*}", "?", "${?}").Replace(arn)
			}
			s.Resource = append(s.Resource, arn)
		}
		doc.Statement = append(doc.Statement, s)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// matrix is the services of a server behind a dispatcher whose one user has the policy that the test gives it.
type matrix struct {
	t        *testing.T
	server   *Server
	services []service
	user     granted
	calls    *dispatch.Dispatcher
	samples  sampler
	issuer   *ststest.Issuer // of web identities, a provider of the account
	trusted  string          // the trust policy of the role that is assumed
}

func newMatrix(t *testing.T, edit func([]service) []service) *matrix {
	issuer, cfg := ststest.New(t), config(t)
	cfg.PrivateIssuers = []string{issuer.Host()}
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	m := &matrix{t: t, server: s, services: s.services, samples: sampler{t: t}, issuer: issuer, trusted: trustsOf()}
	if edit != nil {
		m.services = edit(s.services)
	}
	m.calls = dispatch.New(dispatch.Deps{
		Authorizer: dispatch.NewPolicies(dispatch.PolicyDeps{Identities: &m.user}), Log: slog.New(slog.DiscardHandler),
	})
	register(m.calls, m.services)
	m.seed()
	return m
}

// root carries an op out as the account's root user, with an input that has these members and no other, and answers its
// output; nil if it fails.
func (m *matrix) root(service, name string, members map[string]any) reflect.Value {
	for _, svc := range m.services {
		for _, op := range svc.Ops {
			if svc.Name != service || op.Name != name {
				continue
			}
			in := op.NewInput()
			for member, value := range members {
				if text, ok := value.(string); ok {
					value = &text
				}
				reflect.ValueOf(in).Elem().FieldByName(member).Set(reflect.ValueOf(value))
			}
			call := &aws.Call{Op: op, Account: matrixAccount, Region: "us-east-1", Principal: aws.RootOf(matrixAccount, ""), Input: in}
			m.user.text = ""
			if out, err := m.calls.Do(m.t.Context(), call); err == nil {
				return reflect.ValueOf(out).Elem()
			}
		}
	}
	return reflect.Value{}
}

// seed makes what must exist for an op to be authorized: a role, whose trust policy has a say in who assumes it, and a key with
// an alias and a ciphertext. What is there already stays; what an op deleted comes back.
func (m *matrix) seed() {
	if m.root("iam", "CreateRole", map[string]any{"RoleName": "assumed", "AssumeRolePolicyDocument": trustsOf()}).IsValid() {
		m.trusted = trustsOf()
	}
	m.root("iam", "CreateOpenIDConnectProvider", map[string]any{
		"URL": m.issuer.URL(), "ClientIDList": []string{ststest.Audience}, "ThumbprintList": []string{m.issuer.Thumbprint()},
	})
	if m.samples.fixed == nil {
		m.samples.fixed = map[string]any{
			"sts:RoleArn": "arn:aws:iam::" + matrixAccount + ":role/assumed",
			// The keys of ciphertexts and of grants are found by KeyId.
			"kms:AliasName": "alias/sample", "kms:GrantToken": nil, "kms:GrantTokens": nil,
			"sns:TopicArn": "arn:aws:sns:us-east-1:" + matrixAccount + ":sample", "sns:TargetArn": nil, "sns:PhoneNumber": nil,
			"sns:ResourceArn": "arn:aws:sns:us-east-1:" + matrixAccount + ":sample", "sns:DataProtectionPolicy": nil,
			"sns:Attributes":    map[string]string{"SQSFailureFeedbackRoleArn": "arn:aws:iam::" + matrixAccount + ":role/assumed"},
			"sns:AttributeName": "SQSFailureFeedbackRoleArn", "sns:AttributeValue": "arn:aws:iam::" + matrixAccount + ":role/assumed",
			"ecr:ResourceArn": "arn:aws:ecr:us-east-1:" + matrixAccount + ":repository/sample", "ecr:RegistryID": matrixAccount,
			"ecr:UploadID": "11111111-1111-1111-1111-111111111111", "ecr:LayerDigest": "sha256:" + strings.Repeat("a", 64),
			"ecr:LayerDigests":    []string{"sha256:" + strings.Repeat("a", 64)},
			"sns:SubscriptionArn": "arn:aws:sns:us-east-1:" + matrixAccount + ":sample:11111111-1111-1111-1111-111111111111",
			"sqs:QueueURL":        "http://127.0.0.1/" + matrixAccount + "/sample", "sqs:QueueOwnerAWSAccountID": matrixAccount,
			"sqs:SourceArn": "arn:aws:sqs:us-east-1:" + matrixAccount + ":sample", "sqs:DestinationArn": "arn:aws:sqs:us-east-1:" + matrixAccount + ":other",
			"sqs:TaskHandle":   sqsapi.NewTaskHandle("sample", "arn:aws:sqs:us-east-1:"+matrixAccount+":sample"),
			"sts:SerialNumber": nil, "sts:TokenCode": nil, // there are no MFA devices
			"sts:ProviderID": nil, // not with the tokens that are taken
			"sts:WebIdentityToken": m.issuer.Token(map[string]any{
				"exp": time.Now().Unix() + 3600, "https://aws.amazon.com/source_identity": "sample",
				"https://aws.amazon.com/tags": map[string]any{"principal_tags": map[string]string{"sample": "sample"}},
			}),
			// A queue is polled, and nothing else is served.
			"lambda:EventSourceArn": "arn:aws:sqs:us-east-1:" + matrixAccount + ":sample", "lambda:SelfManagedEventSource": nil,
			"accessanalyzer:PrincipalArn":  "arn:aws:iam::" + matrixAccount + ":role/assumed",
			"accessanalyzer:AccessRole":    "arn:aws:iam::" + matrixAccount + ":role/assumed",
			"accessanalyzer:CloudTrailArn": "arn:aws:cloudtrail:us-east-1:" + matrixAccount + ":trail/sample",
			"logs:ResourceArn":             "arn:aws:logs:us-east-1:" + matrixAccount + ":log-group:sample",
		}
		if out := m.root("kms", "CreateKey", nil); out.IsValid() {
			key := out.FieldByName("KeyMetadata").Elem().FieldByName("Arn").Elem().String()
			for _, member := range []string{"KeyID", "SourceKeyID", "DestinationKeyID", "TargetKeyID"} {
				m.samples.fixed["kms:"+member] = key
			}
			out = m.root("kms", "Encrypt", map[string]any{"KeyID": key, "Plaintext": []byte("sample")})
			m.samples.fixed["kms:CiphertextBlob"] = out.FieldByName("CiphertextBlob").Bytes()
		}
	}
	m.root("kms", "CreateAlias", map[string]any{"AliasName": "alias/sample", "TargetKeyID": m.samples.fixed["kms:KeyID"]})
}

// trustsOf is a trust policy for the account, with further statements.
func trustsOf(more ...string) string {
	account := `{"Effect":"Allow","Principal":{"AWS":"` + matrixAccount + `"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}`
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(append([]string{account}, more...), ",") + `]}`
}

// trust gives the issuer's identities these permissions, in the role's trust policy: it has a say about its own role and on
// actions of STS alone.
func (m *matrix) trust(list []permission) {
	m.t.Helper()
	var more []string
	for _, p := range list {
		if role, ok := m.samples.fixed["sts:RoleArn"].(string); ok && slices.Contains(p.arns, role) && strings.HasPrefix(p.action, "sts:") {
			more = append(more, fmt.Sprintf(`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::%s:oidc-provider/%s"},"Action":%q}`,
				matrixAccount, m.issuer.Host(), p.action))
		}
	}
	text := trustsOf(more...)
	if text == m.trusted {
		return
	}
	out := m.root("iam", "UpdateAssumeRolePolicy", map[string]any{"RoleName": "assumed", "PolicyDocument": text})
	if !out.IsValid() {
		m.t.Errorf("the role does not take the trust policy %s", text)
	}
	m.trusted = text
}

// doctored is a copy of the service of an op, with this op changed.
func doctored(name string, change func(*aws.Op)) func([]service) []service {
	return func(all []service) []service {
		out := slices.DeleteFunc(slices.Clone(all), func(s service) bool { return !strings.HasPrefix(name, s.Name+":") })
		for i := range out {
			svc := *out[i].Service
			svc.Ops = slices.Clone(svc.Ops)
			for j, op := range svc.Ops {
				c := *op
				if svc.Name+":"+op.Name == name {
					change(&c)
				}
				svc.Ops[j] = &c
			}
			out[i].Service = &svc
		}
		return out
	}
}

// call is the user's call of an op with its sample input.
func (m *matrix) call(op *aws.Op) *aws.Call {
	return &aws.Call{
		Op: op, Account: matrixAccount, Region: "us-east-1", RequestID: "matrix", SourceIP: "127.0.0.1", UserAgent: "matrix",
		Principal: &aws.Principal{Type: aws.User, Account: matrixAccount, Arn: matrixUser, ID: "AIDANOBODYNOBODYNOBOD"},
		Input:     m.samples.input(op.Service.Name, op.Name, op.NewInput()),
	}
}

// as carries the op out with these permissions: the user's, or of who needs no user's key.
func (m *matrix) as(op *aws.Op, list ...permission) error {
	if op.Unsigned {
		m.trust(list)
	}
	m.user.text = ""
	if len(list) > 0 && !op.Unsigned {
		m.user.text = policyOf(list)
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	_, err := m.calls.Do(ctx, m.call(op))
	return err
}

// refused says that the policies refused this very action.
func refused(op *aws.Op, err error, action string) bool {
	d, says := (*dispatch.Denial)(nil), "User: "+matrixUser+" is not authorized to perform: "+action+" on resource: "
	if op.Unsigned {
		says = "Not authorized to perform " + action
	}
	return errors.Is(err, aws.ErrAccessDenied) && errors.As(err, &d) && d.Action == action && strings.Contains(err.Error(), says)
}

// needs is what the op asks for, by its row in the table.
func (m *matrix) needs(op *aws.Op, impl any) (own permission, also []permission, err error) {
	call := m.call(op)
	ctx := aws.WithCall(m.t.Context(), call)
	own = permission{action: op.Action}
	if id, ok := impl.(dispatch.Identifier); ok && op.Unsigned {
		if call.Principal, _, err = id.Identify(ctx, call); err != nil {
			return own, nil, err
		}
	}
	if op.Resources != nil {
		own.arns, err = op.Resources(ctx, impl, call.Input)
	} else {
		own.arns = []string{expanded(op.Resource, call)}
	}
	for _, p := range op.Also {
		arns, e := p.Resources(ctx, impl, call.Input)
		err = errors.Join(err, e)
		also = append(also, permission{p.Action, arns})
	}
	return own, also, err
}

// expanded is the test's own reading of an ARN template.
func expanded(template string, call *aws.Call) string {
	template = strings.NewReplacer("${Partition}", "aws", "${Region}", call.Region, "${Account}", call.Account).Replace(template)
	in := reflect.ValueOf(call.Input).Elem()
	for i := range in.NumField() {
		if !in.Type().Field(i).IsExported() {
			continue
		}
		if s, ok := reflect.TypeAssert[*string](in.Field(i)); ok && s != nil {
			template = strings.ReplaceAll(template, "${"+in.Type().Field(i).Name+"}", *s)
		}
	}
	return template
}

// other is the permission for another resource.
func (p permission) other() permission {
	o := permission{action: p.action}
	for _, arn := range p.arns {
		o.arns = append(o.arns, arn+"-other")
	}
	return o
}

// checkRow compares an op's row with the exceptions above.
func checkRow(svc *aws.Service, op *aws.Op) (problems []string) {
	name := svc.Name + ":" + op.Name
	want := svc.SigningName + ":" + op.Name
	if other := otherActions[name]; other != "" {
		want = other
	}
	if op.Action != want {
		problems = append(problems, fmt.Sprintf("%s: its action is %q, want %q", name, op.Action, want))
	}
	if op.NoAuth != slices.Contains(withoutPermission, name) {
		problems = append(problems, fmt.Sprintf("%s: needs a permission = %t", name, !op.NoAuth))
	}
	if op.Unsigned != slices.Contains(unsigned, name) {
		problems = append(problems, fmt.Sprintf("%s: comes without a signature = %t", name, op.Unsigned))
	}
	if bare := op.Resource == "*"; bare != slices.Contains(withoutResource, name) {
		problems = append(problems, fmt.Sprintf("%s: has no resource = %t", name, bare))
	}
	if op.Resource == "" && op.Resources == nil {
		problems = append(problems, fmt.Sprintf("%s: nothing says what it acts on", name))
	}
	var also []string
	for _, p := range op.Also {
		also = append(also, p.Action)
	}
	if !slices.Equal(also, furtherPermissions[name]) {
		problems = append(problems, fmt.Sprintf("%s: asks for %v beyond its action, want %v", name, also, furtherPermissions[name]))
	}
	return problems
}

// checkDenied calls the op as somebody without a policy: denied, and nothing changed.
func (m *matrix) checkDenied(op *aws.Op) (problems []string) {
	if op.Unsigned {
		m.trust(nil)
	}
	before := m.state()
	err := m.as(op)
	switch {
	case op.NoAuth && refused(op, err, op.Action):
		problems = append(problems, fmt.Sprintf("%s needs no permission, and is refused: %v", op.Action, err))
	case !op.NoAuth && !refused(op, err, op.Action):
		problems = append(problems, fmt.Sprintf("%s without a policy: %v", op.Action, err))
	}
	if m.state() != before {
		problems = append(problems, fmt.Sprintf("%s without a policy changed something", op.Action))
	}
	return problems
}

// checkAllowed calls the op with less than it needs, with the same for another resource, and with exactly what it needs.
func (m *matrix) checkAllowed(op *aws.Op, impl any) (problems []string) {
	if op.NoAuth {
		return nil
	}
	own, also, err := m.needs(op, impl)
	if err != nil || len(own.arns) == 0 {
		return []string{fmt.Sprintf("%s: what it acts on: %v, %v", op.Action, own.arns, err)}
	}
	if op.Resource != "*" {
		if err := m.as(op, append([]permission{own.other()}, also...)...); !refused(op, err, op.Action) {
			problems = append(problems, fmt.Sprintf("%s with the action on %v: %v", op.Action, own.other().arns, err))
		}
	}
	if err := m.as(op, append([]permission{{"other:" + op.Name, own.arns}}, also...)...); !refused(op, err, op.Action) {
		problems = append(problems, fmt.Sprintf("%s with another action: %v", op.Action, err))
	}
	for i, p := range also {
		if len(p.arns) == 0 {
			problems = append(problems, fmt.Sprintf("%s: the sample input does not ask for %s", op.Action, p.action))
			continue
		}
		rest := append([]permission{own}, slices.Delete(slices.Clone(also), i, i+1)...)
		if err := m.as(op, rest...); !refused(op, err, p.action) {
			problems = append(problems, fmt.Sprintf("%s without %s: %v", op.Action, p.action, err))
		}
		if err := m.as(op, append(rest, p.other())...); !refused(op, err, p.action) {
			problems = append(problems, fmt.Sprintf("%s with %s on another resource: %v", op.Action, p.action, err))
		}
	}
	// Last: it may delete what it acts on.
	if err := m.as(op, append([]permission{own}, also...)...); errors.Is(err, aws.ErrAccessDenied) {
		problems = append(problems, fmt.Sprintf("%s with exactly %v, %v: %v", op.Action, own, also, err))
	}
	return problems
}

// state is a digest of all that the server keeps.
func (m *matrix) state() [sha256.Size]byte {
	h := sha256.New()
	root := m.server.cfg.Data
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") { // where SQLite notes who reads
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n", path, len(b))
		h.Write(b)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// run checks every op of every service: first, while nothing was done, that those without a policy change nothing.
func (m *matrix) run() (ops int, problems []string) {
	for _, svc := range m.services {
		for _, op := range svc.Ops {
			ops++
			problems = append(problems, checkRow(svc.Service, op)...)
			problems = append(problems, m.checkDenied(op)...)
		}
	}
	for _, svc := range m.services {
		for _, op := range svc.Ops {
			m.seed()
			problems = append(problems, m.checkAllowed(op, svc.impl)...)
		}
	}
	return ops, problems
}

// TestMatrix calls every operation of every service with no permission, with exactly the one that it needs, and with the one
// for another resource. An operation joins by being in its service's table, a service by being in the server's list.
func TestMatrix(t *testing.T) {
	m := newMatrix(t, nil)
	ops, problems := m.run()
	for _, p := range problems {
		t.Error(p)
	}
	var names []string
	want := 0
	for _, svc := range m.server.services {
		names = append(names, svc.Name)
		want += len(svc.Ops)
	}
	tables, err := filepath.Glob(filepath.Join("..", "api", "*", "ops.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if svc := filepath.Base(filepath.Dir(table)); !slices.Contains(names, svc) {
			t.Errorf("api/%s has a table of ops, and the server does not serve it", svc)
		}
	}
	if ops != want || ops < 50 || len(names) != len(tables) {
		t.Errorf("%d of %d ops in %d of %d services", ops, want, len(names), len(tables))
	}
	t.Logf("%d ops of %d services; %d without a permission, %d without a resource level", ops, len(names), len(withoutPermission), len(withoutResource))
	known := slices.Concat(unsigned, withoutPermission, withoutResource, slices.Collect(maps.Keys(otherActions)), slices.Collect(maps.Keys(furtherPermissions)))
	for _, name := range known {
		if svc, _, _ := strings.Cut(name, ":"); slices.Contains(names, svc) && !slices.ContainsFunc(m.services, func(s service) bool {
			return slices.ContainsFunc(s.Ops, func(o *aws.Op) bool { return s.Name+":"+o.Name == name })
		}) {
			t.Errorf("%s is an exception, and no op", name)
		}
	}
}

// TestMatrixNotices shows that the matrix fails when a row of the tables is wrong.
func TestMatrixNotices(t *testing.T) {
	for _, c := range []struct {
		name, op string
		change   func(*aws.Op)
		want     string // in one of the problems
	}{
		{"no permission needed", "iam:CreateGroup", func(op *aws.Op) { op.NoAuth = true }, "changed something"},
		{"no signature needed", "sts:AssumeRole", func(op *aws.Op) { op.Unsigned = true }, "comes without a signature = true"},
		{"another action", "logs:DeleteLogGroup", func(op *aws.Op) { op.Action = "logs:Delete" }, `its action is "logs:Delete"`},
		{"any resource", "lambda:DeleteFunction", func(op *aws.Op) { op.Resource, op.Resources = "*", nil }, "has no resource = true"},
		{"no resource", "lambda:DeleteFunction", func(op *aws.Op) { op.Resources = nil }, "nothing says what it acts on"},
		{"PassRole gone", "lambda:CreateFunction", func(op *aws.Op) { op.Also = op.Also[1:] }, "beyond its action"},
		{"PassRole on nothing", "lambda:CreateFunction", func(op *aws.Op) {
			op.Also = slices.Clone(op.Also)
			op.Also[0].Resources = func(context.Context, any, any) ([]string, error) { return nil, nil }
		}, "does not ask for iam:PassRole"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := newMatrix(t, doctored(c.op, c.change)).run()
			if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("the matrix says %q, and not that %q", problems, c.want)
			}
		})
	}
}
