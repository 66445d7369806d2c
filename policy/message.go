package policy

import (
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// Message is AWS's text of a refusal; empty if the request is allowed. Who has nothing but a token of an identity provider hears
// the action alone. Across accounts it tells no reason, and who assumes a role is never told what was missing.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.
func (d Decision) Message(req *Request) string {
	if d.Allowed {
		return ""
	}
	if req.Principal != nil && req.Principal.Type == aws.Anonymous && req.Principal.Session != nil {
		return "Not authorized to perform " + req.Action
	}
	who := "anonymous"
	if req.Principal != nil && req.Principal.Arn != "" {
		who = req.Principal.Arn
	}
	text := "User: " + who + " is not authorized to perform: " + req.Action
	if req.Resource != "" {
		text += " on resource: " + req.Resource
	}
	return text + d.reason(req.Action)
}

// reason is the end of the message, from " because" or " with an explicit deny" on.
func (d Decision) reason(action string) string {
	switch {
	case d.CrossAccount || d.Layer == "":
		return ""
	case d.Explicit && d.Layer == IdentityBased:
		return " with an explicit deny in an " + string(d.Layer)
	case d.Explicit:
		return " with an explicit deny in a " + string(d.Layer)
	case strings.HasPrefix(action, "sts:AssumeRole"), action == "sts:TagSession", action == "sts:SetSourceIdentity":
		return ""
	}
	return " because no " + string(d.Layer) + " allows the " + action + " action"
}
