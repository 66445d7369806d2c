package lambda

import (
	"context"
	"time"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/event"
	"github.com/enfold-run/enfold/store"
)

// mapping is an event source mapping: records of a place, in batches, are a function's events.
type mapping struct {
	ID        string
	Source    string // ARN
	Function  string
	Qualifier string // "" if the caller gave none
	Enabled   bool
	Deleting  bool
	State     string // as shown
	Result    string `json:",omitempty"` // LastProcessingResult; empty if there never was a problem
	Modified  time.Time

	Batch       int // records, at most
	Window      int // seconds that a batch is gathered for
	Filters     []string
	Partial     bool // the function reports failed items
	Concurrency *int // batches at once, at most
	MinPollers  *int
	MaxPollers  *int
	Tags        map[string]string
}

// The states of a mapping.
const (
	mappingCreating  = "Creating"
	mappingEnabling  = "Enabling"
	mappingEnabled   = "Enabled"
	mappingDisabling = "Disabling"
	mappingDisabled  = "Disabled"
	mappingUpdating  = "Updating"
	mappingDeleting  = "Deleting"
)

var mappings = store.Table[mapping]{Name: "lambda.mapping"} // ID

func (m *mapping) settled() bool {
	return m.State == mappingEnabled || m.State == mappingDisabled
}

// target is the function as the caller named it.
func (m *mapping) target(sc store.Scope) ref {
	return ref{scope: sc, name: m.Function, qualifier: m.Qualifier}
}

func mappingArn(s store.Scope, id string) string {
	return "arn:aws:lambda:" + s.Region + ":" + s.Account + ":event-source-mapping:" + id
}

func noMapping() error {
	return api.ErrResourceNotFound.New("The resource you requested does not exist.")
}

// CreateEventSourceMapping makes a function be fed from a queue. It is Enabled a moment later.
// See https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html.
func (s *Service) CreateEventSourceMapping(ctx context.Context, in *api.CreateEventSourceMappingInput) (*api.EventSourceMappingConfiguration, error) {
	r, err := parseRef(ctx, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := refuseMapping(in); err != nil {
		return nil, err
	}
	source, arn, err := s.source(in.EventSourceArn)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	m := &mapping{
		ID: uuid.NewString(), Source: *in.EventSourceArn, Function: r.name, Qualifier: r.qualifier, Batch: defaultBatch,
		Enabled: in.Enabled == nil || *in.Enabled, Tags: in.Tags,
	}
	err = m.set(mappingSettings{
		batch: in.BatchSize, window: in.MaximumBatchingWindowInSeconds, filters: in.FilterCriteria, responses: in.FunctionResponseTypes,
		scaling: in.ScalingConfig, pollers: in.ProvisionedPollerConfig,
	}, source.Ordered(event.Place{ARN: arn}))
	if err != nil {
		return nil, err
	}
	if err := s.checkSource(ctx, r, source, arn); err != nil {
		return nil, err
	}
	m.State = mappingCreating
	if !m.Enabled {
		m.State = mappingDisabled
	}
	if err := s.addMapping(ctx, r, m); err != nil {
		return nil, err
	}
	s.feeders.kick(feederKey{r.scope, m.ID})
	return m.show(r.scope), nil
}

// addMapping stores a mapping, unless there is one of the same source and function.
func (s *Service) addMapping(ctx context.Context, r ref, m *mapping) error {
	return s.deps.Store.Update(ctx, func(tx store.Tx) error {
		v, err := getQualified(tx, r)
		if v == nil {
			return cmpErr(err, invalid("Function does not exist"))
		}
		for row, err := range mappings.Scan(tx, r.scope, store.Range{}) {
			if err != nil {
				return err
			}
			if o := row.Value; o.Source == m.Source && o.Function == m.Function && o.Qualifier == m.Qualifier && !o.Deleting {
				return api.ErrResourceConflict.Withf(`An event source mapping with SQS arn (" %s ") and function (" %s ") already exists. `+
					"Please update or delete the existing mapping with UUID %s", m.Source, m.Function, o.ID)
			}
		}
		m.Modified = s.deps.Now()
		_, err = mappings.Put(tx, r.scope, m.ID, *m)
		return err
	})
}

// GetEventSourceMapping shows a mapping.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetEventSourceMapping.html.
func (s *Service) GetEventSourceMapping(ctx context.Context, in *api.GetEventSourceMappingInput) (*api.EventSourceMappingConfiguration, error) {
	sc := scopeOf(ctx)
	var m *mapping
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		m, err = orNil(mappings.Get(tx, sc, *in.UUID))
		return err
	})
	if m == nil {
		return nil, cmpErr(err, noMapping())
	}
	return m.show(sc), nil
}

// ListEventSourceMappings lists those of the account, of a source or of a function.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListEventSourceMappings.html.
func (s *Service) ListEventSourceMappings(ctx context.Context, in *api.ListEventSourceMappingsInput) (*api.ListEventSourceMappingsOutput, error) {
	sc := scopeOf(ctx)
	var r ref
	if in.FunctionName != nil {
		var err error
		if r, err = parseRef(ctx, in.FunctionName, nil); err != nil {
			return nil, err
		}
	}
	list := store.Key("mappings", str(in.EventSourceArn), str(in.FunctionName))
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &api.ListEventSourceMappingsOutput{EventSourceMappings: []*api.EventSourceMappingConfiguration{}}
	var found []mapping
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		rows := only(mappings.Scan(tx, sc, store.Range{After: after}), func(m *mapping) bool {
			return (in.EventSourceArn == nil || *in.EventSourceArn == m.Source) &&
				(in.FunctionName == nil || m.Function == r.name && m.Qualifier == r.qualifier)
		})
		found, out.NextMarker, err = page(rows, list, pageSize(in.MaxItems))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		out.EventSourceMappings = append(out.EventSourceMappings, found[i].show(sc))
	}
	return out, nil
}

// UpdateEventSourceMapping changes what is given of a mapping.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html.
func (s *Service) UpdateEventSourceMapping(ctx context.Context, in *api.UpdateEventSourceMappingInput) (*api.EventSourceMappingConfiguration, error) {
	sc := scopeOf(ctx)
	err := refuseMapping(&api.CreateEventSourceMappingInput{
		DestinationConfig: in.DestinationConfig, MaximumRecordAgeInSeconds: in.MaximumRecordAgeInSeconds,
		BisectBatchOnFunctionError: in.BisectBatchOnFunctionError, MaximumRetryAttempts: in.MaximumRetryAttempts,
		ParallelizationFactor: in.ParallelizationFactor, TumblingWindowInSeconds: in.TumblingWindowInSeconds,
		SourceAccessConfigurations: in.SourceAccessConfigurations, DocumentDBEventSourceConfig: in.DocumentDBEventSourceConfig,
		AmazonManagedKafkaEventSourceConfig: in.AmazonManagedKafkaEventSourceConfig,
		SelfManagedKafkaEventSourceConfig:   in.SelfManagedKafkaEventSourceConfig,
		KMSKeyArn:                           in.KMSKeyArn, MetricsConfig: in.MetricsConfig, LoggingConfig: in.LoggingConfig,
	})
	if err != nil {
		return nil, err
	}
	var m *mapping
	err = s.changeMapping(ctx, sc, *in.UUID, func(tx store.Tx, old *mapping) error {
		m = old
		if in.FunctionName != nil {
			r, err := parseRef(ctx, in.FunctionName, nil)
			if err != nil {
				return err
			}
			if v, err := getQualified(tx, r); v == nil {
				return cmpErr(err, invalid("Function does not exist"))
			}
			m.Function, m.Qualifier = r.name, r.qualifier
		}
		was := m.Enabled
		if in.Enabled != nil {
			m.Enabled = *in.Enabled
		}
		switch {
		case m.Enabled && !was:
			m.State = mappingEnabling
		case was && !m.Enabled:
			m.State = mappingDisabling
		default:
			m.State = mappingUpdating
		}
		source, arn, err := s.source(&m.Source)
		if err != nil {
			return err
		}
		return m.set(mappingSettings{
			batch: in.BatchSize, window: in.MaximumBatchingWindowInSeconds, filters: in.FilterCriteria, responses: in.FunctionResponseTypes,
			scaling: in.ScalingConfig, pollers: in.ProvisionedPollerConfig,
		}, source.Ordered(event.Place{ARN: arn}))
	})
	if err != nil {
		return nil, err
	}
	return m.show(sc), nil
}

// DeleteEventSourceMapping ends a mapping; batches under way are finished.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteEventSourceMapping.html.
func (s *Service) DeleteEventSourceMapping(ctx context.Context, in *api.DeleteEventSourceMappingInput) (*api.EventSourceMappingConfiguration, error) {
	sc := scopeOf(ctx)
	var m *mapping
	err := s.changeMapping(ctx, sc, *in.UUID, func(_ store.Tx, old *mapping) error {
		m = old
		m.State, m.Deleting = mappingDeleting, true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m.show(sc), nil
}

// changeMapping changes a mapping that is in a final state, and lets its feeder know.
func (s *Service) changeMapping(ctx context.Context, sc store.Scope, id string, change func(store.Tx, *mapping) error) error {
	err := s.deps.Store.Update(ctx, func(tx store.Tx) error {
		m, err := orNil(mappings.Get(tx, sc, id))
		if m == nil {
			return cmpErr(err, noMapping())
		}
		if !m.settled() {
			return api.ErrResourceInUse.New("Cannot update the event source mapping because it is in use.")
		}
		if err := change(tx, m); err != nil {
			return err
		}
		m.Modified = s.deps.Now()
		_, err = mappings.Put(tx, sc, id, *m)
		return err
	})
	if err == nil {
		s.feeders.kick(feederKey{sc, id})
	}
	return err
}

// show is a mapping as AWS shows it.
func (m *mapping) show(sc store.Scope) *api.EventSourceMappingConfiguration {
	out := &api.EventSourceMappingConfiguration{
		UUID: &m.ID, EventSourceArn: &m.Source, EventSourceMappingArn: new(mappingArn(sc, m.ID)), FunctionArn: new(m.target(sc).qualifiedArn()),
		BatchSize: &m.Batch, MaximumBatchingWindowInSeconds: &m.Window, LastModified: &m.Modified, State: &m.State,
		StateTransitionReason: new("USER_INITIATED"), FunctionResponseTypes: []string{},
	}
	if m.Result != "" {
		out.LastProcessingResult = &m.Result
	}
	if m.Partial {
		out.FunctionResponseTypes = []string{api.FunctionResponseTypeReportBatchItemFailures}
	}
	if m.Concurrency != nil {
		out.ScalingConfig = &api.ScalingConfig{MaximumConcurrency: m.Concurrency}
	}
	if m.MinPollers != nil {
		out.ProvisionedPollerConfig = &api.ProvisionedPollerConfig{MinimumPollers: m.MinPollers, MaximumPollers: m.MaxPollers}
	}
	if len(m.Filters) > 0 {
		out.FilterCriteria = &api.FilterCriteria{}
		for _, p := range m.Filters {
			out.FilterCriteria.Filters = append(out.FilterCriteria.Filters, &api.Filter{Pattern: &p})
		}
	}
	return out
}

func scopeOf(ctx context.Context) store.Scope {
	call := aws.CallFrom(ctx)
	return store.Scope{Account: call.Account, Region: call.Region}
}
