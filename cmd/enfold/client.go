package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/enfold-run/enfold/server"
	"github.com/enfold-run/enfold/sigv4"
)

// maxAnswer bounds what the commands read from the server: the largest answer is ten messages of 1 MiB, with escapes.
const maxAnswer = 80 << 20

// target is a running server and who we are to it. The commands speak to it as any AWS client does.
type target struct {
	endpoint            string
	accessKeyID, secret string
	token               string
	region              string
}

// findServer is the server that runs on a data directory, if one was named. Else it is the one that AWS_ENDPOINT_URL and the
// AWS_… credentials name, if all are set, which may be anywhere; else the one on the default directory. On a directory the commands
// act with its root key, and say so if the environment has other credentials.
func findServer(data dataFlag, region string) (*target, error) {
	if data.Data != "" {
		t, err := serverOf(data.dir(), region)
		if err == nil && t.passesOver(os.Getenv("AWS_ACCESS_KEY_ID")) {
			fmt.Fprintf(os.Stderr, "enfold: acting as root of the server on %s (--data or ENFOLD_DATA): the AWS_… credentials in the environment are not used\n",
				data.dir())
		}
		return t, err
	}
	t := &target{
		endpoint: os.Getenv("AWS_ENDPOINT_URL"), region: region, token: os.Getenv("AWS_SESSION_TOKEN"),
		accessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), secret: os.Getenv("AWS_SECRET_ACCESS_KEY"),
	}
	if t.endpoint != "" && t.accessKeyID != "" && t.secret != "" {
		return t, nil
	}
	return serverOf(data.dir(), region)
}

// serverOf is the server that runs on a data directory, with its root credentials.
func serverOf(dir, region string) (*target, error) {
	endpoint, err := os.ReadFile(filepath.Join(dir, server.EndpointFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no server runs on %s: start one with `enfold serve`, or name its directory with --data", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("find the server: %w", err)
	}
	key, err := server.ReadRootKey(dir)
	if err != nil {
		return nil, err
	}
	return &target{
		endpoint: strings.TrimSpace(string(endpoint)), region: region, accessKeyID: key.AccessKeyID, secret: key.SecretAccessKey,
	}, nil
}

// passesOver says whether a key id of the environment is another than the one that is used.
func (t *target) passesOver(id string) bool { return id != "" && id != t.accessKeyID }

// apiError is an error answer.
type apiError struct {
	Status  int
	Code    string
	Message string
}

func (e *apiError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s (HTTP %d)", e.Code, e.Status)
	}
	return e.Code + ": " + e.Message
}

// httpClient trusts the certificates of AWS_CA_BUNDLE, as AWS's clients do.
func httpClient() (*http.Client, error) {
	bundle := os.Getenv("AWS_CA_BUNDLE")
	if bundle == "" {
		return http.DefaultClient, nil
	}
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, fmt.Errorf("read AWS_CA_BUNDLE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: no certificate in %s", bundle)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

// request is one signed call.
type request struct {
	service, method, path string
	header                http.Header
	body                  []byte
}

// do sends a request and answers the body of a success.
func (t *target) do(ctx context.Context, r request) (http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, t.endpoint+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, nil, fmt.Errorf("make request: %w", err)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	client, err := httpClient()
	if err != nil {
		return nil, nil, err
	}
	sigv4.Sign(req, r.body, sigv4.Credentials{
		AccessKeyID: t.accessKeyID, Secret: []byte(t.secret), SessionToken: t.token, Region: t.region, Service: r.service,
	}, time.Now())
	resp, err := client.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil, fmt.Errorf("no server answers at %s: start one with `enfold serve`", t.endpoint)
	}
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return nil, nil, newAPIError(resp, body)
	}
	return resp.Header, body, nil
}

func newAPIError(resp *http.Response, body []byte) *apiError {
	e := &apiError{Status: resp.StatusCode, Code: resp.Header.Get("X-Amzn-Errortype")}
	var said struct {
		Type    string `json:"__type"`
		Lower   string `json:"message"`
		Upper   string `json:"Message"`
		Generic string `json:"errorMessage"`
	}
	if json.Unmarshal(body, &said) == nil {
		e.Message = said.Lower + said.Upper + said.Generic
		if e.Code == "" {
			e.Code = said.Type
		}
	}
	var xmlSaid struct { // of the query protocol
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if e.Code == "" && xml.Unmarshal(body, &xmlSaid) == nil {
		e.Code, e.Message = xmlSaid.Code, xmlSaid.Message
	}
	if e.Code == "" {
		e.Code = http.StatusText(resp.StatusCode)
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") { // of what is ours and not AWS's
			e.Message = strings.TrimSpace(string(body[:min(len(body), 1<<10)]))
		}
	}
	return e
}

// json calls an operation of a service that speaks AWS JSON 1.1.
func (t *target) json(ctx context.Context, service, op string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s: %w", op, err)
	}
	_, answer, err := t.do(ctx, request{
		service: service, method: http.MethodPost, path: "/", body: body,
		header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {op}},
	})
	if err != nil || len(answer) == 0 { // an operation that answers nothing
		return err
	}
	return json.Unmarshal(answer, out)
}

// rest calls an operation of Lambda. A nil in sends no body, a nil out takes none.
func (t *target) rest(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("encode %s: %w", path, err)
		}
	}
	_, answer, err := t.do(ctx, request{
		service: "lambda", method: method, path: path, body: body, header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// invocation is what Invoke answered.
type invocation struct {
	payload       []byte
	functionError string
	log           string // last 4 KB
}

func (t *target) invoke(ctx context.Context, function, qualifier string, event []byte) (*invocation, error) {
	path := "/2015-03-31/functions/" + url.PathEscape(function) + "/invocations"
	if qualifier != "" {
		path += "?Qualifier=" + url.QueryEscape(qualifier)
	}
	header, body, err := t.do(ctx, request{
		service: "lambda", method: http.MethodPost, path: path, body: event, header: http.Header{"X-Amz-Log-Type": {"Tail"}},
	})
	if err != nil {
		return nil, err
	}
	return &invocation{
		payload: body, functionError: header.Get("X-Amz-Function-Error"), log: decodeLog(header.Get("X-Amz-Log-Result")),
	}, nil
}
