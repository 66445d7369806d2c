package server

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/service/sts"
)

// The exceptions of the reading ops. What is not named here tells A something of its own, and B nothing of A.
var (
	// impersonal are the ops whose answers have nothing that tells whose they are.
	impersonal = []string{
		"lambda:GetAccountSettings", "lambda:GetFunctionConcurrency", "lambda:GetFunctionRecursionConfig", "iam:GenerateCredentialReport",
		"lambda:GetProvisionedConcurrencyConfig", "lambda:GetFunctionCodeSigningConfig",
		"iam:GenerateServiceLastAccessedDetails", "iam:GetAccountSummary", "iam:GetContextKeysForCustomPolicy",
		"iam:GetContextKeysForPrincipalPolicy", "iam:GetServiceLastAccessedDetails", "iam:GetServiceLinkedRoleDeletionStatus",
		"iam:ListInstanceProfilesForRole", "iam:ListPolicyVersions", "iam:SimulateCustomPolicy", "kms:GenerateRandom",
		"kms:ListKeyPolicies", "kms:ListKeyRotations", "sts:GetSessionToken", "accessanalyzer:CheckAccessNotGranted",
		"accessanalyzer:CheckNoPublicAccess", "accessanalyzer:ValidatePolicy", "cloudtrail:GetTrailStatus",
		"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability",
	}
	// knowing are the ops that tell whose something is to whoever asks, as AWS's do.
	knowing = []string{"sts:GetAccessKeyInfo"}
	// echoing are the ops that tell B what it has tried on A's things itself: they are asked by somebody who has not.
	echoing = []string{"cloudtrail:LookupEvents"}
)

// readings are what the reading ops answer a tenant: in every way to name A's things, and bare of what need not be said.
func readings(who *tenant, samples *sampler, w *world) map[string][]string {
	all := map[string][]string{}
	for _, svc := range who.services {
		for _, op := range svc.Ops {
			if !op.ReadOnly {
				continue
			}
			name := svc.Name + ":" + op.Name
			all[name] = nil
			for _, how := range []struct {
				spelling
				whole bool
			}{{w.names, false}, {w.names, true}, {w.arns, true}} {
				in, missing := how.input(samples, svc.Name, op, how.whole)
				if len(missing) > 0 {
					who.t.Errorf("%s: no sample for %s: say in populate_test.go how to name what account A made", name, missing)
				}
				out, err := who.try(op, in)
				var refused *aws.Error
				switch {
				case err == nil:
					all[name] = append(all[name], rendered(reflect.ValueOf(out)))
				case !errors.As(err, &refused) || refused.Type.Server:
					who.t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	return all
}

// telling says whether one of the answers has something of an account.
func telling(answers []string, account string) bool {
	return slices.ContainsFunc(answers, func(s string) bool { return strings.Contains(s, account) || strings.Contains(s, marker) })
}

// TestAccounts: of all that one account makes, no op of any service tells another account anything, named or not, and nothing
// that the other does touches it. A new op joins by being in its service's table.
func TestAccounts(t *testing.T) {
	s, root := tenants(t)
	a, b, c := root("a"), root("b"), root("c")
	var tokens *sts.Service
	for _, svc := range s.services {
		if found, ok := svc.impl.(*sts.Service); ok {
			tokens = found
		}
	}
	w := populate(a, tokens)
	b.do("iam:CreateUser", members{"UserName": "admin"})
	b.do("iam:PutUserPolicy", members{"UserName": "admin", "PolicyName": "p", "PolicyDocument": allowEverything})
	admin := *b
	admin.principal = &aws.Principal{
		Type: aws.User, Account: b.account, Arn: text(b.do("iam:GetUser", members{"UserName": "admin"}), "User.Arn"),
		ID: text(b.do("iam:GetUser", members{"UserName": "admin"}), "User.UserID"), AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
	}
	samples := &sampler{t: t}

	before := readings(a, samples, w)
	ops := 0
	for name, answers := range before {
		ops++
		if told := telling(answers, a.account); told == slices.Contains(impersonal, name) {
			t.Errorf("%s tells account A of what it has: %t: %q", name, told, answers)
		}
	}
	if ops < 100 {
		t.Errorf("only %d ops read something", ops)
	}
	hold := func() {
		t.Helper()
		for _, who := range []*tenant{b, &admin} {
			for name, answers := range readings(who, samples, w) {
				if slices.Contains(echoing, name) {
					continue
				}
				if telling(answers, a.account) != slices.Contains(knowing, name) {
					t.Errorf("%s tells %s something of account %s: %q", name, who.principal.Arn, a.account, answers)
				}
			}
		}
	}
	hold()

	// What A reads twice alike it must read still when B has tried everything on it.
	still := readings(a, samples, w)
	maps.DeleteFunc(still, func(name string, answers []string) bool { return !slices.Equal(answers, before[name]) })
	if len(still) < ops*3/4 {
		t.Errorf("of %d ops only %d answer the same twice", ops, len(still))
	}
	for _, who := range []*tenant{b, &admin} {
		for _, svc := range s.services {
			for _, op := range svc.Ops {
				if op.ReadOnly || op.Unsigned {
					continue
				}
				in, _ := w.arns.input(samples, svc.Name, op, true)
				out, err := who.try(op, in)
				var refused *aws.Error
				if err != nil && (!errors.As(err, &refused) || refused.Type.Server) {
					t.Errorf("%s:%s: %v", svc.Name, op.Name, err)
				}
				if err == nil && strings.Contains(rendered(reflect.ValueOf(out)), a.account) {
					t.Errorf("%s:%s by %s answers something of account A: %s", svc.Name, op.Name, who.principal.Arn, rendered(reflect.ValueOf(out)))
				}
			}
		}
	}
	for _, name := range echoing {
		op, svc := c.op(name)
		in, _ := w.names.input(samples, svc.Name, op, false)
		if out, err := c.try(op, in); err != nil || telling([]string{rendered(reflect.ValueOf(out))}, a.account) {
			t.Errorf("%s tells account C: %v, %v", name, out, err)
		}
	}
	for name, answers := range readings(a, samples, w) {
		if want, ok := still[name]; ok && !slices.Equal(answers, want) {
			t.Errorf("%s: what account A reads was changed by account B:\n%q\nwas %q", name, answers, want)
		}
	}
}
