package wire_test

import (
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/enfold-run/enfold/api/lambda"
)

// TestFirstRequestsTogether checks that a fresh router and types that nobody has used take many first requests at once.
func TestFirstRequestsTogether(t *testing.T) {
	rt := router()
	var wait sync.WaitGroup
	for range 32 {
		wait.Go(func() {
			r := httptest.NewRequest("PUT", "/2015-03-31/functions/f/configuration", nil)
			m, err := rt.Route(r, "lambda", nil)
			if err != nil {
				t.Error(err)
				return
			}
			in, err := m.Decode(r, []byte(`{"Environment":{"Variables":{"A1":"b"}},"Layers":["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]}`))
			if err != nil || in.(*lambda.UpdateFunctionConfigurationInput).Environment.Variables["A1"] != "b" {
				t.Error(in, err)
			}
		})
	}
	wait.Wait()
}
