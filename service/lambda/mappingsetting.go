package lambda

import (
	"cmp"
	"slices"

	api "github.com/enfold-run/enfold/api/lambda"
)

// Limits and defaults of queues as event sources.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html.
const (
	defaultBatch = 10
	noWindow     = 10 // records, at most, of a batch that is not gathered
	maxFilters   = 10

	leastPollers       = 2 // of a ProvisionedPollerConfig
	defaultMostPollers = 200
)

// refuseMapping refuses what queues cannot have and what Enfold would ignore.
func refuseMapping(in *api.CreateEventSourceMappingInput) error {
	for _, c := range []struct {
		given bool
		name  string
	}{
		{in.StartingPosition != nil, "StartingPosition"},
		{in.StartingPositionTimestamp != nil, "StartingPositionTimestamp"},
		{in.DestinationConfig != nil, "DestinationConfig"},
		{in.MaximumRecordAgeInSeconds != nil, "MaximumRecordAgeInSeconds"},
		{in.BisectBatchOnFunctionError != nil, "BisectBatchOnFunctionError"},
		{in.MaximumRetryAttempts != nil, "MaximumRetryAttempts"},
		{in.ParallelizationFactor != nil, "ParallelizationFactor"},
		{in.TumblingWindowInSeconds != nil, "TumblingWindowInSeconds"},
		{in.Topics != nil, "Topics"},
		{in.Queues != nil, "Queues"},
		{in.SourceAccessConfigurations != nil, "SourceAccessConfigurations"},
		{in.AmazonManagedKafkaEventSourceConfig != nil, "AmazonManagedKafkaEventSourceConfig"},
		{in.SelfManagedKafkaEventSourceConfig != nil, "SelfManagedKafkaEventSourceConfig"},
		{in.DocumentDBEventSourceConfig != nil, "DocumentDBEventSourceConfig"},
	} {
		if c.given {
			return unsupportedOfSource(c.name)
		}
	}
	switch {
	case in.SelfManagedEventSource != nil:
		return invalid("Self-managed event sources are not served by Enfold yet.")
	case str(in.KMSKeyArn) != "":
		return invalid("KMSKeyArn is not supported by Enfold: filter criteria are not encrypted.")
	case in.MetricsConfig != nil && len(in.MetricsConfig.Metrics) > 0:
		return invalid("MetricsConfig is not supported by Enfold yet.")
	case in.LoggingConfig != nil:
		return unsupportedOfSource("LoggingConfig")
	}
	return nil
}

func unsupportedOfSource(name string) error {
	return invalid("Unsupported %s parameter for given event source mapping type.", name)
}

// mappingSettings are what Create and Update have in common. Nil is "not given".
type mappingSettings struct {
	batch, window *int
	filters       *api.FilterCriteria
	responses     []string
	scaling       *api.ScalingConfig
	pollers       *api.ProvisionedPollerConfig
}

func (m *mapping) set(in mappingSettings, ordered bool) error {
	if in.batch != nil {
		m.Batch = *in.batch
	}
	if in.window != nil {
		m.Window = *in.window
	}
	switch {
	case ordered && m.Window > 0:
		return invalid("Batching window is not supported for FIFO queues")
	case ordered && m.Batch > noWindow:
		return invalid("Batch size of FIFO queues cannot be greater than %d", noWindow)
	case m.Batch > noWindow && m.Window == 0:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	}
	if in.responses != nil {
		m.Partial = slices.Contains(in.responses, api.FunctionResponseTypeReportBatchItemFailures)
	}
	if in.scaling != nil {
		m.Concurrency = in.scaling.MaximumConcurrency
	}
	if err := m.setPollers(in.pollers); err != nil {
		return err
	}
	if m.Concurrency != nil && m.MinPollers != nil {
		return invalid("ScalingConfig and ProvisionedPollerConfig cannot both be set.")
	}
	if in.filters != nil {
		return m.setFilters(in.filters.Filters)
	}
	return nil
}

// setPollers sets the provisioned mode. What is not given of it is as it was, or AWS's default; with nothing given, the mode ends.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ProvisionedPollerConfig.html.
func (m *mapping) setPollers(p *api.ProvisionedPollerConfig) error {
	switch {
	case p == nil:
		return nil
	case str(p.PollerGroupName) != "":
		return unsupportedOfSource("PollerGroupName")
	case p.MinimumPollers == nil && p.MaximumPollers == nil:
		m.MinPollers, m.MaxPollers = nil, nil
		return nil
	}
	m.MinPollers = cmp.Or(p.MinimumPollers, m.MinPollers, new(leastPollers))
	m.MaxPollers = cmp.Or(p.MaximumPollers, m.MaxPollers, new(defaultMostPollers))
	switch {
	case *m.MinPollers < leastPollers:
		return invalid("MinimumPollers must be at least %d.", leastPollers)
	case *m.MaxPollers < leastPollers:
		return invalid("MaximumPollers must be at least %d.", leastPollers)
	case *m.MinPollers > *m.MaxPollers:
		return invalid("MinimumPollers cannot be greater than MaximumPollers.")
	}
	return nil
}

func (m *mapping) setFilters(all []*api.Filter) error {
	if len(all) > maxFilters {
		return invalid("The number of filters exceeds the limit of %d.", maxFilters)
	}
	m.Filters = nil
	for _, f := range all {
		if f != nil && f.Pattern != nil {
			m.Filters = append(m.Filters, *f.Pattern)
		}
	}
	_, err := compileFilters(m.Filters)
	return err
}
