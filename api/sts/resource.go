package sts

import "github.com/enfold-run/enfold/aws"

// taggedSession is the role of a web identity whose token has session tags.
func taggedSession(call *aws.Call, role *string) ([]string, error) {
	if call.Principal == nil || call.Principal.Session == nil || len(call.Principal.Session.Tags) == 0 {
		return nil, nil
	}
	return []string{*role}, nil
}

// namedSession is the role of a web identity whose token has a source identity.
func namedSession(call *aws.Call, role *string) ([]string, error) {
	if call.Principal == nil || call.Principal.Session == nil || call.Principal.Session.SourceIdentity == "" {
		return nil, nil
	}
	return []string{*role}, nil
}
