package test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/enfold-run/enfold/api/accessanalyzer"
	"github.com/enfold-run/enfold/api/cloudtrail"
	"github.com/enfold-run/enfold/api/ecr"
	"github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/api/kms"
	"github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/api/logs"
	"github.com/enfold-run/enfold/api/sns"
	"github.com/enfold-run/enfold/api/sqs"
	"github.com/enfold-run/enfold/api/sts"
	enfold "github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/sigv4"
)

// tables are the ops of every service.
var tables = []*enfold.Service{
	lambda.Service, logs.Service, iam.Service, sts.Service, kms.Service, cloudtrail.Service, accessanalyzer.Service,
	sqs.Service, sns.Service, ecr.Service,
}

// rootUser is that of an account of a server.
type rootUser struct{ account, key, secret string }

var accountLines = regexp.MustCompile(`(?s)# account (\d{12}) .*AWS_ACCESS_KEY_ID='(\S+)'\n.*AWS_SECRET_ACCESS_KEY='(\S+)'\n`)

// newAccount makes an AWS account.
func (s *server) newAccount(t testing.TB, name string) rootUser {
	t.Helper()
	out, diag, err := s.enfold(t, "account", "create", name)
	m := accountLines.FindStringSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("enfold account create: %v\n%s%s", err, out, diag)
	}
	return rootUser{m[1], m[2], m[3]}
}

// listings are the ops that read without being told what.
func listings(svc *enfold.Service) (all []*enfold.Op) {
	for _, op := range svc.Ops {
		in := reflect.TypeOf(op.NewInput()).Elem()
		needs := slices.ContainsFunc(reflect.VisibleFields(in), func(f reflect.StructField) bool {
			return strings.Contains(f.Tag.Get("check"), "required")
		})
		if op.ReadOnly && !needs {
			all = append(all, op)
		}
	}
	return all
}

// reads calls an op without any members, and answers the bytes that came back.
func (s *server) reads(who rootUser, svc *enfold.Service, op *enfold.Op) (string, error) {
	body, target, header := "", "/", http.Header{}
	switch svc.Protocols[0] {
	case enfold.RestJSON:
		target = op.URI
	case enfold.JSON10, enfold.JSON11:
		body = "{}"
		header.Set("Content-Type", "application/x-amz-json-1.1")
		header.Set("X-Amz-Target", svc.TargetPrefix+"."+op.Name)
	case enfold.Query:
		body = "Action=" + op.Name + "&Version=" + svc.Version
		header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	default:
		return "", fmt.Errorf("%s speaks %s, which this test does not", svc.Name, svc.Protocols[0])
	}
	req, err := http.NewRequest(op.Method, s.url+target, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header = header
	sigv4.Sign(req, []byte(body), sigv4.Credentials{
		AccessKeyID: who.key, Secret: []byte(who.secret), Region: region, Service: svc.SigningName,
	}, time.Now())
	resp, err := httpClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err == nil && resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented { // there is only a contract of it yet
		err = fmt.Errorf("%s %s", resp.Status, b)
	}
	return string(b), err
}

// separate says what somebody who has done nothing reads of the account that the tests work in.
func (s *server) separate(other rootUser) error {
	var problems []error
	own, asked := 0, 0
	for _, svc := range tables {
		for _, op := range listings(svc) {
			asked++
			told, err := s.reads(other, svc, op)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s:%s: %w", svc.Name, op.Name, err))
			}
			if at := strings.Index(told, account); at >= 0 {
				problems = append(problems, fmt.Errorf("%s:%s tells account %s of account %s: …%.400s", svc.Name, op.Name, other.account, account, told[max(0, at-100):]))
			}
			if told, err := s.reads(rootUser{account, accessKey, secretKey}, svc, op); err == nil && strings.Contains(told, account) {
				own++
			}
		}
	}
	if asked < 20 || own < 4 {
		problems = append(problems, fmt.Errorf("of %d listings only %d tell an account of what it has itself", asked, own))
	}
	return errors.Join(problems...)
}

// TestListingsOfEveryService: every service that there is is among those whose listings are read.
func TestListingsOfEveryService(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "service", "*", "doc.go"))
	if err != nil || len(files) < 7 {
		t.Fatalf("%d services, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		if !slices.ContainsFunc(tables, func(s *enfold.Service) bool { return s.Name == name }) {
			t.Errorf("the listings of %s are not read", name)
		}
	}
}
