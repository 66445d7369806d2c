package lambda

import "github.com/prometheus/client_golang/prometheus"

var (
	provisionedLabels = []string{"account", "region", "function"}
	provisionedBusy   = prometheus.NewDesc("enfold_lambda_provisioned_concurrent_executions",
		"Invocations that run on provisioned concurrency.", provisionedLabels, nil)
	provisionedRatio = prometheus.NewDesc("enfold_lambda_provisioned_concurrency_utilization",
		"The part of a function's allocated provisioned concurrency that is in use.", provisionedLabels, nil)
)

// provisionedUse measures, when it is asked, how much of their provisioned concurrency functions use.
// See https://docs.aws.amazon.com/lambda/latest/dg/monitoring-concurrency.html.
type provisionedUse struct{ service *Service }

// Describe implements prometheus.Collector.
func (provisionedUse) Describe(out chan<- *prometheus.Desc) {
	out <- provisionedBusy
	out <- provisionedRatio
}

// Collect implements prometheus.Collector.
func (u provisionedUse) Collect(out chan<- prometheus.Metric) {
	for k, told := range u.service.keeper.all() {
		allocated := 0
		for _, have := range told {
			if have.function != nil {
				n, _ := u.service.deps.Runner.Provisioned(have.function.Key)
				allocated += n
			}
		}
		busy, ratio := float64(u.service.limiter.busy(k.scope, k.name)), 0.0
		if allocated > 0 {
			ratio = min(1, busy/float64(allocated))
		}
		out <- prometheus.MustNewConstMetric(provisionedBusy, prometheus.GaugeValue, busy, k.scope.Account, k.scope.Region, k.name)
		out <- prometheus.MustNewConstMetric(provisionedRatio, prometheus.GaugeValue, ratio, k.scope.Account, k.scope.Region, k.name)
	}
}
