package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const repository = "../.."

// TestGeneratedIsCurrent fails if somebody changed a model, ops.txt or the generator and did not run it, or changed a
// generated file by hand.
func TestGeneratedIsCurrent(t *testing.T) {
	for _, svc := range services(t) {
		dir := filepath.Join(repository, "api", svc)
		g, err := newGenerator(repository, svc)
		if err != nil {
			t.Fatal(err)
		}
		want, err := g.files()
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s/%s is not what apigen writes: run go run ./cmd/apigen (%v)", dir, name, err)
			}
		}
	}
}

// TestReadmeIsCurrent fails if README.md does not name the served operations.
func TestReadmeIsCurrent(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := operationTable(repository, services(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := replaceTable(readme, table)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readme, want) || !strings.Contains(table, "InvokeWithResponseStream") {
		t.Error("README.md is not what apigen writes: run go run ./cmd/apigen")
	}
	if _, err := replaceTable([]byte("# no marks"), table); err == nil {
		t.Error("a README without marks is accepted")
	}
}

// services are the folders of api that have an ops.txt, in order.
func services(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repository, "api", "*", "ops.txt"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%d services, %v", len(files), err)
	}
	for i, f := range files {
		files[i] = filepath.Base(filepath.Dir(f))
	}
	slices.Sort(files)
	return files
}

func TestGoName(t *testing.T) {
	for in, want := range map[string]string{
		"FunctionName": "FunctionName", "SubnetIds": "SubnetIDs", "logGroupId": "LogGroupID", "UserId": "UserID", "ImageUri": "ImageURI",
		"Ipv6AllowedForDualStack": "Ipv6AllowedForDualStack", "EventSourceIdentity": "EventSourceIdentity", "CodeSha256": "CodeSha256",
		"EC2ErrorCode": "EC2ErrorCode", "KMSKeyArn": "KMSKeyArn", "HttpUrl": "HTTPURL", "id": "ID", "TableId2": "TableID2", "QueueUrls": "QueueURLs",
	} {
		if got := goName(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestValueName(t *testing.T) {
	for in, want := range map[string]string{
		"Active": "Active", "python3.12": "Python312", "TRIM_HORIZON": "TrimHorizon", "x86_64": "X8664", "provided.al2023": "ProvidedAl2023",
		"nodejs4.3-edge": "Nodejs43Edge", "RequestResponse": "RequestResponse", "ALL": "All",
	} {
		if got := valueName(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// TestImport trims a small model out of a botocore tree and generates from it: the method that a service must write where
// its resource cannot be derived, and the ops that are absent.
func TestImport(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "README.md"), "# Toy\n\n"+tableBegin+tableEnd+"\n")
	write(t, filepath.Join(root, "botocore", "toy", "2020-01-01", "service-2.json"), `{"version":"2.0","documentation":"<p>secret sauce</p>",
		"metadata":{"apiVersion":"2020-01-01","endpointPrefix":"toy","jsonVersion":"1.0","protocol":"json","protocols":["smithy-rpc-v2-cbor","json"],
			"serviceFullName":"Toy","serviceId":"Toy","targetPrefix":"Toy_2020"},
		"operations":{"Get":{"name":"Get","http":{"method":"POST","requestUri":"/"},"input":{"shape":"GetReq"},"errors":[{"shape":"GoneException"}],"documentation":"x"},
			"Put":{"name":"Put","http":{"method":"POST","requestUri":"/"}},
			"Prove":{"name":"Prove","http":{"method":"POST","requestUri":"/"},"authtype":"none"}},
		"shapes":{"GetReq":{"type":"structure","required":["b"],"members":{"b":{"shape":"S","documentation":"x"},"a":{"shape":"L"}}},
			"S":{"type":"string","max":3,"enum":["X","Y_Z"]},"L":{"type":"list","member":{"shape":"S"}},
			"GoneException":{"type":"structure","members":{"Message":{"shape":"S"}},"exception":true,"error":{"httpStatusCode":410,"code":"Gone"}}}}`)
	write(t, filepath.Join(root, "api", "toy", "ops.txt"), "service model=toy/2020-01-01 validation=ValidationException protocols=query\nGet noauth data maxbody=5\nProve\n")
	write(t, filepath.Join(root, "api", "models", "actions.txt"), "toy Get toy:Get method\n"+
		"toy Get also iam:PassRole ${a} iam:PassedToService=toy.amazonaws.com if=b\ntoy Get also toy:Look arn:aws:toy::${Account}:${b}/x\n"+
		"toy Get also toy:Peek thing(b,a)\ntoy Get also toy:All * if=a\ntoy Prove toy:Prove *\n")
	write(t, filepath.Join(root, "api", "models", "overrides.txt"), "toy L.member pattern=[A-Z`]+\n")
	if err := run(root, filepath.Join(root, "botocore"), []string{"toy"}); err != nil {
		t.Fatal(err)
	}
	model := read(t, filepath.Join(root, "api", "models", "toy.json"))
	if strings.Contains(model, "documentation") || strings.Index(model, `"b"`) > strings.Index(model, `"a"`) {
		t.Errorf("the kept model has documentation, or another order:\n%s", model)
	}
	for file, wants := range map[string][]string{
		"types.gen.go":  {"type GetInput struct", `wire:"b" check:"required,max=3,enum=X|Y_Z"`, "pattern=[A-Z`]+", "type GetOutput struct", `shape:"none"`, "SYZ = \"Y_Z\""},
		"errors.gen.go": {`ErrGone = &aws.ErrorType{Code: "GoneException", QueryCode: "Gone", Status: 410, MessageAs: "Message"}`},
		"ops.gen.go": {
			"aws.JSON10, aws.RPCv2CBOR, aws.Query", `{Name: "Put", Method: "POST", URI: "/"}`, "impl.(API).ResourcesGet(", "MaxBody:", "NoAuth:",
			"ReadOnly:", "Data:", `Action: "toy:Prove", Resource: "*", Unsigned: true,`,
			`{ Action: "iam:PassRole", Resources: func(ctx context.Context, impl, input any) ([]string, error) { in := input.(*GetInput) ` +
				`if in.B == nil || *in.B == "" || len(in.A) == 0 { return nil, nil } return in.A, nil }, ` +
				`Keys: map[string]string{"iam:PassedToService": "toy.amazonaws.com"}, },`,
			`return []string{"arn:aws:toy::" + aws.CallFrom(ctx).Account + ":" + *in.B + "/x"}, nil`,
			`return thing(aws.CallFrom(ctx), in.B, in.A)`,
			`if len(in.A) == 0 { return nil, nil } return []string{"*"}, nil`,
		},
		"api.gen.go": {"ResourcesGet(ctx context.Context, in *GetInput) ([]string, error)", "func (c *Client) Get("},
	} {
		text := strings.Join(strings.Fields(read(t, filepath.Join(root, "api", "toy", file))), " ")
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s:\n%s", file, want, text)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, files := range map[string][2]string{
		"no op":      {"Nothing", "lambda Nothing lambda:Nothing *"},
		"no action":  {"Invoke", "lambda GetFunction lambda:GetFunction *"},
		"no member":  {"Invoke", "lambda Invoke lambda:InvokeFunction ${Nothing}"},
		"twice":      {"Invoke\nInvoke", "lambda Invoke lambda:InvokeFunction *"},
		"bad word":   {"Invoke status=ok", "lambda Invoke lambda:InvokeFunction *"},
		"short line": {"Invoke", "lambda Invoke"},
		"two rows":   {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke lambda:Invoke *"},

		"only a further permission":             {"Invoke", "lambda Invoke also iam:PassRole *"},
		"further permission on no member":       {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke also iam:PassRole ${Role}"},
		"further permission on a blob":          {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke also iam:PassRole ${Payload}"},
		"further permission if nothing":         {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke also iam:PassRole * if=Role"},
		"further permission with half a key":    {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke also iam:PassRole * k="},
		"further permission with a stray word":  {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke also iam:PassRole * k"},
		"further permission without a resource": {"Invoke", "lambda Invoke lambda:InvokeFunction *\nlambda Invoke also iam:PassRole"},
	} {
		root := t.TempDir()
		write(t, filepath.Join(root, "api", "lambda", "ops.txt"), files[0])
		write(t, filepath.Join(root, "api", "models", "actions.txt"), files[1])
		write(t, filepath.Join(root, "api", "models", "overrides.txt"), "")
		write(t, filepath.Join(root, "api", "models", "lambda.json"), read(t, filepath.Join(repository, "api", "models", "lambda.json")))
		if err := run(root, "", nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestActionsServe checks that actions.txt names nothing that is not served.
func TestActionsServe(t *testing.T) {
	err := eachLine(filepath.Join(repository, "api", "models", "actions.txt"), func(line string) error {
		f := strings.Fields(line)
		ops, err := readOps(filepath.Join(repository, "api", f[0], "ops.txt"))
		if err == nil && !slices.Contains(ops.names, f[1]) {
			t.Errorf("%s does not serve %s", f[0], f[1])
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
