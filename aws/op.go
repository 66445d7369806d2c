package aws

import "context"

// Protocol names an AWS wire protocol, as the service models spell it.
type Protocol string

// The protocols of AWS's service models.
const (
	RestJSON  Protocol = "rest-json"
	RestXML   Protocol = "rest-xml"
	JSON10    Protocol = "json-1.0"
	JSON11    Protocol = "json-1.1"
	Query     Protocol = "query"
	EC2Query  Protocol = "ec2"
	RPCv2CBOR Protocol = "smithy-rpc-v2-cbor"
)

// Service is what a service model says about a whole service. Generated, one value per service.
type Service struct {
	Name         string     // our folder under api/ and service/: "lambda"
	ID           string     // the model's serviceId: "Lambda", "CloudWatch Logs"
	SigningName  string     // the service in a signature's credential scope: "lambda", "monitoring"
	Version      string     // apiVersion: "2015-03-31"
	TargetPrefix string     // left of the dot in X-Amz-Target; empty if the model has none
	XMLNamespace string     // of query and XML answers
	Protocols    []Protocol // every protocol that clients may speak to it, the model's preferred one first
	Ops          []*Op      // what is served, by name
	Absent       []Absent   // what the model has and Enfold does not: answered 501 NotImplemented naming the op

	// TypedErrors says that REST-JSON error bodies carry "Type": "User" or "Service" beside the message, as Lambda's do.
	TypedErrors bool
	// PathMember is the member that a query request may leave out and say by the path it is sent to: SQS's "QueueUrl".
	PathMember string
	// ValidationCode is the error code of a constraint violation: "ValidationException" for most, "InvalidParameterException"
	// for CloudWatch Logs, "ValidationError" for the query services.
	ValidationCode string
	// DeniedCode is what the service calls AccessDenied in answers of the query protocol; empty if it has no word of its own.
	DeniedCode string
	// RawText says that what is no Unicode in the text of a JSON request, a surrogate without its other half, is no UTF-8 in the input
	// either, for the service to refuse. For others U+FFFD takes its place.
	RawText bool
}

// Absent is an op of the model that Enfold does not serve.
type Absent struct {
	Name   string
	Method string
	URI    string
}

// Op is one operation: how it looks on the wire, what IAM calls it, what it acts on. Generated.
type Op struct {
	Service  *Service
	Name     string // "CreateFunction"
	Method   string // "POST"
	URI      string // "/2015-03-31/functions/{FunctionName}/invocations?x=y", as the model writes it
	Status   int    // of success; 200 unless the model says otherwise
	Action   string // IAM action: "lambda:CreateFunction"
	Resource string // ARN template "arn:aws:lambda:${Region}:${Account}:function:${FunctionName}", or "*"
	ReadOnly bool   // changes nothing: Get, List, Describe …
	Data     bool   // a data event of the audit trail, not a management event
	NoAuth   bool   // needs no permission, as sts:GetCallerIdentity
	Unsigned bool   // comes without a signature: what is in the input proves who calls, as sts:AssumeRoleWithWebIdentity
	MaxBody  int64  // bytes that a request's body may have; 0 means the gateway's default

	// Resources is set where Resource cannot be told by a template: it is empty then, and this gives the ARNs. ctx carries
	// the Call (CallFrom), impl must be the service's API interface, input the op's input struct. An error is the answer
	// to the caller.
	Resources func(ctx context.Context, impl, input any) ([]string, error)

	// Also are the further permissions that the op asks for, such as iam:PassRole on the role that it hands to a service.
	Also []Permission

	NewInput  func() any // a pointer to an empty input struct
	NewOutput func() any // a pointer to an empty output struct
	Errors    []*ErrorType
	// Call runs the op on impl, which must be the service's API interface.
	Call func(ctx context.Context, impl, input any) (any, error)
}

// Permission is one permission that an op asks for beyond its own action.
type Permission struct {
	Action string // "iam:PassRole"
	// Resources gives the ARNs that the action must be allowed on; none, and the permission is not asked for: the member of
	// the input that names them is absent.
	Resources func(ctx context.Context, impl, input any) ([]string, error)
	// Keys are condition keys that this action has beside those of the request: {"iam:PassedToService": "lambda.amazonaws.com"}.
	Keys map[string]string
}

// Call is one request on its way through the house, off the wire or from a service inside.
type Call struct {
	Op        *Op
	Principal *Principal
	// Account is whose resources are meant, 12 digits. It is the caller's own until the call was authorized on an ARN of
	// another account: then it is that account.
	Account   string
	Region    string // from the signature's credential scope
	RequestID string // UUID, also the invocation's id for lambda:Invoke
	SourceIP  string // of the client; the service's DNS name for calls by a service
	UserAgent string
	TraceID   string // X-Amzn-Trace-Id as the client sent it or the service made it; may be empty
	Secure    bool   // came over TLS
	Input     any    // the op's input struct, decoded and validated
	// SourceArn and SourceAccount say on whose behalf a service calls; empty for everybody else.
	SourceArn     string
	SourceAccount string
	// Cause is why a service sends what another place did not get, as JSON that the place keeps with it. No request from outside
	// has one.
	Cause string
	// Via are the services through which the principal's call came, the first one first, by their DNS names: Lambda that
	// uses a KMS key with the rights of who creates the function. Empty for what the principal sent itself.
	Via []string
	// Resolved is what the service found while it was asked which resources the call acts on, kept for its handler: what was
	// authorized is what is acted on, though an alias moves in between.
	Resolved any
	// Authorized are the actions and resources that the authorizer decided on, in order, for the audit trail. The dispatcher
	// clears it before it asks.
	Authorized []Access
	// Client is who waits for the answer at the other end of a connection; nil if nobody can tell.
	Client Client
	// Answer is what is being written to the client; nil if nothing is.
	Answer Answer
	// BaseURL is how the client reached us ("http://127.0.0.1:4566"), for links in answers.
	BaseURL string
}

// Answer is on its way to a client. Cut ends a write that waits for a client that does not read, and lets no other succeed.
type Answer interface{ Cut() }

// Client tells whether it has gone. A context ends a moment after its client went; who would hand something out that is lost
// with the answer asks first.
type Client interface{ Gone() bool }

// Access is one action on one resource.
type Access struct{ Action, Resource string }

type callKey struct{}

// WithCall puts the call where handlers find it.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom is the call that ctx belongs to, never nil: outside a call it is an empty one.
func CallFrom(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return &Call{Principal: &Principal{}}
}

// Doer carries a call out: dispatch.Dispatcher, or a fake in tests. The answer is the op's output struct.
type Doer interface {
	Do(ctx context.Context, call *Call) (any, error)
}
