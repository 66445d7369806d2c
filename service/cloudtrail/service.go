package cloudtrail

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	api "github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// How long events are kept if Deps do not say.
const (
	defaultRetention     = 90 * 24 * time.Hour
	defaultDataRetention = 7 * 24 * time.Hour
)

// SealPurpose is what the key that Deps and [Verify] want is derived for.
const SealPurpose = "cloudtrail digest"

// Deps is what the service stands on.
type Deps struct {
	Store store.Store      // not wrapped
	Seal  *seal.Key        // of SealPurpose
	Now   func() time.Time // time.Now if nil
	Log   *slog.Logger     // slog.Default() if nil

	Retention     time.Duration // of management events; 0 is 90 days, below 0 for ever
	DataRetention time.Duration // of data events; 0 is 7 days, below 0 for ever
}

// Service records calls and implements [api.API]. One Service at a time may own a store's trail.
type Service struct {
	raw           store.Store // for the trail itself
	db            store.Store // wrapped: what the API changes is recorded like everything else
	key           *seal.Key
	now           func() time.Time
	log           *slog.Logger
	retention     time.Duration
	dataRetention time.Duration
	boot          string // tells the intents of this process from those that another left over

	mu      sync.Mutex
	queue   []entry
	waiting int // entries that are not on the disk: of the queue and of unwritten
	bytes   int // of them
	intents map[intentID]*intent
	ended   bool          // Run is over: who records, writes
	wake    chan struct{} // there is something to write
	hurry   chan struct{} // and much of it

	flushing   sync.Mutex // held by who writes
	unwritten  []entry    // taken from the queue and not written yet
	identities map[*aws.Principal]identity
}

var _ api.API = (*Service)(nil)

// New is a service that records; without Run the records stay in memory until it is full or somebody reads them.
func New(d Deps) *Service {
	s := &Service{
		raw: d.Store, key: d.Seal, now: d.Now, log: d.Log, retention: d.Retention, dataRetention: d.DataRetention,
		intents: map[intentID]*intent{}, identities: map[*aws.Principal]identity{},
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.retention == 0 {
		s.retention = defaultRetention
	}
	if s.dataRetention == 0 {
		s.dataRetention = defaultDataRetention
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	s.boot = hex.EncodeToString(b[:])
	s.db = s.Wrap(d.Store)
	return s
}
