package kms

import (
	"encoding/base64"
	"strings"

	api "github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/store"
)

// A grant token names a grant. Here a grant holds at once, so a token proves nothing that the grant does not; it is sealed
// so that nobody can make one up.

var tokenPlace = []byte("kms grant token")

func errToken() error { return api.ErrInvalidGrantToken.New("Grant token is invalid.") }

func (s *Service) token(r ref, grantID string) string {
	text := store.Key(r.scope.Account, r.scope.Region, r.id, grantID)
	return base64.RawURLEncoding.EncodeToString(s.seal.Seal([]byte(text), tokenPlace))
}

// openToken is the grant that a token names, which need not exist any more.
func (s *Service) openToken(token string) (ref, string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return ref{}, "", errToken()
	}
	text, err := s.seal.Open(b, tokenPlace)
	if err != nil {
		return ref{}, "", errToken()
	}
	p := strings.Split(string(text), "\x00")
	if len(p) != 4 {
		return ref{}, "", errToken()
	}
	return ref{store.Scope{Account: p[0], Region: p[1]}, p[2]}, p[3], nil
}

// checkTokens refuses tokens that are not of this server.
func (s *Service) checkTokens(tokens []string) error {
	for _, t := range tokens {
		if _, _, err := s.openToken(t); err != nil {
			return err
		}
	}
	return nil
}
