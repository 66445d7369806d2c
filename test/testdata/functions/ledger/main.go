// Command ledger is a function that writes every id it finds in its event into the queue that PROCESSED names, by a signed
// request to the API of its sandbox. An id that begins with "bad" makes it fail.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/enfold-run/enfold/sigv4"
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
		if err := send(ctx, id); err != nil {
			return "", err
		}
	}
	return strings.Join(found, " "), nil
}

func send(ctx context.Context, id string) error {
	body, err := json.Marshal(map[string]string{"QueueUrl": os.Getenv("PROCESSED"), "MessageBody": id})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("AWS_ENDPOINT_URL")+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	sigv4.Sign(req, body, sigv4.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: []byte(os.Getenv("AWS_SECRET_ACCESS_KEY")),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), Region: os.Getenv("AWS_REGION"), Service: "sqs",
	}, time.Now())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("send: %s: %s", resp.Status, b)
	}
	return nil
}

func main() { lambda.Start(handle) }
