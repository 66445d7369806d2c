package lambda

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/lambda"
)

// supportedRuntimes may be asked for, in the order in which AWS lists them when one may not. Whether this host has them is
// another matter, which a function's state tells.
// See https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html.
var supportedRuntimes = []string{
	api.RuntimeNodejs20X, api.RuntimePython314, api.RuntimeProvidedAl2023, api.RuntimePython312, api.RuntimePython313,
	api.RuntimeNodejs24X, api.RuntimeNodejs22X, api.RuntimeJava25, api.RuntimePython310, api.RuntimeJava17, api.RuntimeNodejs16X,
	api.RuntimeDotnet8, api.RuntimeDotnet10, api.RuntimeJava11, api.RuntimePython311, api.RuntimeDotnet6, api.RuntimeJava21,
	api.RuntimeNodejs18X, api.RuntimeProvidedAl2, api.RuntimeRuby33, api.RuntimeRuby34, api.RuntimeRuby40, api.RuntimeJava8Al2,
	api.RuntimeRuby32, api.RuntimePython38, api.RuntimePython39,
}

// deprecatedRuntimes are in the model still, but AWS neither creates nor updates functions that use them.
var deprecatedRuntimes = []string{
	api.RuntimeNodejs, api.RuntimeNodejs43, api.RuntimeNodejs43Edge, api.RuntimeNodejs610, api.RuntimeNodejs810,
	api.RuntimeNodejs10X, api.RuntimeNodejs12X, api.RuntimeNodejs14X, api.RuntimeJava8, api.RuntimePython27, api.RuntimePython36,
	api.RuntimePython37, api.RuntimeDotnetcore10, api.RuntimeDotnetcore20, api.RuntimeDotnetcore21, api.RuntimeDotnetcore31,
	api.RuntimeGo1X, api.RuntimeRuby25, api.RuntimeRuby27, api.RuntimeProvided,
}

// checkRuntime refuses what AWS would not create or update a function with.
func checkRuntime(name string) error {
	switch {
	case slices.Contains(supportedRuntimes, name):
		return nil
	case slices.Contains(deprecatedRuntimes, name):
		return invalid("The runtime parameter of %s is no longer supported for creating or updating AWS Lambda functions. "+
			"We recommend you use a supported runtime while creating or updating functions.", name)
	}
	return invalid("Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [%s] or be a valid ARN",
		name, strings.Join(supportedRuntimes, ", "))
}

// runtimeVersionArn stands for the one version of a runtime that this host has.
func runtimeVersionArn(region, name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s::runtime:%x", region, sha256.Sum256([]byte("enfold/"+name)))
}

// runtimeVersion is a managed runtime as the INIT_START line names it: "python:3.12.v1". Custom runtimes have none.
func runtimeVersion(name string) string {
	if strings.HasPrefix(name, "provided") {
		return ""
	}
	i := strings.IndexAny(name, "0123456789")
	if i < 0 {
		return ""
	}
	return name[:i] + ":" + strings.TrimSuffix(name[i:], ".x") + ".v1"
}
