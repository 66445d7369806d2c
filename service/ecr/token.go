package ecr

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	api "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Errors of Open.
var (
	// ErrToken says that a login is none of ours.
	ErrToken = errors.New("ecr: the login is not valid")
	// ErrExpired says that a login's time is over.
	ErrExpired = errors.New("ecr: the login has expired")
)

const (
	loginUser = "AWS"
	loginTime = 12 * time.Hour
	maxLogin  = 32 << 10 // bytes
	linkTime  = time.Hour
)

// What is sealed is bound to its use: a link is no login.
var (
	loginUse = []byte("login")
	linkUse  = []byte("link")
)

// Login is what a login says.
type Login struct {
	Principal *aws.Principal
	Account   string // whose registry it is for, where the host does not say
	Region    string
	Expires   time.Time
}

// GetAuthorizationToken answers logins to registries: the caller's own if none are named. A login is good for twelve hours and
// not longer than the session that asks for it.
func (s *Service) GetAuthorizationToken(ctx context.Context, in *api.GetAuthorizationTokenInput) (*api.GetAuthorizationTokenOutput, error) {
	call := aws.CallFrom(ctx)
	if call.Principal == nil || call.Principal.AccessKeyID == "" {
		return nil, api.ErrInvalidParameter.New("Only who has an access key can log in to a registry.")
	}
	registries := slices.Clone(in.RegistryIDs)
	if len(registries) == 0 {
		registries = []string{call.Account}
	}
	l := Login{Principal: call.Principal, Region: call.Region, Expires: s.clock().Add(loginTime)}
	if p := call.Principal.Session; p != nil && p.Expires.Before(l.Expires) {
		l.Expires = p.Expires
	}
	out := &api.GetAuthorizationTokenOutput{}
	for _, l.Account = range registries {
		password, err := s.seal(l, loginUse)
		if err != nil {
			return nil, err
		}
		if len(password) > maxLogin {
			return nil, api.ErrInvalidParameter.New("The session has policies and tags that are too large for a login.")
		}
		out.AuthorizationData = append(out.AuthorizationData, &api.AuthorizationData{
			AuthorizationToken: new(base64.StdEncoding.EncodeToString([]byte(loginUser + ":" + password))), ExpiresAt: new(l.Expires),
			ProxyEndpoint: new(s.base(call)),
		})
	}
	return out, nil
}

// base is the address of the server as the caller reached it.
func (s *Service) base(call *aws.Call) string {
	if call.BaseURL != "" {
		return call.BaseURL
	}
	return s.deps.Endpoint
}

func (s *Service) seal(what any, use []byte) (string, error) {
	plain, err := json.Marshal(what)
	if err != nil {
		return "", fmt.Errorf("encode a login: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.deps.Seal.Seal(plain, use)), nil
}

func (s *Service) unseal(text string, use []byte, into any) error {
	if len(text) > maxLogin {
		return ErrToken
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		b, err = s.deps.Seal.Open(b, use)
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return ErrToken // for whatever reason
	}
	return nil
}

// Open reads a login: the password that goes with the name AWS. It does not know whether the access key is still good. The
// error is ErrToken or ErrExpired.
func (s *Service) Open(password string) (*Login, error) {
	l := &Login{}
	if err := s.unseal(password, loginUse, l); err != nil || l.Principal == nil {
		return nil, ErrToken
	}
	if !s.deps.Now().Before(l.Expires) {
		return nil, ErrExpired
	}
	return l, nil
}

// LayerPath is where links to layers lead.
const LayerPath = "/_enfold/layer/"

// link is what a link to a layer says.
type link struct {
	Scope              store.Scope
	Repository, Digest string
	Expires            time.Time
}

// link is a link to a layer of the call's account. Its path is for people; who may follow it says the token.
func (s *Service) link(ctx context.Context, repository, digest string) (string, error) {
	sc := scopeOf(ctx)
	token, err := s.seal(link{sc, repository, digest, s.clock().Add(linkTime)}, linkUse)
	return s.base(aws.CallFrom(ctx)) + LayerPath + sc.Account + "/" + sc.Region + "/" + digest + "?token=" + token, err
}
