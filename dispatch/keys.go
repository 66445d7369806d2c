package dispatch

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// requestKeys finds the condition keys of a call: policy.Keys. What the principal is, package policy knows by itself.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html.
type requestKeys struct {
	ctx         context.Context
	q           question
	arn, owner  string
	also        *aws.Permission // nil for the call's own action
	asksService bool            // the resource is one of the service's that is called
}

// Values implements policy.Keys.
func (k *requestKeys) Values(key string) ([]string, bool) {
	if k.also != nil {
		for name, value := range k.also.Keys {
			if strings.EqualFold(name, key) {
				return []string{value}, true
			}
		}
	}
	prefix, name, tagged := strings.Cut(key, "/")
	switch {
	case tagged && prefix == "aws:requesttag":
		if values, ok := k.q.a.tags.tag(k.q.call.Input, name); ok {
			return values, true
		}
	case key == "iam:associatedresourcearn" && k.also != nil:
		return one(k.q.target)
	case strings.HasPrefix(key, "aws:"):
		if values, ok := k.network(key); ok {
			return values, true
		}
		if values, ok := k.ownership(key); ok {
			return values, true
		}
	}
	if c, ok := k.q.impl.(Conditioner); ok && k.asksService {
		return c.ConditionValues(k.ctx, k.q.call, k.arn, key)
	}
	return nil, false
}

// network are the keys of the request: where from, when, how.
func (k *requestKeys) network(key string) ([]string, bool) {
	call := k.q.call
	switch key {
	case "aws:sourceip":
		return k.sourceIP()
	case "aws:useragent":
		return one(call.UserAgent)
	case "aws:securetransport":
		return truth(call.Secure || k.fromService())
	case "aws:requestedregion":
		return one(call.Region)
	case "aws:currenttime":
		return one(k.q.a.deps.Now().UTC().Format(time.RFC3339))
	case "aws:epochtime":
		return one(strconv.FormatInt(k.q.a.deps.Now().Unix(), 10))
	case "aws:tagkeys":
		return k.q.a.tags.tagKeys(call.Input)
	case "aws:viaawsservice":
		return truth(len(call.Via) > 0)
	case "aws:calledvia":
		return call.Via, len(call.Via) > 0
	case "aws:calledviafirst":
		return at(call.Via, 0)
	case "aws:calledvialast":
		return at(call.Via, len(call.Via)-1)
	}
	return nil, false
}

// ownership are the keys that say whose something is.
func (k *requestKeys) ownership(key string) ([]string, bool) {
	call := k.q.call
	switch key {
	case "aws:sourcearn":
		return one(call.SourceArn)
	case "aws:sourceaccount":
		return one(call.SourceAccount)
	case "aws:sourceorgid":
		return k.organization(call.SourceAccount, false)
	case "aws:sourceorgpaths":
		return k.organization(call.SourceAccount, true)
	case "aws:resourceaccount":
		return one(k.owner)
	case "aws:resourceorgid":
		return k.organization(k.owner, false)
	case "aws:resourceorgpaths":
		return k.organization(k.owner, true)
	case "aws:principalorgid":
		return k.organization(k.q.principal.Account, false)
	case "aws:principalorgpaths":
		return k.organization(k.q.principal.Account, true)
	}
	return nil, false
}

// fromService says that the request comes from a service, not over the client's own connection.
func (k *requestKeys) fromService() bool {
	return len(k.q.call.Via) > 0 || k.q.principal.Type == aws.ServiceType
}

// sourceIP is the address of who sent the request; absent for what a service sends.
func (k *requestKeys) sourceIP() ([]string, bool) {
	if k.fromService() {
		return nil, false
	}
	if _, err := netip.ParseAddr(k.q.call.SourceIP); err != nil {
		return nil, false
	}
	return []string{k.q.call.SourceIP}, true
}

func (k *requestKeys) organization(account string, paths bool) ([]string, bool) {
	if k.q.a.deps.Organization == nil || account == "" {
		return nil, false
	}
	id, at := k.q.a.deps.Organization.Organization(account)
	if paths {
		return at, id != "" && len(at) > 0
	}
	return one(id)
}

// one is a key with a single value, absent if that is empty.
func one(value string) ([]string, bool) {
	if value == "" {
		return nil, false
	}
	return []string{value}, true
}

func truth(b bool) ([]string, bool) { return []string{strconv.FormatBool(b)}, true }

func at(list []string, i int) ([]string, bool) {
	if i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i : i+1], true
}
