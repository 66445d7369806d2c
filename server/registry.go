package server

import (
	"errors"
	"net"
	"net/http"
	"net/netip"

	ecrapi "github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/gateway"
	"github.com/enfold-run/enfold/service/ecr"
	"github.com/enfold-run/enfold/sigv4"
)

// registryLogin knows whom the logins of the image registry speak for.
type registryLogin struct {
	ecr   *ecr.Service
	keys  access
	guard *gateway.Guard
}

// login implements ecr.Registry.Login. A login is as good as the access key or the session that it was made with: one that was
// switched off, or whose role or user was deleted, opens nothing more.
func (l registryLogin) login(r *http.Request, password string) (who *ecr.Login, err error) {
	err = l.guard.Check(r, func() error {
		who, err = l.ecr.Open(password)
		switch {
		case errors.Is(err, ecr.ErrToken):
			return errors.Join(err, sigv4.ErrRefused)
		case err != nil:
			return err
		}
		if p := who.Principal; p.Session != nil {
			exists, err := l.keys.iam.IssuerExists(r.Context(), p)
			if err == nil && !exists {
				err = errors.Join(ecr.ErrToken, sigv4.ErrRefused)
			}
			return err
		}
		key, err := l.keys.Lookup(r.Context(), who.Principal.AccessKeyID, "")
		if errors.Is(err, sigv4.ErrUnknownKey) {
			return errors.Join(ecr.ErrToken, sigv4.ErrRefused)
		}
		who.Principal = key.Principal // as it is now: a user's tags may have changed
		return err
	})
	return who, err
}

// imageTransport is what pulls images for functions from the registry of this server, in process: for the hosts that ECR's
// registries have, and this server's own address. It is nil for others.
func (s *Server) imageTransport(host string) http.RoundTripper {
	if !s.isRegistry(host) {
		return nil
	}
	return ecr.Puller{Registry: s.registry, Service: lambdaService}
}

// isRegistry says whether a host is one of this server's registry.
func (s *Server) isRegistry(host string) bool {
	if _, _, ok := ecrapi.ParseHost(host); ok {
		return true
	}
	own := s.listener.Addr().String()
	name, port, err := net.SplitHostPort(host)
	if err != nil || host == own {
		return err == nil
	}
	if name == "localhost" {
		name = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(name, port))
	return err == nil && s.isOwn(at)
}
