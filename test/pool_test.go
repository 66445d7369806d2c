package test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}

// A server that is killed while sandboxes wait, booted, provisioned and frozen, leaves no process behind, and the next start
// removes the rest. The functions are provisioned again.
func TestKilledWithFullPools(t *testing.T) {
	l := languageOf(t, "python")
	s := startServer(t)
	if s.health(t).Isolation != "namespace" {
		t.Skip("no namespaces here: nothing waits")
	}
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: aws.String("pooled"), Runtime: types.Runtime(l.runtime), Handler: &l.handler, Code: &types.FunctionCode{ZipFile: l.code},
		MemorySize: aws.Int32(1769),
	})
	until(t, "a runtime boots ahead", func() bool { return s.health(t).Sandboxes.Ready > 0 })
	if o := s.invoke(t, "pooled", `{"name":"x"}`); o.failed != "" {
		t.Fatalf("%+v", o)
	}
	c, ctx := s.lambda(t), context.Background()
	v, err := c.PublishVersion(ctx, &lambda.PublishVersionInput{FunctionName: aws.String("pooled")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PutProvisionedConcurrencyConfig(ctx, &lambda.PutProvisionedConcurrencyConfigInput{
		FunctionName: aws.String("pooled"), Qualifier: v.Version, ProvisionedConcurrentExecutions: aws.Int32(2),
	}); err != nil {
		t.Fatal(err)
	}
	provisioned := func() bool {
		got, err := c.GetProvisionedConcurrencyConfig(ctx, &lambda.GetProvisionedConcurrencyConfigInput{FunctionName: aws.String("pooled"), Qualifier: v.Version})
		return err == nil && got.Status == types.ProvisionedConcurrencyStatusEnumReady
	}
	until(t, "two are provisioned", provisioned)
	until(t, "another runtime boots ahead", func() bool { return s.health(t).Sandboxes.Ready > 0 })
	time.Sleep(300 * time.Millisecond) // what is idle is frozen by now, here or on a faster machine
	groups := s.cgroups()
	if n := len(s.processes()); n < 8 {
		t.Errorf("%d processes wait, want four sandboxes with two each at least", n)
	}
	s.kill()
	if left := s.leftoversOfKilled(); len(left) > 0 {
		t.Errorf("of a killed server is left: %q", left)
	}
	killed := *s
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if len(groups) > 0 {
		until(t, "the next server removes the control groups of the one before", func() bool { return len(killed.cgroups()) == 0 })
	}
	c = s.lambda(t)
	until(t, "two are provisioned again", provisioned)
}
