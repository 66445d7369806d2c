package sns

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/enfold-run/enfold/event"
)

// retryPolicy is how often and how fast an HTTP endpoint is tried again.
// See https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.
type retryPolicy struct {
	MinDelayTarget     *int    `json:"minDelayTarget,omitempty"` // seconds
	MaxDelayTarget     *int    `json:"maxDelayTarget,omitempty"` // seconds
	NumRetries         *int    `json:"numRetries,omitempty"`     // the four phases together
	NumMaxDelayRetries *int    `json:"numMaxDelayRetries,omitempty"`
	NumNoDelayRetries  *int    `json:"numNoDelayRetries,omitempty"`
	NumMinDelayRetries *int    `json:"numMinDelayRetries,omitempty"`
	BackoffFunction    *string `json:"backoffFunction,omitempty"`
}

// throttlePolicy is how fast an endpoint gets messages.
type throttlePolicy struct {
	MaxReceivesPerSecond *int `json:"maxReceivesPerSecond"`
}

// requestPolicy is what the requests look like.
type requestPolicy struct {
	HeaderContentType *string `json:"headerContentType"`
}

// topicPolicy is the DeliveryPolicy of a topic.
type topicPolicy struct {
	HTTP struct {
		Retry    *retryPolicy    `json:"defaultHealthyRetryPolicy,omitempty"`
		Sickly   *retryPolicy    `json:"defaultSicklyRetryPolicy,omitempty"`
		Override bool            `json:"disableSubscriptionOverrides"`
		Throttle *throttlePolicy `json:"defaultThrottlePolicy,omitempty"`
		Requests *requestPolicy  `json:"defaultRequestPolicy,omitempty"`
	} `json:"http"`
}

// subscriptionPolicy is the DeliveryPolicy of a subscription.
type subscriptionPolicy struct {
	Retry      *retryPolicy    `json:"healthyRetryPolicy"`
	Sickly     *retryPolicy    `json:"sicklyRetryPolicy"`
	Throttle   *throttlePolicy `json:"throttlePolicy"`
	Requests   *requestPolicy  `json:"requestPolicy"`
	Guaranteed bool            `json:"guaranteed"`
}

// Limits of a delivery policy.
const (
	maxDelay        = 3600 // seconds, of one wait and of all together
	maxRetries      = 100
	defaultDelay    = 20 // seconds
	defaultRetries  = 3
	defaultBackoff  = "linear"
	defaultContent  = "text/plain; charset=UTF-8"
	maxPolicyLength = 30 << 10 // bytes
)

// contentTypes are those that requests may have.
var contentTypes = []string{
	"text/css", "text/csv", "text/html", "text/plain", "text/xml", "application/atom+xml", "application/json", "application/octet-stream",
	"application/soap+xml", "application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml",
	"text/html; charset=UTF-8", "text/plain; charset=UTF-8", "text/xml; charset=UTF-8", "application/json; charset=UTF-8",
	"application/x-www-form-urlencoded; charset=UTF-8", "application/xml; charset=UTF-8",
}

// or is the policy with what it leaves open taken from another, which leaves nothing open.
func (p *retryPolicy) or(d *retryPolicy) *retryPolicy {
	if p == nil {
		return d
	}
	pick := func(a, b *int) *int {
		if a != nil {
			return a
		}
		return b
	}
	q := &retryPolicy{
		pick(p.MinDelayTarget, d.MinDelayTarget), pick(p.MaxDelayTarget, d.MaxDelayTarget), pick(p.NumRetries, d.NumRetries),
		pick(p.NumMaxDelayRetries, d.NumMaxDelayRetries), pick(p.NumNoDelayRetries, d.NumNoDelayRetries),
		pick(p.NumMinDelayRetries, d.NumMinDelayRetries), p.BackoffFunction,
	}
	if q.BackoffFunction == nil {
		q.BackoffFunction = d.BackoffFunction
	}
	return q
}

// defaultRetry is the policy of who has none.
func defaultRetry() *retryPolicy {
	return &retryPolicy{new(defaultDelay), new(defaultDelay), new(defaultRetries), new(0), new(0), new(0), new(defaultBackoff)}
}

// problem says what is wrong with a policy that leaves nothing open, in words; empty if nothing is.
func (p *retryPolicy) problem() string {
	least, most, n := *p.MinDelayTarget, *p.MaxDelayTarget, *p.NumRetries
	phases := []int{*p.NumNoDelayRetries, *p.NumMinDelayRetries, *p.NumMaxDelayRetries}
	switch {
	case least < 1 || most > maxDelay:
		return "minDelayTarget and maxDelayTarget must be from 1 to 3600"
	case least > most:
		return "maxDelayTarget must be greater than or equal to minDelayTarget"
	case n < 0 || n > maxRetries:
		return "numRetries must be from 0 to 100"
	case slices.Min(phases) < 0:
		return "the numbers of retries must not be negative"
	case phases[0] > n || phases[1] > n || phases[2] > n || phases[0]+phases[1]+phases[2] > n:
		return "numRetries must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and numMaxDelayRetries"
	case !slices.Contains([]string{"linear", "arithmetic", "geometric", "exponential"}, *p.BackoffFunction):
		return "backoffFunction must be one of arithmetic, exponential, geometric, linear"
	}
	var all time.Duration
	for _, step := range p.steps() {
		all += step
	}
	if all > maxDelay*time.Second {
		return "the waits must not be more than 3600 seconds together"
	}
	return ""
}

// immediate is the wait before a retry without delay. It is not zero, which would be no retry.
const immediate = time.Millisecond

// steps are the waits before the retries: at once, at the least delay, growing, at the greatest delay.
func (p *retryPolicy) steps() []time.Duration {
	least, most := float64(*p.MinDelayTarget), float64(*p.MaxDelayTarget)
	n := *p.NumRetries - *p.NumNoDelayRetries - *p.NumMinDelayRetries - *p.NumMaxDelayRetries
	var all []time.Duration
	add := func(n int, delay func(i int) float64) {
		for i := range n {
			all = append(all, max(time.Duration(delay(i)*float64(time.Second)).Round(time.Millisecond), immediate))
		}
	}
	add(*p.NumNoDelayRetries, func(int) float64 { return 0 })
	add(*p.NumMinDelayRetries, func(int) float64 { return least })
	add(n, func(i int) float64 { return backoff(*p.BackoffFunction, least, most, i, n) })
	add(*p.NumMaxDelayRetries, func(int) float64 { return most })
	return all
}

// backoff is wait i of n, which begin at least and end at most.
func backoff(function string, least, most float64, i, n int) float64 {
	if n < 2 {
		return least
	}
	x, last := float64(i), float64(n-1)
	switch function {
	case "arithmetic": // each step grows by as much
		return least + (most-least)*x*(x+1)/(last*(last+1))
	case "geometric": // each wait is as many times the one before
		return least * math.Pow(most/least, x/last)
	case "exponential": // each step is twice the one before
		return least + (most-least)*(math.Exp2(x)-1)/(math.Exp2(last)-1)
	}
	return least + (most-least)*x/last
}

// retry is the policy as the relay follows it.
func (p *retryPolicy) retry() event.Retry {
	steps := p.steps()
	return event.Retry{Tries: 1 + len(steps), Steps: steps}
}

// readPolicy reads a delivery policy strictly. An empty text is none.
func readPolicy(text, where string, into any) error {
	if len(text) > maxPolicyLength {
		return invalid("%sDeliveryPolicy: the policy is too long", where)
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return invalid("%sDeliveryPolicy: failed to parse JSON.", where)
	}
	if dec.More() {
		return invalid("%sDeliveryPolicy: failed to parse JSON.", where)
	}
	return nil
}

// checkParts refuses what a policy may not say. Nil parts are left open.
func checkParts(where string, retries []*retryPolicy, t *throttlePolicy, r *requestPolicy) error {
	for _, p := range retries {
		if p == nil {
			continue
		}
		if problem := p.or(defaultRetry()).problem(); problem != "" {
			return invalid("%sDeliveryPolicy: %s", where, problem)
		}
	}
	if t != nil && t.MaxReceivesPerSecond != nil && (*t.MaxReceivesPerSecond < 1 || *t.MaxReceivesPerSecond > 1_000_000) {
		return invalid("%sDeliveryPolicy: maxReceivesPerSecond must be from 1 to 1000000", where)
	}
	if r != nil && r.HeaderContentType != nil && !slices.Contains(contentTypes, *r.HeaderContentType) {
		return invalid("%sDeliveryPolicy: invalid value for headerContentType", where)
	}
	return nil
}

// normalizeTopicPolicy checks the DeliveryPolicy of a topic and writes it as AWS shows it.
func normalizeTopicPolicy(text, where string) (string, error) {
	if text == "" || text == "null" {
		return "", nil
	}
	var p topicPolicy
	if err := readPolicy(text, where, &p); err != nil {
		return "", err
	}
	if err := checkParts(where, []*retryPolicy{p.HTTP.Retry, p.HTTP.Sickly}, p.HTTP.Throttle, p.HTTP.Requests); err != nil {
		return "", err
	}
	b, err := json.Marshal(p)
	return string(b), err
}

// normalizeSubscriptionPolicy checks the DeliveryPolicy of a subscription and writes it as AWS shows it.
func normalizeSubscriptionPolicy(text, where string) (string, error) {
	if text == "" || text == "null" {
		return "", nil
	}
	var p subscriptionPolicy
	if err := readPolicy(text, where, &p); err != nil {
		return "", err
	}
	if err := checkParts(where, []*retryPolicy{p.Retry, p.Sickly}, p.Throttle, p.Requests); err != nil {
		return "", err
	}
	if p.Retry != nil {
		p.Retry = p.Retry.or(defaultRetry())
	}
	b, err := json.Marshal(p)
	return string(b), err
}

// ownPolicy is the topic's DeliveryPolicy, empty if it has none.
func (t *topic) ownPolicy() (p topicPolicy) {
	if text := t.attribute("DeliveryPolicy"); text != "" {
		_ = json.Unmarshal([]byte(text), &p) // it was checked when it was set
	}
	return p
}

// effectivePolicy is the topic's DeliveryPolicy with nothing left open.
func (t *topic) effectivePolicy() topicPolicy {
	p := t.ownPolicy()
	p.HTTP.Retry = p.HTTP.Retry.or(defaultRetry())
	if p.HTTP.Requests == nil || p.HTTP.Requests.HeaderContentType == nil {
		p.HTTP.Requests = &requestPolicy{new(defaultContent)}
	}
	return p
}

// effectivePolicy is what holds for deliveries to a subscription of the topic.
func (s *subscription) effectivePolicy(t *topic) subscriptionPolicy {
	of := t.effectivePolicy().HTTP
	var own subscriptionPolicy
	if text := s.attribute("DeliveryPolicy"); text != "" && !of.Override {
		_ = json.Unmarshal([]byte(text), &own) // it was checked when it was set
	}
	own.Retry = own.Retry.or(of.Retry)
	if own.Throttle == nil {
		own.Throttle = of.Throttle
	}
	if own.Requests == nil || own.Requests.HeaderContentType == nil {
		own.Requests = of.Requests
	}
	return own
}

// contentType is that of requests with such a policy.
func (p *subscriptionPolicy) contentType() string { return *p.Requests.HeaderContentType }
