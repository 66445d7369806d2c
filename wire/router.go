package wire

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/enfold-run/enfold/aws"
)

// Router finds the op of a request among the services that it was built over. It is safe for concurrent use.
type Router struct {
	services []*aws.Service
	indexed  sync.Once
	byTarget map[string]*aws.Service // X-Amz-Target's left part
	ops      map[*aws.Service]ops    // by name
	trees    map[*aws.Service]*tree  // of the REST services
}

// ops are a service's ops by name; a nil Op is one that the model has and Enfold does not serve.
type ops map[string]*aws.Op

// NewRouter routes to the given services. It indexes them at the first request.
func NewRouter(services ...*aws.Service) *Router {
	return &Router{services: services}
}

func (rt *Router) index() {
	rt.byTarget = map[string]*aws.Service{}
	rt.ops = map[*aws.Service]ops{}
	rt.trees = map[*aws.Service]*tree{}
	for _, s := range rt.services {
		all := ops{}
		for _, o := range s.Ops {
			all[o.Name] = o
		}
		for _, a := range s.Absent {
			all[a.Name] = nil
		}
		rt.ops[s] = all
		if s.TargetPrefix != "" {
			rt.byTarget[s.TargetPrefix] = s
		}
		if isREST(s) {
			rt.trees[s] = restTree(s)
		}
	}
}

func isREST(s *aws.Service) bool {
	return slices.Contains(s.Protocols, aws.RestJSON) || slices.Contains(s.Protocols, aws.RestXML)
}

func restTree(s *aws.Service) *tree {
	t := &tree{}
	for _, o := range s.Ops {
		t.add(&route{service: s, op: o, name: o.Name, method: o.Method}, o.URI)
	}
	for _, a := range s.Absent {
		t.add(&route{service: s, name: a.Name, method: a.Method}, a.URI)
	}
	return t
}

// Route says which op a request means, and in which protocol. signingName is the service in the signature's credential
// scope, "" if the request has none; body is the request's body where it is form-encoded (see IsForm) and may be nil
// otherwise. The error is an *aws.Error: ErrUnknownOp, or ErrNotImplemented naming an op that the model has and Enfold
// does not serve, or a service that it does not.
func (rt *Router) Route(r *http.Request, signingName string, body []byte) (*Match, error) {
	m, err := rt.route(r, signingName, body)
	if err != nil && errors.Is(err, aws.ErrUnknownOp) && signingName != "" && !rt.serves(signingName) {
		return nil, aws.ErrNotImplemented.Withf("Enfold does not serve %.64q. It serves %s.", signingName, rt.served())
	}
	return m, err
}

func (rt *Router) serves(signingName string) bool {
	return slices.ContainsFunc(rt.services, func(s *aws.Service) bool { return s.SigningName == signingName })
}

// served names the services, for people.
func (rt *Router) served() string {
	names := make([]string, len(rt.services))
	for i, s := range rt.services {
		names[i] = s.SigningName
	}
	return strings.Join(names, ", ")
}

func (rt *Router) route(r *http.Request, signingName string, body []byte) (*Match, error) {
	rt.indexed.Do(rt.index)
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return rt.routeTarget(r, target)
	}
	if service, op, ok := cborPath(r); ok {
		return rt.routeCBOR(service, op)
	}
	if form, ok := rt.actionForm(r, signingName, body); ok {
		return rt.routeAction(form, signingName)
	}
	return rt.routePath(r, signingName)
}

// routeTarget routes JSON 1.0 and 1.1: "Logs_20140328.PutLogEvents".
func (rt *Router) routeTarget(r *http.Request, target string) (*Match, error) {
	dot := strings.LastIndexByte(target, '.')
	if dot < 0 {
		return nil, aws.ErrUnknownOp.New("")
	}
	s := rt.byTarget[target[:dot]]
	if s == nil {
		return nil, aws.ErrUnknownOp.New("")
	}
	p := jsonProtocol(r.Header.Get("Content-Type"), s)
	if p == "" {
		return nil, aws.ErrUnknownOp.New("")
	}
	m, err := rt.match(s, target[dot+1:], p)
	if err == nil {
		m.queryMode = strings.EqualFold(r.Header.Get("X-Amzn-Query-Mode"), "true")
	}
	return m, err
}

// jsonProtocol is the JSON protocol of the request; a service answers in either if it speaks one.
func jsonProtocol(contentType string, s *aws.Service) aws.Protocol {
	for _, p := range s.Protocols {
		if p == aws.JSON10 || p == aws.JSON11 {
			switch {
			case strings.HasPrefix(contentType, "application/x-amz-json-1.0"):
				return aws.JSON10
			case strings.HasPrefix(contentType, "application/x-amz-json-1.1"):
				return aws.JSON11
			}
			return p
		}
	}
	return ""
}

// cborPath recognizes "/service/NAME/operation/OP" of RPC v2 CBOR.
func cborPath(r *http.Request) (service, op string, ok bool) {
	if r.Method != http.MethodPost || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		return "", "", false
	}
	p := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if n := len(p); n >= 4 && p[n-4] == "service" && p[n-2] == "operation" {
		return p[n-3], p[n-1], true
	}
	return "", "", false
}

func (rt *Router) routeCBOR(service, op string) (*Match, error) {
	s := rt.byTarget[service]
	if s == nil || !slices.Contains(s.Protocols, aws.RPCv2CBOR) {
		return nil, aws.ErrUnknownOp.New("")
	}
	return rt.match(s, op, aws.RPCv2CBOR)
}

// IsForm reports whether a request's body is form-encoded, so that Route wants to see it.
func IsForm(r *http.Request) bool {
	ct := r.Header.Get("Content-Type")
	if !strings.HasPrefix(ct, "application/x-www-form-urlencoded") {
		return false
	}
	media, _, err := mime.ParseMediaType(ct)
	return err == nil && media == "application/x-www-form-urlencoded"
}

// actionForm is the form of a query or EC2 request: it has an Action, in the body or in the URL.
func (rt *Router) actionForm(r *http.Request, signingName string, body []byte) (url.Values, bool) {
	if signingName != "" && !slices.ContainsFunc(rt.services, func(s *aws.Service) bool {
		return s.SigningName == signingName && queryProtocol(s) != ""
	}) {
		return nil, false
	}
	text := r.URL.RawQuery
	if r.Method == http.MethodPost && IsForm(r) {
		text = string(body)
	}
	if len(text) < len("Action=") || !strings.Contains(text, "Action=") || strings.Count(text, "&") > maxFormValues {
		return nil, false
	}
	form, err := url.ParseQuery(text)
	return form, err == nil && form.Get("Action") != ""
}

func queryProtocol(s *aws.Service) aws.Protocol {
	for _, p := range s.Protocols {
		if p == aws.Query || p == aws.EC2Query {
			return p
		}
	}
	return ""
}

// routeAction routes query and EC2 query by Action and Version; the version decides where the signature does not.
func (rt *Router) routeAction(form url.Values, signingName string) (*Match, error) {
	action, version := form.Get("Action"), form.Get("Version")
	var found *aws.Service
	for _, s := range rt.services {
		if queryProtocol(s) == "" || signingName != "" && s.SigningName != signingName {
			continue
		}
		if version != "" && version != s.Version {
			continue
		}
		if _, has := rt.ops[s][action]; has {
			found = s
			break
		}
	}
	if found == nil {
		return nil, aws.ErrUnknownOp.Withf("Could not find operation %s for version %s", action, orNone(version))
	}
	m, err := rt.match(found, action, queryProtocol(found))
	if err == nil {
		m.form = form
	}
	return m, err
}

func orNone(version string) string {
	if version == "" {
		return "NO_VERSION_SPECIFIED"
	}
	return version
}

// routePath routes REST by method, path and query; services of the signature's name, or all if there is none.
func (rt *Router) routePath(r *http.Request, signingName string) (*Match, error) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	for _, s := range rt.services {
		t := rt.trees[s]
		if t == nil || signingName != "" && s.SigningName != signingName {
			continue
		}
		m := &Match{Service: s, Protocol: restProtocol(s)}
		m.search = search{method: r.Method, query: r.URL.RawQuery}
		m.route = m.search.find(t, path, 0, 0)
		if m.route == nil {
			continue
		}
		if m.route.op == nil {
			return nil, notImplemented(s, m.route.name)
		}
		m.Op = m.route.op
		return m, nil
	}
	return nil, aws.ErrUnknownOp.New("")
}

func restProtocol(s *aws.Service) aws.Protocol {
	for _, p := range s.Protocols {
		if p == aws.RestJSON || p == aws.RestXML {
			return p
		}
	}
	return ""
}

func (rt *Router) match(s *aws.Service, op string, p aws.Protocol) (*Match, error) {
	o, known := rt.ops[s][op]
	switch {
	case !known:
		return nil, aws.ErrUnknownOp.New("")
	case o == nil:
		return nil, notImplemented(s, op)
	}
	return &Match{Op: o, Service: s, Protocol: p}, nil
}

func notImplemented(s *aws.Service, op string) error {
	return aws.ErrNotImplemented.Withf("Enfold does not implement %s of %s.", op, s.ID)
}
