package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	logsapi "github.com/enfold-run/enfold/api/logs"
	stsapi "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/gateway"
	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/sandbox"
	"github.com/enfold-run/enfold/service/lambda"
	"github.com/enfold-run/enfold/service/logs"
	"github.com/enfold-run/enfold/service/sts"
	"github.com/enfold-run/enfold/sigv4"
	"github.com/enfold-run/enfold/store"
	"github.com/enfold-run/enfold/store/sqlite"
	"github.com/enfold-run/enfold/worker"
)

// Server is a whole Enfold.
type Server struct {
	cfg      Config
	listener net.Listener
	http     *http.Server
	store    store.Store
	driver   sandbox.Driver
	pool     *worker.Pool
	shipper  *lambda.LogShipper
	lambda   *lambda.Service
	logs     *logs.Service
	services []service
}

// New opens the data directory and listens. Nothing is served before Serve. On an error everything is closed again.
func New(ctx context.Context, cfg Config) (s *Server, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s = &Server{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := makeDataDir(cfg.Data); err != nil {
		return s, err
	}
	// The address comes first: who finds it taken should not wait for the rest.
	if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return s, fmt.Errorf("listen: %w (choose another address with --listen)", err)
	}
	if s.store, err = sqlite.Open(ctx, cfg.Data, sqlite.Options{}); err != nil {
		return s, err
	}
	root, err := rootKey(cfg)
	if err != nil {
		return s, err
	}
	if s.driver, err = newDriver(cfg); err != nil {
		return s, err
	}

	metrics := prometheus.NewRegistry()
	calls := dispatch.New(dispatch.Deps{Metrics: metrics, Log: cfg.Log})
	s.logs = logs.New(logs.Deps{Store: s.store, Log: cfg.Log})
	s.shipper = lambda.NewLogShipper(logsapi.NewClient(calls), cfg.Log)
	rt := runtimes.New(runtimes.Options{DataDir: cfg.Data, Map: cfg.RuntimeMap})
	s.pool = worker.New(worker.Deps{
		Driver: s.driver, Runtimes: rt, Logger: s.shipper, Credentials: credentials, Log: cfg.Log, Idle: cfg.IdleTime,
	})
	links := newCodeLinks(s.store.Blobs(), cfg.Region)
	if s.lambda, err = lambda.New(lambda.Deps{
		Store: s.store, DataDir: cfg.Data, Runtimes: rt, Runner: s.pool, CodeURL: links.link, Metrics: metrics, Log: cfg.Log,
	}); err != nil {
		return s, err
	}
	registerPoolMetrics(metrics, s.pool)
	if err := s.sweepAfterCrash(ctx); err != nil {
		return s, err
	}

	s.services = []service{{lambdaapi.Service, s.lambda}, {logsapi.Service, s.logs}, {stsapi.Service, sts.New()}}

	front := gateway.New(gateway.Deps{
		Router:   register(calls, s.services),
		Verifier: sigv4.New(newKeys(cfg.Account, root)),
		Doer:     calls, Region: cfg.Region, Log: cfg.Log,
		Metrics: metrics, MetricsToken: cfg.MetricsToken,
		Health:   s.health,
		Internal: map[string]http.Handler{codePath: links},
	})
	s.http, err = s.httpServer(front)
	return s, err
}

// credentials are a sandbox's own: nothing is served to them until roles are, so they open nothing.
func credentials(context.Context, *worker.Function) (worker.Credentials, error) {
	var id [10]byte
	var secret [30]byte
	var token [96]byte
	rand.Read(id[:]) // never fails
	rand.Read(secret[:])
	rand.Read(token[:])
	return worker.Credentials{
		AccessKeyID:     "ASIA" + base32.StdEncoding.EncodeToString(id[:]),
		SecretAccessKey: base64.StdEncoding.EncodeToString(secret[:]),
		SessionToken:    base64.StdEncoding.EncodeToString(token[:]),
	}, nil
}

// URL is where clients find the server.
func (s *Server) URL() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + s.listener.Addr().String()
}

// Isolation is the name of the sandbox driver in use.
func (s *Server) Isolation() string { return s.driver.Name() }

// Serve serves until ctx ends, then lets running invocations finish for drain at most, or until hurry is closed, and closes
// everything. Nothing is left on the host afterwards.
func (s *Server) Serve(ctx context.Context, drain time.Duration, hurry <-chan struct{}) error {
	tune() // not before: a start does much at once
	defer giveBack()()
	failed := make(chan error, 1)
	go func() { failed <- s.serveHTTP() }()
	// What runs beside the requests ends after them: a drained invocation still logs.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running errgroup.Group
	running.Go(func() error { return s.lambda.Run(background) })
	running.Go(func() error { return s.logs.Run(background) })
	shipping, stopShipping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopShipping()
	shipped := make(chan error, 1)
	go func() { shipped <- s.shipper.Run(shipping) }()

	endpoint := filepath.Join(s.cfg.Data, EndpointFile)
	err := writeFile(endpoint, []byte(s.URL()+"\n")) // clients are served already: the disk takes its time
	defer os.Remove(endpoint)
	if err == nil {
		select {
		case err = <-failed:
		case <-ctx.Done():
			s.cfg.Log.Info("shutting down: waiting for running invocations", "atMost", drain.String(), "running", s.pool.Stats().Busy)
		}
	}
	s.drain(drain, hurry)
	stop()
	err = errors.Join(err, running.Wait())
	stopShipping()
	return errors.Join(err, <-shipped, s.close())
}

func (s *Server) serveHTTP() error {
	var err error
	if s.cfg.TLSCert != "" {
		err = s.http.ServeTLS(s.listener, s.cfg.TLSCert, s.cfg.TLSKey)
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// drain lets requests finish, then ends every sandbox. hurry ends the patience at once.
func (s *Server) drain(limit time.Duration, hurry <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() {
		select {
		case <-hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := s.http.Shutdown(ctx); err != nil {
		s.cfg.Log.Warn("invocations were cut off", "error", err)
		s.http.Close()
	}
	s.pool.Drain(ctx)
}

// close closes what New opened, in the reverse order.
func (s *Server) close() error {
	var errs []error
	if s.pool != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.pool.Drain(ended)
	}
	if s.driver != nil {
		errs = append(errs, s.driver.Close())
	}
	if s.lambda != nil {
		errs = append(errs, s.lambda.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.listener != nil {
		s.listener.Close()
	}
	return errors.Join(errs...)
}

func (s *Server) httpServer(h http.Handler) (*http.Server, error) {
	srv := gateway.NewServer(h)
	srv.ErrorLog = slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)
	if s.cfg.TLSCert == "" {
		return srv, nil
	}
	if _, err := tls.LoadX509KeyPair(s.cfg.TLSCert, s.cfg.TLSKey); err != nil {
		return nil, fmt.Errorf("load the TLS certificate: %w", err)
	}
	srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return srv, nil
}
