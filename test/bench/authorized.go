//go:build linux

package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/url"

	"github.com/enfold-run/enfold/test/floor"
)

// attachedPolicies are as many as a user can have on AWS without asking for more: its own, and those of a group.
const attachedPolicies = 20

// policyText is a policy as people attach them: for other services mostly, with wildcards and a condition that is evaluated at
// every call. The last one allows the call.
func policyText(i int) string {
	if i == attachedPolicies-1 {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:*:*:function:` +
			functionName + `","Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","127.0.0.0/8"]}}}]}`
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:List*"],"Resource":["arn:aws:s3:::bucket-%[1]d","arn:aws:s3:::bucket-%[1]d/*"]},
		{"Effect":"Allow","Action":["lambda:Get*","lambda:List*"],"Resource":"arn:aws:lambda:*:*:function:team-%[1]d-*"},
		{"Effect":"Deny","Action":"lambda:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["us-east-1","eu-west-%[1]d"]}}}]}`, i)
}

// grantUser makes a user with attachedPolicies policies, half of them by its group, and answers its key as environment does.
func (e *enfold) grantUser(ctx context.Context) ([]string, error) {
	const user, group = "bench", "bench"
	calls := []url.Values{
		{"Action": {"CreateUser"}, "UserName": {user}},
		{"Action": {"CreateGroup"}, "GroupName": {group}},
		{"Action": {"AddUserToGroup"}, "UserName": {user}, "GroupName": {group}},
	}
	for i := range attachedPolicies {
		name := fmt.Sprintf("bench-%d", i)
		attach := url.Values{"Action": {"AttachUserPolicy"}, "UserName": {user}}
		if i%2 == 0 {
			attach = url.Values{"Action": {"AttachGroupPolicy"}, "GroupName": {group}}
		}
		attach.Set("PolicyArn", "arn:aws:iam::000000000000:policy/"+name)
		calls = append(calls, url.Values{"Action": {"CreatePolicy"}, "PolicyName": {name}, "PolicyDocument": {policyText(i)}}, attach)
	}
	for _, call := range calls {
		if _, err := e.iam(ctx, call); err != nil {
			return nil, err
		}
	}
	a, err := e.iam(ctx, url.Values{"Action": {"CreateAccessKey"}, "UserName": {user}})
	if err != nil {
		return nil, err
	}
	var key struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal(a.body, &key); err != nil || key.ID == "" || key.Secret == "" {
		return nil, fmt.Errorf("CreateAccessKey answered no key: %w", err)
	}
	return []string{"AWS_ACCESS_KEY_ID=" + key.ID, "AWS_SECRET_ACCESS_KEY=" + key.Secret}, nil
}

// authorized measures what policies cost: the same call by a user that has many, and by the root user, who needs none.
func (w *warmth) authorized(ctx context.Context, e *enfold, t *table) (err error) {
	w.user = side{name: "Enfold, by a user", args: w.enfold.args}
	if w.user.env, err = e.grantUser(ctx); err != nil {
		return fmt.Errorf("make a user: %w", err)
	}
	// What is looked for is small: many short slices, so that what else the machine does falls on both sides alike.
	const finer = 3
	whole, o := w.o, *w.o
	o.slice /= finer
	w.o = &o
	defer func() { w.o = whole }()
	for _, c := range []struct {
		clients int
		rounds  int
		what    string
		format  string
		of      func(*floor.Report) float64
		target  target
	}{
		{1, 2 * finer * w.o.rounds, "1 client, p50", "%.0f µs", func(r *floor.Report) float64 { return r.P50 }, atMost(1.05, "×")},
		{16, finer * w.o.rounds, "16 clients", "%.0f/s", func(r *floor.Report) float64 { return r.PerSecond }, atLeast(0.95)},
	} {
		var p pairs
		for i := range c.rounds {
			user, root, err := w.byUserAndRoot(ctx, i, c.clients)
			if err != nil {
				return err
			}
			p.add(c.of(user), c.of(root))
		}
		t.add(p.row(fmt.Sprintf("warm Invoke with %d policies, %s, against root's", attachedPolicies, c.what), c.format, c.target, ""))
	}
	return nil
}

// byUserAndRoot runs both, every other round in the opposite order.
func (w *warmth) byUserAndRoot(ctx context.Context, round, clients int) (user, root *floor.Report, err error) {
	order := []struct {
		side side
		to   **floor.Report
	}{{w.user, &user}, {w.enfold, &root}}
	if round%2 == 1 {
		order[0], order[1] = order[1], order[0]
	}
	for _, x := range order {
		if *x.to, err = w.load(ctx, x.side, clients); err != nil {
			return nil, nil, err
		}
	}
	return user, root, nil
}
