// Command consumer is a function for batches of a queue. It reports each message to the queue that PROCESSED names: its body, how
// often it was received, its receipt handle, and when it began and ended with it, in milliseconds. What begins with "slow" takes
// it a while. What begins with "bad" it fails the first time, alone.
package main

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/enfold-run/enfold/test/testdata/functions/report"
)

func handle(ctx context.Context, batch events.SQSEvent) (out events.SQSEventResponse, err error) {
	for _, m := range batch.Records {
		begun := time.Now()
		if strings.HasPrefix(m.Body, "slow") {
			time.Sleep(200 * time.Millisecond)
		}
		count := m.Attributes["ApproximateReceiveCount"]
		if strings.HasPrefix(m.Body, "bad") && count == "1" {
			out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
		said, err := json.Marshal(map[string]any{
			"body": m.Body, "count": count, "handle": m.ReceiptHandle, "from": begun.UnixMilli(), "to": time.Now().UnixMilli(),
		})
		if err == nil {
			err = report.Send(ctx, string(said))
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func main() { lambda.Start(handle) }
