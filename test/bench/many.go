//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// manyRoles is how many roles there are, each with a managed policy of its own.
const manyRoles = 10_000

// many measures what many roles and policies cost a server at its start and in memory, against an empty one.
func many(ctx context.Context, o *options, p *programs, isolation string, t *table) error {
	full, empty := filepath.Join(p.dir, "data-many"), filepath.Join(p.dir, "data-empty")
	used, made, err := populate(ctx, p, isolation, full)
	if err != nil {
		return fmt.Errorf("make %d roles: %w", manyRoles, err)
	}
	var starts, memory pairs
	for i := range min(o.rounds, 5) {
		order := []string{full, empty}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		ms, mib := map[string]float64{}, map[string]float64{}
		for _, data := range order {
			if ms[data], mib[data], err = startAndRest(ctx, p, isolation, data); err != nil {
				return err
			}
		}
		if i > 0 { // the first start on an empty directory makes it, and brings the other into the page cache
			starts.add(ms[full], ms[empty])
			memory.add(mib[full], mib[empty])
		}
	}
	what := fmt.Sprintf("%d roles, each with a policy: ", manyRoles)
	t.add(starts.row(what+"start to first answer, against none", "%.1f ms", stated, fmt.Sprintf("made by %d calls in %.1f s", 3*manyRoles, made.Seconds())))
	t.add(memory.row(what+"idle VmRSS, against none", "%.1f MiB", stated, fmt.Sprintf("%.1f MiB after each was made and evaluated", used)))
	return nil
}

// populate makes the roles and their policies, has each evaluated once, and answers the server's memory after that, in MiB.
func populate(ctx context.Context, p *programs, isolation, data string) (mib float64, made time.Duration, err error) {
	e, err := startOn(ctx, p, isolation, data)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	begun := time.Now()
	if err := e.eachRole(ctx, e.makeRole); err != nil {
		return 0, 0, err
	}
	made = time.Since(begun)
	if err := e.eachRole(ctx, e.simulate); err != nil {
		return 0, 0, err
	}
	if err := sleep(ctx, idleFor); err != nil {
		return 0, 0, err
	}
	mib, err = e.residentMiB()
	return mib, made, err
}

// eachRole works on all roles, with 16 clients.
func (e *enfold) eachRole(ctx context.Context, work func(ctx context.Context, i int) error) error {
	const clients = 16
	g, ctx := errgroup.WithContext(ctx)
	for c := range clients {
		g.Go(func() error {
			for i := c; i < manyRoles; i += clients {
				if err := work(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (e *enfold) makeRole(ctx context.Context, i int) error {
	role, policy := fmt.Sprintf("role-%d", i), fmt.Sprintf("policy-%d", i)
	for _, call := range []url.Values{
		{"Action": {"CreatePolicy"}, "PolicyName": {policy}, "PolicyDocument": {policyText(i + attachedPolicies)}},
		{"Action": {"CreateRole"}, "RoleName": {role}, "AssumeRolePolicyDocument": {lambdaTrust}},
		{"Action": {"AttachRolePolicy"}, "RoleName": {role}, "PolicyArn": {"arn:aws:iam::000000000000:policy/" + policy}},
	} {
		if _, err := e.iam(ctx, call); err != nil {
			return err
		}
	}
	return nil
}

func (e *enfold) simulate(ctx context.Context, i int) error {
	_, err := e.iam(ctx, url.Values{
		"Action": {"SimulatePrincipalPolicy"}, "PolicySourceArn": {fmt.Sprintf("arn:aws:iam::000000000000:role/role-%d", i)},
		"ActionNames.member.1": {"lambda:ListFunctions"},
	})
	return err
}

// startAndRest is the milliseconds from exec to the first answer, and the MiB that the server has when it was left alone.
func startAndRest(ctx context.Context, p *programs, isolation, data string) (ms, mib float64, err error) {
	if err := sleep(ctx, settling); err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	e, err := startOn(ctx, p, isolation, data)
	if err != nil {
		return 0, 0, err
	}
	err = first("http://"+e.address+"/_enfold/health", http.MethodGet)
	ms = millis(time.Since(begun))
	if err == nil {
		err = sleep(ctx, time.Second)
	}
	if err == nil {
		mib, err = e.residentMiB()
	}
	return ms, mib, orElse(err, e.stop())
}
