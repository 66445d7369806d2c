package sns

import (
	"fmt"
	"testing"
	"time"
)

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name, policy string
		want         []float64 // seconds
	}{
		{"default", `{}`, []float64{20, 20, 20}},
		{"none", `{"numRetries":0}`, nil},
		{"four phases", `{"minDelayTarget":1,"maxDelayTarget":10,"numRetries":7,"numNoDelayRetries":1,"numMinDelayRetries":2,"numMaxDelayRetries":1}`, []float64{0.001, 1, 1, 1, 5.5, 10, 10}},
		{"linear", `{"minDelayTarget":1,"maxDelayTarget":4,"numRetries":4,"backoffFunction":"linear"}`, []float64{1, 2, 3, 4}},
		{"arithmetic", `{"minDelayTarget":2,"maxDelayTarget":14,"numRetries":4,"backoffFunction":"arithmetic"}`, []float64{2, 4, 8, 14}},
		{"geometric", `{"minDelayTarget":1,"maxDelayTarget":8,"numRetries":4,"backoffFunction":"geometric"}`, []float64{1, 2, 4, 8}},
		{"exponential", `{"minDelayTarget":1,"maxDelayTarget":15,"numRetries":4,"backoffFunction":"exponential"}`, []float64{1, 3, 7, 15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := must(normalizeSubscriptionPolicy(`{"healthyRetryPolicy":`+c.policy+`}`, ""))(t)
			sub := &subscription{row: subscriptionRow{Protocol: "http", Attributes: map[string]string{"DeliveryPolicy": text}}}
			r := sub.retry(&topic{})
			var want []time.Duration
			for _, s := range c.want {
				want = append(want, time.Duration(s*float64(time.Second)))
			}
			if fmt.Sprint(r.Steps) != fmt.Sprint(want) || r.Tries != 1+len(want) {
				t.Errorf("%d tries, waits %v, want %v", r.Tries, r.Steps, want)
			}
		})
	}
}

func TestPolicyProblems(t *testing.T) {
	for _, bad := range []string{
		`{"minDelayTarget":0}`, `{"minDelayTarget":30}`, `{"maxDelayTarget":3601}`, `{"numRetries":101}`, `{"numRetries":-1}`, `{"numMinDelayRetries":4}`,
		`{"numRetries":3,"numMinDelayRetries":2,"numMaxDelayRetries":2}`, `{"backoffFunction":"wild"}`, `{"numRetries":100,"maxDelayTarget":3600}`,
		`{"unknown":1}`, `[]`, `{"numRetries":1.5}`, `{"numNoDelayRetries":-5,"numMinDelayRetries":6}`, `{"numNoDelayRetries":9223372036854775807}`,
	} {
		if _, err := normalizeTopicPolicy(`{"http":{"defaultHealthyRetryPolicy":`+bad+`}}`, ""); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	for _, bad := range []string{`{"throttlePolicy":{"maxReceivesPerSecond":0}}`, `{"requestPolicy":{"headerContentType":"image/png"}}`, `{} {}`, `{`} {
		if _, err := normalizeSubscriptionPolicy(bad, ""); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// TestShownPolicy compares with what AWS was recorded to show.
func TestShownPolicy(t *testing.T) {
	text := must(normalizeSubscriptionPolicy(`{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0},"throttlePolicy":{"maxReceivesPerSecond":1000}}`, ""))(t)
	if want := `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":0,"numMaxDelayRetries":0,"numNoDelayRetries":0,` +
		`"numMinDelayRetries":0,"backoffFunction":"linear"},"sicklyRetryPolicy":null,"throttlePolicy":{"maxReceivesPerSecond":1000},"requestPolicy":null,"guaranteed":false}`; text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

// TestManagedRetry is what AWS documents for queues and functions: 100,015 retries in 23 days.
func TestManagedRetry(t *testing.T) {
	if ownRetry.Tries != 100_016 || ownRetry.Longest != 20*time.Second || ownRetry.Steps[0] != immediate || ownRetry.Steps[4] != time.Second ||
		ownRetry.Steps[14] != 20*time.Second {
		t.Errorf("%+v", ownRetry)
	}
	for i, s := range ownRetry.Steps {
		if s <= 0 || s > 20*time.Second {
			t.Errorf("wait %d is %s", i, s)
		}
	}
}

func TestThrottle(t *testing.T) {
	all, p, now := newThrottles(), &throttlePolicy{new(4)}, time.Unix(1000, 0)
	var went int
	for range 2000 {
		if all.wait("e", p, now) == 0 {
			went++
		}
		now = now.Add(time.Millisecond)
	}
	if went != 8 {
		t.Errorf("%d messages went in two seconds", went)
	}
	if all.wait("e", nil, now) != 0 || all.wait("another", p, now) != 0 {
		t.Error("who is not throttled waits")
	}
}

func FuzzDeliveryPolicy(f *testing.F) {
	f.Add(`{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":15,"numRetries":4,"backoffFunction":"exponential"},"defaultThrottlePolicy":{"maxReceivesPerSecond":1}}}`)
	f.Add(`{"healthyRetryPolicy":{"numRetries":5,"numNoDelayRetries":5},"requestPolicy":{"headerContentType":"text/csv"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		own, err := normalizeSubscriptionPolicy(text, "")
		of, err2 := normalizeTopicPolicy(text, "")
		tp := &topic{row: topicRow{Attributes: map[string]string{}}}
		if err2 == nil {
			tp.row.Attributes["DeliveryPolicy"] = of
		}
		sub := &subscription{row: subscriptionRow{Protocol: "http", Attributes: map[string]string{}}}
		if err == nil {
			sub.row.Attributes["DeliveryPolicy"] = own
			if again, err := normalizeSubscriptionPolicy(own, ""); err != nil || again != own {
				t.Errorf("%s is written as %s, and that as %s: %v", text, own, again, err)
			}
		}
		r := sub.retry(tp)
		var all time.Duration
		for _, s := range r.Steps {
			if s <= 0 {
				t.Errorf("%s: a wait of %s", text, s)
			}
			all += s
		}
		p := sub.effectivePolicy(tp)
		if len(r.Steps) > maxRetries || all > maxDelay*time.Second || r.Tries != 1+len(r.Steps) || p.contentType() == "" {
			t.Errorf("%s: %d tries in %s", text, r.Tries, all)
		}
	})
}
