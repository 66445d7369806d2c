// Command hello greets: the smallest Lambda function in Go.
package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Name string `json:"name"`
}

type greeting struct {
	Message   string `json:"message"`
	Function  string `json:"function"`
	RequestID string `json:"requestId"`
}

func greet(ctx context.Context, e event) (greeting, error) {
	g := greeting{Message: fmt.Sprintf("Hello, %s!", e.Name), Function: lambdacontext.FunctionName}
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		g.RequestID = lc.AwsRequestID
	}
	return g, nil
}

func main() { lambda.Start(greet) }
