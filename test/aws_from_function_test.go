package test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// boto3Packages are boto3 and what it stands on, in site-packages.
var boto3Packages = []string{"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3"}

// boto3Services are those whose models are taken along: all of them are a hundred megabytes.
var boto3Services = []string{"kms", "lambda", "sqs", "sts"}

// withBoto3 is a function with an unmodified boto3 in its package.
func withBoto3(t testing.TB, function file) []byte {
	t.Helper()
	found, err := filepath.Glob(tool(t, "py", "lib") + "/python3*/site-packages")
	if err != nil || len(found) != 1 {
		t.Skipf("boto3 is not installed: run test/setup.sh (%d site-packages, %v)", len(found), err)
	}
	site := os.DirFS(found[0])
	files := []file{function}
	for _, name := range boto3Packages {
		if _, err := fs.Stat(site, name); err != nil {
			t.Skipf("boto3 is not installed whole: run test/setup.sh (%v)", err)
		}
		err := fs.WalkDir(site, name, func(p string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && (e.Name() == "__pycache__" || path.Dir(p) == "botocore/data" && !slices.Contains(boto3Services, e.Name())):
				return fs.SkipDir
			case e.IsDir():
				return nil
			}
			body, err := fs.ReadFile(site, p)
			files = append(files, file{p, body, 0})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return zipOf(t, files...)
}

// role makes a role for functions and answers its ARN.
func (c *cli) role(name string) string {
	c.t.Helper()
	out := c.run("iam", "create-role", "--role-name", name, "--assume-role-policy-document", lambdaTrust)
	return fmt.Sprint(out["Role"].(map[string]any)["Arn"])
}

// allow makes actions all that a role may do, on every resource. None leaves it nothing.
func (c *cli) allow(role string, actions ...string) {
	c.t.Helper()
	if len(actions) == 0 {
		c.run("iam", "delete-role-policy", "--role-name", role, "--policy-name", "p")
		return
	}
	list, err := json.Marshal(actions)
	if err != nil {
		c.t.Fatal(err)
	}
	c.run("iam", "put-role-policy", "--role-name", role, "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":`+string(list)+`,"Resource":"*"}]}`)
}

// callsAWS makes a function that makes the calls it is told to make.
func (s *server) callsAWS(t *testing.T, fn, role string) {
	t.Helper()
	py := languageOf(t, "python")
	s.create(t, lambda.CreateFunctionInput{
		FunctionName: &fn, Role: &role, Runtime: types.Runtime(py.runtime), Handler: aws.String("calls_aws.handler"),
		Code:       &types.FunctionCode{ZipFile: withBoto3(t, source(t, "calls_aws.py"))},
		MemorySize: aws.Int32(512), Timeout: aws.Int32(60),
	})
}

// asks has a function do something and answers what came of it.
func (s *server) asks(t *testing.T, fn, event string) map[string]any {
	t.Helper()
	o := s.invoke(t, fn, event)
	var m map[string]any
	if err := json.Unmarshal([]byte(o.payload), &m); err != nil || o.failed != "" {
		t.Fatalf("%s: %s %s %v\n%s", event, o.failed, o.payload, err, o.log)
	}
	return m
}

// wants asks, and holds members of the answer against their values as text.
func (s *server) wants(t *testing.T, fn, event string, pairs ...string) {
	t.Helper()
	got := s.asks(t, fn, event)
	for i := 0; i < len(pairs); i += 2 {
		if have := fmt.Sprint(got[pairs[i]]); have != pairs[i+1] {
			t.Errorf("%s: %s is %s\nwant %s\nin %v", event, pairs[i], have, pairs[i+1], got)
		}
	}
}

const (
	whoAmI        = `{"do":"call","service":"sts","operation":"get_caller_identity"}`
	listFunctions = `{"do":"call","service":"lambda","operation":"list_functions"}`
)

func getFunction(fn string) string {
	return `{"do":"call","service":"lambda","operation":"get_function","FunctionName":"` + fn + `"}`
}

const noNamespaces = "functions are not isolated here: enfold doctor says what is missing"

// A function calls AWS as its role, wherever it runs.
func TestAWSFromFunction(t *testing.T) {
	t.Parallel()
	for want, flag := range map[string]string{"namespace": "auto", "process": "process"} {
		t.Run(want, func(t *testing.T) {
			s := startServer(t, "--isolation", flag)
			if s.health(t).Isolation != want {
				t.Skip(noNamespaces)
			}
			c := s.cli(t)
			const fn, roleName = "calls-aws", "calls-aws-role"
			me := "arn:aws:sts::" + account + ":assumed-role/" + roleName + "/" + fn
			s.callsAWS(t, fn, c.role(roleName))

			s.wants(t, fn, whoAmI, "status", "200", "Arn", me, "Account", account)
			if id := fmt.Sprint(s.asks(t, fn, whoAmI)["UserId"]); !regexp.MustCompile(`^AROA[A-Z0-9]{17}:` + fn + `$`).MatchString(id) {
				t.Errorf("UserId is %s", id)
			}
			denied := func(action, on string) {
				t.Helper()
				event := map[string]string{"lambda:ListFunctions": listFunctions, "lambda:GetFunction": getFunction(fn)}[action]
				s.wants(t, fn, event, "status", "403", "code", "AccessDeniedException", "message",
					"User: "+me+" is not authorized to perform: "+action+" on resource: "+on+" because no identity-based policy allows the "+action+" action")
			}
			arn := "arn:aws:lambda:" + region + ":" + account + ":function:" + fn
			denied("lambda:ListFunctions", "*")

			c.allow(roleName, "lambda:ListFunctions")
			s.wants(t, fn, listFunctions, "status", "200")
			if got := fmt.Sprint(s.asks(t, fn, listFunctions)["Functions"]); !strings.Contains(got, arn) {
				t.Errorf("the function does not find itself in %s", got)
			}
			denied("lambda:GetFunction", arn)
			c.allow(roleName, "lambda:*")
			s.wants(t, fn, getFunction(fn), "status", "200")
			c.allow(roleName)
			denied("lambda:GetFunction", arn)
		})
	}
}

// Only the AWS API is reachable from a function: not what else the server serves, nor the address where it does.
func TestFunctionReachesNothingElse(t *testing.T) {
	s := startServer(t)
	if s.health(t).Isolation != "namespace" {
		t.Skip(noNamespaces)
	}
	const fn = "reaches-out"
	s.callsAWS(t, fn, s.cli(t).role("reaches-out"))
	for _, p := range []string{"health", "metrics", "code", "code/x", "pprof", ""} {
		got := s.asks(t, fn, `{"do":"get","path":"/_enfold/`+p+`"}`)
		if status := fmt.Sprint(got["status"]); len(status) != 3 || status[0] != '4' || strings.Contains(fmt.Sprint(got["body"]), "isolation") {
			t.Errorf("/_enfold/%s answers a function with %v", p, got)
		}
	}
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	own := ""
	if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
				own = ip.IP.String()
			}
		}
	}
	for _, host := range []string{u.Hostname(), "::1", own} {
		if host == "" {
			continue
		}
		if got := s.asks(t, fn, fmt.Sprintf(`{"do":"connect","host":%q,"port":%d}`, host, port)); got["refused"] == nil {
			t.Errorf("a function can connect to %s", net.JoinHostPort(host, u.Port()))
		}
	}
	s.wants(t, fn, whoAmI, "status", "200") // what it may reach it still reaches
}

// A role that is gone is gone at once: for a function that runs and for one that has yet to start.
func TestRoleIsDeletedUnderFunction(t *testing.T) {
	s := startServer(t)
	c := s.cli(t)
	role := c.role("short-lived")
	s.callsAWS(t, "warm", role)
	s.callsAWS(t, "cold", role)
	c.allow("short-lived", "lambda:ListFunctions")
	s.wants(t, "warm", listFunctions, "status", "200")
	c.allow("short-lived")
	c.run("iam", "delete-role", "--role-name", "short-lived")

	s.wants(t, "warm", listFunctions, "status", "403", "code", "UnrecognizedClientException",
		"message", "The security token included in the request is invalid.")
	s.wants(t, "warm", whoAmI, "status", "403", "code", "InvalidClientTokenId")
	_, err := s.tryInvoke(t, s.lambda(t), &lambda.InvokeInput{FunctionName: aws.String("cold"), Payload: []byte(whoAmI)})
	if want := "403 AccessDeniedException: The role defined for the function cannot be assumed by Lambda."; fault(err) != want {
		t.Errorf("got  %s\nwant %s", fault(err), want)
	}
	if n := s.health(t).Sandboxes; n.Busy != 0 || n.Idle > 1 {
		t.Errorf("sandboxes are %+v", n)
	}
}
