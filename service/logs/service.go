package logs

import (
	"log/slog"
	"time"

	api "github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Deps is what the service stands on.
type Deps struct {
	Store store.Store
	Now   func() time.Time // time.Now if nil
	Log   *slog.Logger     // slog.Default() if nil
}

// Service implements [api.API]. One Service at a time may own a store's log streams.
type Service struct {
	db      store.Store
	now     func() time.Time
	log     *slog.Logger
	streams *streamCache
	kick    chan struct{} // there is trash
}

var _ api.API = (*Service)(nil)

// New is a service that is ready; without Run nothing expires and trash stays.
func New(d Deps) *Service {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Service{db: d.Store, now: d.Now, log: d.Log, streams: newStreamCache(), kick: make(chan struct{}, 1)}
}

// millis is now in CloudWatch Logs' unit.
func (s *Service) millis() int64 { return s.now().UnixMilli() }

func scopeOf(call *aws.Call) store.Scope {
	return store.Scope{Account: call.Account, Region: call.Region}
}

func invalid(format string, args ...any) *aws.Error {
	return api.ErrInvalidParameter.Withf(format, args...)
}
