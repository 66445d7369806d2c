package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	iamapi "github.com/enfold-run/enfold/api/iam"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	snsapi "github.com/enfold-run/enfold/api/sns"
	sqsapi "github.com/enfold-run/enfold/api/sqs"
	stsapi "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/gateway"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/service/ecr"
	"github.com/enfold-run/enfold/service/iam"
	"github.com/enfold-run/enfold/service/sts"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/worker"
)

// access finds the keys that requests are signed with: long-term ones are IAM's, sessions say themselves who they are, as long
// as whom they speak for is there.
type access struct {
	root keys // of the server's first account, which may be fixed by the configuration
	iam  *iam.Service
	sts  *sts.Service
}

// Lookup implements sigv4.Keys.
func (a access) Lookup(ctx context.Context, id, sessionToken string) (sigv4.Key, error) {
	if sessionToken != "" {
		return a.session(ctx, id, sessionToken)
	}
	if id == a.root.id {
		return a.root.key, nil
	}
	secret, p, err := a.iam.LookupKey(ctx, id)
	if errors.Is(err, iam.ErrUnknownKey) {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	if err != nil {
		return sigv4.Key{}, fmt.Errorf("look up access key: %w", err)
	}
	return sigv4.Key{Secret: secret, Principal: p}, nil
}

// session is the key of a session. One of a role or user that was deleted is as unknown as one that never was.
func (a access) session(ctx context.Context, id, token string) (sigv4.Key, error) {
	secret, p, err := a.sts.Open(id, token)
	switch {
	case errors.Is(err, sts.ErrExpired):
		return sigv4.Key{}, sigv4.ErrSessionExpired
	case err != nil:
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	exists, err := a.iam.IssuerExists(ctx, p)
	if err != nil {
		return sigv4.Key{}, fmt.Errorf("look up the issuer of a session: %w", err)
	}
	if !exists {
		return sigv4.Key{}, sigv4.ErrUnknownKey
	}
	return sigv4.Key{Secret: secret, Principal: p}, nil
}

// roles is what STS asks IAM.
type roles struct{ iam *iam.Service }

// Role implements sts.Roles.
func (r roles) Role(ctx context.Context, arn string) (sts.Role, error) {
	i, err := r.iam.Role(ctx, arn)
	if err != nil {
		return sts.Role{}, err
	}
	return sts.Role{Arn: i.Arn, ID: i.ID, Name: i.Name, MaxSession: time.Duration(i.MaxSessionDuration) * time.Second, Tags: i.Tags}, nil
}

// Trust implements sts.Roles. A role that does not exist trusts nobody, so that whoever asks learns nothing from the answer.
func (r roles) Trust(ctx context.Context, arn string) (*policy.ResourceGrants, error) {
	g := &policy.ResourceGrants{Decisive: true}
	i, err := r.iam.Role(ctx, arn)
	if errors.Is(err, iamapi.ErrNoSuchEntity) || errors.Is(err, aws.ErrValidation) {
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	g.Policies = []policy.Named{{Name: "trust policy of " + i.Arn, Policy: i.Trust}}
	return g, nil
}

// KeyAccount implements sts.Roles.
func (r roles) KeyAccount(ctx context.Context, id string) (string, error) {
	_, p, err := r.iam.LookupKey(ctx, id)
	if err != nil {
		return "", err
	}
	return p.Account, nil
}

// Provider implements sts.Roles.
func (r roles) Provider(ctx context.Context, account, url string) (sts.Provider, bool, error) {
	p, err := r.iam.Provider(ctx, account, url)
	if errors.Is(err, iamapi.ErrNoSuchEntity) {
		return sts.Provider{}, false, nil
	}
	return sts.Provider{Arn: p.Arn, URL: p.URL, ClientIDs: p.ClientIDs, Thumbprints: p.Thumbprints}, err == nil, err
}

// lambdaService is Lambda acting by itself.
var lambdaService = aws.ServicePrincipal("lambda.amazonaws.com")

// functionRoles assumes the roles of functions, as lambda.amazonaws.com, by the calls that everybody makes: the role's trust
// policy decides, and the audit trail has it.
type functionRoles struct{ sts stsapi.API }

// CanAssume implements lambda.Roles.
func (r functionRoles) CanAssume(ctx context.Context, call *aws.Call, roleArn, function string) error {
	_, err := r.assume(ctx, call.Account, call.Region, roleArn, function)
	return err
}

// credentials implements worker.Deps.Credentials.
func (r functionRoles) credentials(ctx context.Context, f *worker.Function) (worker.Credentials, error) {
	c, err := r.assume(ctx, f.Account, f.Region, f.Role, f.Name)
	var refused *aws.Error
	if errors.As(err, &refused) && !refused.Type.Server {
		return worker.Credentials{}, fmt.Errorf("%w: %w", worker.ErrRole, err)
	}
	if err != nil {
		return worker.Credentials{}, err
	}
	return worker.Credentials{
		AccessKeyID: *c.AccessKeyID, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken, Expires: *c.Expiration,
	}, nil
}

// executionRoles are the roles of functions, with what policies say of them.
type executionRoles struct {
	functionRoles
	sessions *sessions
	policies dispatch.Authorizer
	server   *Server // whose services tell their resources' policies
}

// CanSend implements lambda.Roles.
func (r executionRoles) CanSend(ctx context.Context, call *aws.Call, role, function, target string) error {
	arn, err := aws.ParseARN(target)
	if err != nil {
		return err
	}
	p, err := r.sessions.Session(ctx, store.Scope{Account: call.Account, Region: call.Region}, role, function)
	if err != nil {
		return err
	}
	ask := &aws.Call{
		Principal: p, Account: p.Account, Region: arn.Region, RequestID: uuid.NewString(), SourceIP: lambdaService.Service, UserAgent: lambdaService.Service,
		Secure: true, SourceAccount: call.Account, SourceArn: aws.NewARN("lambda", call.Region, call.Account, "function:"+function).String(),
	}
	var impl any
	switch arn.Service {
	case "sqs":
		url, err := sqsapi.URLOf(target)
		if err != nil {
			return err
		}
		ask.Op, ask.Input, impl = sqsapi.OpSendMessage, &sqsapi.SendMessageInput{QueueURL: &url}, r.server.sqs
	case "sns":
		ask.Op, ask.Input, impl = snsapi.OpPublish, &snsapi.PublishInput{TopicArn: &target}, r.server.sns
	case "lambda":
		ask.Op, ask.Input, impl = lambdaapi.OpInvoke, &lambdaapi.InvokeInput{FunctionName: &target}, r.server.lambda
	default:
		return nil
	}
	err = r.policies.Authorize(aws.WithCall(ctx, ask), ask, impl)
	var other *aws.Error
	if errors.As(err, &other) && other.Type != aws.ErrAccessDenied {
		return nil // the place is not there: it may be made later
	}
	return err
}

// maxSessionName is that of RoleSessionName; a function's name has as many characters at most.
const maxSessionName = 64

func (r functionRoles) assume(ctx context.Context, account, region, role, function string) (*stsapi.Credentials, error) {
	ctx = aws.WithCall(ctx, &aws.Call{
		Principal: lambdaService, Account: account, Region: region, RequestID: uuid.NewString(), SourceIP: lambdaService.Service,
		UserAgent: lambdaService.Service, Secure: true, SourceAccount: account,
		SourceArn: aws.NewARN("lambda", region, account, "function:"+function).String(),
	})
	name := function
	if len(name) < 2 {
		name += "-" // a session's name has two characters at least
	}
	out, err := r.sts.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &role, RoleSessionName: new(name[:min(len(name), maxSessionName)])})
	if err != nil {
		return nil, err
	}
	return out.Credentials, nil
}

// sandboxAPI serves the AWS API to one function, at a listener inside its sandbox's network, and nothing else: what lies
// under /_enfold/ is for the host's users.
type sandboxAPI struct {
	front http.Handler
	log   *slog.Logger
}

// serve implements worker.Deps.API.
func (a *sandboxAPI) serve(l net.Listener, f *worker.Function) (stop func()) {
	srv := gateway.NewServer(apiOnly{a.front}, a.log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with the sandbox
	}()
	return func() {
		srv.Close()
		<-done
	}
}

// apiOnly hides the paths that are not AWS's.
type apiOnly struct{ next http.Handler }

func (h apiOnly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_enfold/") && !strings.HasPrefix(r.URL.Path, codePath) && !strings.HasPrefix(r.URL.Path, ecr.LayerPath) {
		http.NotFound(w, r)
		return
	}
	h.next.ServeHTTP(w, r)
}
