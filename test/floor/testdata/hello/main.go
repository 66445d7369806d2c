// Command hello is the Go function that the floor's tests run.
package main

import (
	"context"
	"errors"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(_ context.Context, event struct{ Name string }) (map[string]string, error) {
		if event.Name == "" {
			return nil, errors.New("no name")
		}
		return map[string]string{"message": "Hello, " + event.Name + "!"}, nil
	})
}
