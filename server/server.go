package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	analyzerapi "github.com/enfold-run/enfold/api/accessanalyzer"
	cloudtrailapi "github.com/enfold-run/enfold/api/cloudtrail"
	ecrapi "github.com/enfold-run/enfold/api/ecr"
	iamapi "github.com/enfold-run/enfold/api/iam"
	kmsapi "github.com/enfold-run/enfold/api/kms"
	lambdaapi "github.com/enfold-run/enfold/api/lambda"
	logsapi "github.com/enfold-run/enfold/api/logs"
	snsapi "github.com/enfold-run/enfold/api/sns"
	sqsapi "github.com/enfold-run/enfold/api/sqs"
	stsapi "github.com/enfold-run/enfold/api/sts"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/event/target"
	"github.com/enfold-run/enfold/gateway"
	"github.com/enfold-run/enfold/runtimes"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/service/accessanalyzer"
	"github.com/enfold-run/enfold/service/cloudtrail"
	"github.com/enfold-run/enfold/service/ecr"
	"github.com/enfold-run/enfold/service/iam"
	"github.com/enfold-run/enfold/service/kms"
	"github.com/enfold-run/enfold/service/lambda"
	"github.com/enfold-run/enfold/service/logs"
	"github.com/enfold-run/enfold/service/sns"
	"github.com/enfold-run/enfold/service/sqs"
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
	http     front
	store    store.Store
	tiers    *tiers
	pool     *worker.Pool
	shipper  *lambda.LogShipper
	lambda   *lambda.Service
	logs     *logs.Service
	ecr      *ecr.Service
	registry *ecr.Registry
	images   *runtimeImages // nil without
	iam      *iam.Service
	kms      *kms.Service
	sns      *sns.Service
	sqs      *sqs.Service
	trail    *cloudtrail.Service
	relay    *event.Relay
	analyzer *accessanalyzer.Service
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
	if err := makeDataDir(cfg.Data, cfg.Log); err != nil {
		return s, advise(cfg.Data, err)
	}
	// The address comes first: who finds it taken should not wait for the rest.
	if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return s, fmt.Errorf("listen: %w (choose another address with --listen)", err)
	}
	b, err := s.open(ctx)
	if err != nil {
		return s, advise(cfg.Data, err)
	}
	if err := s.build(b); err != nil {
		return s, advise(cfg.Data, err)
	}
	return s, s.sweepAfterCrash(ctx)
}

// base is what all services stand on.
type base struct {
	key  RootKey
	root *seal.Root
	db   store.Store // what a call changes and the trail's note of it are one transaction
}

// open opens the data, and meanwhile makes what makes sandboxes, which needs nothing of it. Each is a third of what is left of a start.
func (s *Server) open(ctx context.Context) (b base, err error) {
	var tiersErr error
	var beside sync.WaitGroup
	beside.Go(func() { s.tiers, tiersErr = newTiers(s.cfg) })
	b, err = s.openData(ctx)
	beside.Wait()
	return b, cmp.Or(err, tiersErr)
}

func (s *Server) openData(ctx context.Context) (b base, err error) {
	cfg := s.cfg
	if s.store, err = sqlite.Open(ctx, cfg.Data, sqlite.Options{}); err != nil {
		return b, err
	}
	if b.root, err = sealRoot(ctx, cfg, s.store); err != nil {
		return b, err
	}
	if b.key, err = rootKey(cfg); err != nil {
		return b, err
	}
	s.trail = cloudtrail.New(cloudtrail.Deps{Store: s.store, Seal: b.root.Key(cloudtrail.SealPurpose), Log: cfg.Log})
	b.db = s.trail.Wrap(s.store)
	s.iam = iam.New(iam.Deps{Store: b.db, Seal: b.root.Key("iam"), Log: cfg.Log})
	return b, s.iam.EnsureAccount(ctx, cfg.Account)
}

// build makes the services and the front door.
func (s *Server) build(b base) (err error) {
	cfg, root, db := s.cfg, b.root, b.db
	metrics := prometheus.NewRegistry()
	policies := dispatch.NewPolicies(dispatch.PolicyDeps{Identities: s.iam})
	calls := dispatch.New(dispatch.Deps{
		Authorizer: policies, Auditor: s.trail, Metrics: metrics, Log: cfg.Log,
	})
	tokens := sts.New(sts.Deps{Roles: roles{s.iam}, Seal: root.Key("sts session"), Log: cfg.Log, PrivateIssuers: cfg.PrivateIssuers})
	s.kms = kms.New(kms.Deps{Store: db, Seal: root.Key("kms"), PrincipalsExist: s.iam.PrincipalsExist, Log: cfg.Log})
	s.sqs = sqs.New(sqs.Deps{
		Store: db, Messages: s.store, Seal: root, KMS: kmsapi.NewClient(calls), PrincipalsExist: s.iam.PrincipalsExist, Endpoint: s.URL(), Log: cfg.Log,
	})
	s.ecr = ecr.New(ecr.Deps{
		Store: db, Blobs: lambda.SealBlobs(s.store.Blobs(), root.Key("ecr layer")), Seal: root.Key("ecr"), PrincipalsExist: s.iam.PrincipalsExist, Endpoint: s.URL(), Log: cfg.Log,
	})
	s.logs = logs.New(logs.Deps{Store: db, Log: cfg.Log})
	s.shipper = lambda.NewLogShipper(logsapi.NewClient(calls), s.store.Logs().Room, metrics, cfg.Log)

	if err := s.openImages(); err != nil {
		return err
	}
	rt := runtimes.New(runtimes.Options{DataDir: cfg.Data, Map: cfg.RuntimeMap, Image: s.runtimeImage})
	assume := functionRoles{stsapi.NewClient(calls)}
	inside := &sandboxAPI{log: cfg.Log}
	s.pool = worker.New(worker.Deps{
		Driver: s.tiers.first, DriverFor: s.tiers.forFunction, CanStore: s.tiers.canStore, Runtimes: rt, Logger: s.shipper, Credentials: assume.credentials, API: inside.serve, Endpoint: s.URL(),
		Log: cfg.Log, Idle: cfg.IdleTime, ReadyMemory: cfg.ReadyMemory, MaxConns: maxSandboxConns(),
		ScalingRate: cfg.FunctionScalingRate, MaxSandboxes: max(cfg.AccountConcurrency, lambda.AccountConcurrency),
	})
	outbox := event.NewOutbox(root.Key("event"), nil)
	inRoles := newSessions(assume.assume, tokens, s.iam)
	sealLambda := root.Key("lambda")
	links := newCodeLinks(lambda.SealBlobs(s.store.Blobs(), sealLambda), cfg.Region)
	if s.lambda, err = lambda.New(lambda.Deps{
		Images: s.functionImages(), CanIsolate: s.tiers.can, Store: db, DataDir: cfg.Data, Runtimes: rt, Runner: s.pool, Snapshots: s.pool, CodeURL: links.link, Metrics: metrics, Log: cfg.Log,
		AccountConcurrency: cfg.AccountConcurrency, Seal: sealLambda, Outbox: outbox, Sources: sources(calls), Sessions: inRoles, Roles: executionRoles{assume, inRoles, policies, s}, PrincipalsExist: s.iam.PrincipalsExist, KMS: functionKeys{inRoles, kmsapi.NewClient(calls), s.kms},
	}); err != nil {
		return err
	}
	registerPoolMetrics(metrics, s.pool)
	if s.sns, err = s.newSNS(sns.Deps{
		Store: db, Outbox: outbox, Seal: root.Key("sns"), PrincipalsExist: s.iam.PrincipalsExist,
		Status: topicLogs{newSessions(topicRoles{stsapi.NewClient(calls)}.assume, tokens, s.iam), logsapi.NewClient(calls)},
	}, calls); err != nil {
		return err
	}
	s.relay = event.NewRelay(event.Deps{
		Store: s.store, Outbox: outbox, Metrics: metrics, Log: cfg.Log,
		Handlers: map[string]event.Handler{
			lambda.AsyncKind:       s.lambda.Async(),
			lambda.DestinationKind: target.Outcomes{Senders: senders(calls), Sessions: inRoles, Log: cfg.Log, Undelivered: s.lambda.Undelivered},
			sns.PublishKind:        s.sns.FanOut(),
			sns.DeliveryKind:       s.sns.Deliveries(),
			sns.DeadLetterKind:     s.sns.DeadLetters(),
			sns.StatusKind:         s.sns.Statuses(),
		},
	})
	s.analyzer = accessanalyzer.New(accessanalyzer.Deps{Store: db, Trail: analyzedTrail{s.trail}, Log: cfg.Log})

	s.services = []service{
		{lambdaapi.Service, s.lambda},
		{logsapi.Service, s.logs},
		{iamapi.Service, s.iam},
		{stsapi.Service, tokens},
		{kmsapi.Service, s.kms},
		{ecrapi.Service, s.ecr},
		{snsapi.Service, s.sns},
		{sqsapi.Service, s.sqs},
		{cloudtrailapi.Service, s.trail},
		{analyzerapi.Service, s.analyzer},
	}
	keys := access{newKeys(cfg.Account, b.key), s.iam, tokens}
	verifier := sigv4.New(keys)
	guard := gateway.NewGuard(cfg.Log, metrics)
	s.registry = ecr.NewRegistry(s.ecr, calls, registryLogin{s.ecr, keys, guard}.login)
	inside.front = gateway.New(gateway.Deps{
		Router: register(calls, s.services), Verifier: verifier, Doer: calls, Region: cfg.Region, Log: cfg.Log, Guard: guard,
		Metrics: metrics, MetricsToken: cfg.MetricsToken, Health: s.health, Registry: s.registry,
		Internal: map[string]http.Handler{
			codePath:      links,
			ecr.LayerPath: ecr.Links{Service: s.ecr},
			sns.LinksPath: sns.Links{Service: s.sns, Doer: calls},
			AccountsPath:  &accountsHandler{verifier: verifier, guard: guard, first: cfg.Account, keeper: s.iam, log: cfg.Log},
		},
	})
	s.http, err = s.httpServer(inside.front)
	return err
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
func (s *Server) Isolation() string { return s.tiers.first.Name() }

// Serve serves until ctx ends, then lets running invocations finish for drain at most, or until hurry is closed, and closes
// everything. Nothing is left on the host afterwards.
func (s *Server) Serve(ctx context.Context, drain time.Duration, hurry <-chan struct{}) error {
	failed := make(chan error, 1)
	go func() { failed <- s.serveHTTP() }()
	tune(s.cfg.Log) // not before: a start does much at once
	defer giveBack()()
	// What runs beside the requests ends after them: a drained invocation still logs.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running errgroup.Group
	running.Go(func() error { return s.lambda.Run(background) })
	running.Go(func() error { return s.logs.Run(background) })
	if s.images != nil {
		running.Go(func() error { return s.images.run(background) })
	}
	running.Go(func() error { return s.ecr.Run(background) })
	running.Go(func() error { return s.iam.Run(background) })
	running.Go(func() error { return s.kms.Run(background) })
	running.Go(func() error { return s.sns.Run(background) })
	running.Go(func() error { return s.sqs.Run(background) })
	relay := s.startRelay(context.WithoutCancel(ctx))
	recording, stopTrail := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTrail()
	recorded := make(chan error, 1)
	go func() { recorded <- s.trail.Run(recording) }()
	shipping, stopShipping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopShipping()
	shipped := make(chan error, 1)
	go func() { shipped <- s.shipper.Run(shipping) }()

	s.writeEndpoint() // clients are served already: the disk takes its time
	defer os.Remove(filepath.Join(s.cfg.Data, EndpointFile))
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.cfg.Log.Info("shutting down: waiting for running invocations", "atMost", drain.String(), "running", s.pool.Stats().Busy)
	}
	s.drain(drain, hurry, relay)
	stop()
	err = errors.Join(err, running.Wait())
	stopShipping()
	err = errors.Join(err, <-shipped)
	stopTrail() // last: all of the others' calls are in it
	return errors.Join(err, <-recorded, s.close())
}

// writeEndpoint says in the data directory where the server listens. Only commands need that: on a full disk the server goes on
// without, and a file that a crash left, of another address perhaps, misleads nobody.
func (s *Server) writeEndpoint() {
	path := filepath.Join(s.cfg.Data, EndpointFile)
	err := writeFile(path, []byte(s.URL()+"\n"))
	if err == nil {
		return
	}
	os.Remove(path)
	s.cfg.Log.Warn("enfold env and the other commands will not find this server: its address could not be written to the data directory. "+
		"Make room and start it again, or set AWS_ENDPOINT_URL and the keys in the file credentials for them",
		"url", s.URL(), "data", s.cfg.Data, "error", err)
}

func (s *Server) serveHTTP() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// drain lets requests and events under way finish, then ends every sandbox. hurry ends the patience at once.
func (s *Server) drain(limit time.Duration, hurry <-chan struct{}, relay *runningRelay) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	go func() {
		select {
		case <-hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	relay.stop()
	s.sqs.EndWaits()
	if err := s.http.Shutdown(ctx); err != nil {
		s.cfg.Log.Warn("invocations were cut off", "error", err)
		s.http.Close()
	}
	relay.end(ctx)
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
	if s.tiers != nil {
		errs = append(errs, s.tiers.close())
	}
	if s.images != nil {
		s.images.Close()
	}
	if s.analyzer != nil {
		errs = append(errs, s.analyzer.Close())
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

// front is what serves the gateway: gateway.Server, or tlsServer.
type front interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// tlsServer serves TLS wherever it is told to serve.
type tlsServer struct{ *http.Server }

func (t tlsServer) Serve(l net.Listener) error { return t.ServeTLS(l, "", "") }

func (s *Server) httpServer(h http.Handler) (front, error) {
	if s.cfg.TLSCert == "" {
		return gateway.NewServer(h, s.cfg.Log), nil
	}
	cert, err := tls.LoadX509KeyPair(s.cfg.TLSCert, s.cfg.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate: %w", err)
	}
	srv := gateway.NewTLSServer(h)
	srv.ErrorLog = slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug)
	srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	return tlsServer{srv}, nil
}
