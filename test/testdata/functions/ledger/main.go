// Command ledger is a function that writes every id it finds in its event into the queue that PROCESSED names, by a signed
// request to the API of its sandbox. An id that begins with "bad" makes it fail.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/enfold-run/enfold/test/testdata/functions/report"
)

var ids = regexp.MustCompile(`(?:id|bad)-[a-z]+-\d+-\d+`)

func handle(ctx context.Context, event json.RawMessage) (string, error) {
	found := ids.FindAllString(string(event), -1)
	if len(found) == 0 {
		return "", errors.New("no id in the event")
	}
	for _, id := range found {
		if strings.HasPrefix(id, "bad") {
			return "", errors.New("bad: " + id)
		}
		if err := report.Send(ctx, id); err != nil {
			return "", err
		}
	}
	return strings.Join(found, " "), nil
}

func main() { lambda.Start(handle) }
