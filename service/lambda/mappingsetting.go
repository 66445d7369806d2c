package lambda

import (
	"slices"

	api "github.com/enfold-run/enfold/api/lambda"
)

// Limits and defaults of queues as event sources.
// See https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html.
const (
	defaultBatch = 10
	noWindow     = 10 // records, at most, of a batch that is not gathered
	maxFilters   = 10
	minOfMax     = 2 // pollers, at least, that a ProvisionedPollerConfig may end at
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
	if p := in.pollers; p != nil {
		if str(p.PollerGroupName) != "" {
			return unsupportedOfSource("PollerGroupName")
		}
		m.MinPollers, m.MaxPollers = p.MinimumPollers, p.MaximumPollers
	}
	switch {
	case m.Concurrency != nil && (m.MinPollers != nil || m.MaxPollers != nil):
		return invalid("ScalingConfig and ProvisionedPollerConfig cannot both be set.")
	case m.MinPollers != nil && m.MaxPollers != nil && *m.MinPollers > *m.MaxPollers:
		return invalid("MinimumPollers cannot be greater than MaximumPollers.")
	case m.MaxPollers != nil && *m.MaxPollers < minOfMax:
		return invalid("MaximumPollers must be at least %d.", minOfMax)
	}
	if in.filters != nil {
		return m.setFilters(in.filters.Filters)
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
