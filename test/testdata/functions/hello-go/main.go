// A function on the real aws-lambda-go. Its answer shows what reached it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Name string `json:"name"`
}

func hello(ctx context.Context, e event) (map[string]any, error) {
	fmt.Println("hello from the log,", e.Name)
	if e.Name == "fail" {
		return nil, fmt.Errorf("I was told to fail")
	}
	layer, _ := os.ReadFile("/opt/layer.txt")
	lc, _ := lambdacontext.FromContext(ctx)
	return map[string]any{
		"language": "go", "hello": e.Name, "greeting": os.Getenv("GREETING"), "layer": string(layer),
		"version": lambdacontext.FunctionVersion, "requestId": lc.AwsRequestID, "secret": os.Getenv("ENFOLD_TEST_HOST_SECRET"),
	}, nil
}

func main() { lambda.Start(hello) }
