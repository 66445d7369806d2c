package test

import "testing"

// Provisioned concurrency, reserved concurrency and throttling by boto3, before and after a crash.
func TestProvisionedConcurrency(t *testing.T) {
	py, l := tool(t, "py", "bin", "python"), languageOf(t, "python")
	s := startServer(t, "--function-scaling-rate", "1", "--account-concurrency", "500")
	s.script(t, py, "boto3_provisioned.py", l.runtime, s.mark, "first")
	if t.Failed() {
		return
	}
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.script(t, py, "boto3_provisioned.py", l.runtime, s.mark, "again")
}
