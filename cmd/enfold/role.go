package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// lambdaTrust is the trust policy of an execution role.
const lambdaTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
	`"Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// executionRole is the ARN of a role that Lambda may assume and that may write logs, made if there is none of that name.
func executionRole(ctx context.Context, t *target, name string) (string, error) {
	_, err := t.iam(ctx, "CreateRole", url.Values{"RoleName": {name}, "AssumeRolePolicyDocument": {lambdaTrust}})
	var said *apiError
	if err != nil && (!errors.As(err, &said) || said.Code != "EntityAlreadyExists") {
		return "", err
	}
	if _, err := t.iam(ctx, "AttachRolePolicy", url.Values{
		"RoleName": {name}, "PolicyArn": {"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"},
	}); err != nil {
		return "", err
	}
	b, err := t.iam(ctx, "GetRole", url.Values{"RoleName": {name}})
	if err != nil {
		return "", err
	}
	var out struct {
		Arn string `xml:"GetRoleResult>Role>Arn"`
	}
	if err := xml.Unmarshal(b, &out); err != nil || out.Arn == "" {
		return "", fmt.Errorf("read the answer of GetRole: %w", errors.Join(err, errors.New("no ARN in it")))
	}
	return out.Arn, nil
}

// iam calls an operation of IAM, which speaks the query protocol.
func (t *target) iam(ctx context.Context, op string, in url.Values) ([]byte, error) {
	in.Set("Action", op)
	in.Set("Version", "2010-05-08")
	_, b, err := t.do(ctx, request{
		service: "iam", method: http.MethodPost, path: "/", body: []byte(in.Encode()),
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
	})
	return b, err
}
