package test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// TestEnfoldNamesFunctions: what enfold invoke takes for a function, enfold logs takes too, and prints what that version has logged.
func TestEnfoldNamesFunctions(t *testing.T) {
	s := sharedServer(t)
	ctx, c, fn := t.Context(), s.lambda(t), name(t)
	s.create(t, lambda.CreateFunctionInput{FunctionName: &fn, Code: &types.FunctionCode{ZipFile: bootstrap(t, binaries.hello)}, Publish: true})
	if _, err := c.CreateAlias(ctx, &lambda.CreateAliasInput{FunctionName: &fn, Name: aws.String("live"), FunctionVersion: aws.String("1")}); err != nil {
		t.Fatal(err)
	}
	arn := "arn:aws:lambda:" + region + ":" + account + ":function:" + fn
	said := map[string]string{fn: "plain", fn + ":1": "numbered", account + ":function:" + fn: "partial", arn: "full", arn + ":live": "aliased"}
	versionOne := map[string]bool{fn + ":1": true, arn + ":live": true}
	for name, text := range said {
		if out, diag, err := s.enfold(t, "invoke", name, "--payload", `{"name":"`+text+`"}`); err != nil || member(t, out, "hello") != text {
			t.Fatalf("enfold invoke %s: %v\n%s%s", name, err, out, diag)
		}
	}
	for name := range said {
		var lacks []string
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			out, diag, err := s.enfold(t, "logs", name, "--region", "eu-west-3")
			if !strings.HasPrefix(name, "arn:") {
				out, diag, err = s.enfold(t, "logs", name)
			}
			if err != nil {
				t.Fatalf("enfold logs %s: %v\n%s", name, err, diag)
			}
			lacks = nil
			for of, text := range said {
				of1, wants1 := versionOne[of], versionOne[name]
				if has, want := strings.Contains(out, "hello from the log, "+text+"\n"), of1 || !wants1; has != want {
					lacks = append(lacks, text)
				}
			}
			if lacks == nil {
				break
			}
		}
		if lacks != nil {
			t.Errorf("enfold logs %s: not right about %v", name, lacks)
		}
	}
	for _, tt := range []struct{ command, name, want string }{
		{"invoke", "", "enfold: the name of the function is empty\n"},
		{"logs", "", "enfold: the name of the function is empty\n"},
		{"logs", "no name", "enfold: \"no name\" is neither a function's name nor its ARN\n"},
		{"logs", fn + ":none", "enfold: ResourceNotFoundException: Cannot find alias arn: " + arn + ":none\n"},
		{"logs", strings.Replace(arn, region, "eu-west-3", 1), "enfold: ResourceNotFoundException: Function not found: " + strings.Replace(arn, region, "eu-west-3", 1) + "\n"},
		{"logs", fn + "-none", "enfold: ResourceNotFoundException: Function not found: " + arn + "-none\n"},
		{"logs", fn + ":99", "enfold: ResourceNotFoundException: Function not found: " + arn + ":99\n"},
	} {
		if out, diag, err := s.enfold(t, tt.command, tt.name); err == nil || diag != tt.want {
			t.Errorf("enfold %s %q: %v\n%s%s\nwant %s", tt.command, tt.name, err, out, diag, tt.want)
		}
	}
}

// TestEnfoldAccountCreateIsEnv: the shell that makes an account is in it at once, whatever was in its environment, as with enfold env.
func TestEnfoldAccountCreateIsEnv(t *testing.T) {
	s := sharedServer(t)
	cli := tool(t, "py", "bin", "aws")
	cmd := exec.Command("bash", "-c", `eval "$(`+binaries.enfold+` account create shell --region eu-west-1)"
		`+cli+` lambda get-function --function-name none
		echo $AWS_REGION $AWS_DEFAULT_REGION $AWS_PROFILE $AWS_SESSION_TOKEN`)
	cmd.Env = append(hostEnv(), "HOME="+t.TempDir(), "ENFOLD_DATA="+s.dir, "AWS_PROFILE=nobody", "AWS_SESSION_TOKEN=stale")
	out, err := cmd.CombinedOutput()
	own := regexp.MustCompile(`Function not found: arn:aws:lambda:eu-west-1:(\d{12}):function:none\neu-west-1 eu-west-1\n$`).FindSubmatch(out)
	if err != nil || own == nil || string(own[1]) == account {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestEnfoldRuntimeList says first where it looked.
func TestEnfoldRuntimeList(t *testing.T) {
	cmd := exec.Command(binaries.enfold, "runtime", "list")
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=/nowhere:/usr/bin"}
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if heading, list, _ := strings.Cut(string(out), "\n\n"); err != nil || !strings.Contains(heading, "PATH, /nowhere:/usr/bin.") || !strings.Contains(list, "python3.") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUsualDirectory: the server that the README starts, which is told of no directory, runs functions too.
func TestUsualDirectory(t *testing.T) {
	s := newServer(filepath.Join(dataDir(t), ".enfold"))
	s.usual = true
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.endWith(t)
	for _, name := range languageNames {
		t.Run(name, func(t *testing.T) {
			l := languageOf(t, name)
			s.create(t, lambda.CreateFunctionInput{
				FunctionName: aws.String(name), Runtime: types.Runtime(l.runtime), Handler: aws.String(l.handler), Timeout: aws.Int32(20), MemorySize: aws.Int32(512),
				Code: &types.FunctionCode{ZipFile: l.code},
			})
			if o := s.invoke(t, name, `{"name":"x"}`); o.failed != "" {
				t.Errorf("%s %s", o.failed, o.payload)
			}
		})
	}
}
