package test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The example of the README: an order, three functions, one that fails, its dead-letter queue, and the way back.
func TestOrders(t *testing.T) {
	t.Parallel() // it mostly waits
	python := tool(t, "py", "bin", "aws")
	s := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", filepath.Join("..", "examples", "orders", "run.sh"))
	cmd.Env = append(s.awsEnv(t.TempDir()), "ENFOLD_DATA="+s.dir)
	for i, v := range cmd.Env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			cmd.Env[i] = "PATH=" + filepath.Dir(python) + ":" + filepath.Dir(binaries.enfold) + ":" + path
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"invoice and thanks have it", "the function failed with 200", "the carrier does not answer", "1 sent back, 0 stay in orders-dead.", "shipping has it too",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the example did not print %q:\n%s", want, out)
		}
	}
}
