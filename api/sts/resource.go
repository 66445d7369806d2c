package sts

import "github.com/enfold-run/enfold/aws"

// taggedSession is the role of a web identity whose token has session tags.
func taggedSession(call *aws.Call, role *string) ([]string, error) {
	if s := session(call); s == nil || len(s.Tags) == 0 {
		return nil, nil
	}
	return []string{*role}, nil
}

// namedSession is the role of a web identity whose token has a source identity.
func namedSession(call *aws.Call, role *string) ([]string, error) {
	if s := session(call); s == nil || s.SourceIdentity == "" {
		return nil, nil
	}
	return []string{*role}, nil
}

// taggedRole is the role of a session with tags: those of the request, or those that follow the caller's session.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining.
func taggedRole(call *aws.Call, role *string, tags []*Tag) ([]string, error) {
	if s := session(call); len(tags) == 0 && (s == nil || len(s.TransitiveTags) == 0) {
		return nil, nil
	}
	return []string{*role}, nil
}

// namedRole is the role of a session with a source identity: that of the request, or the one that follows the caller's session.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html.
func namedRole(call *aws.Call, role, sourceIdentity *string) ([]string, error) {
	if s := session(call); (sourceIdentity == nil || *sourceIdentity == "") && (s == nil || s.SourceIdentity == "") {
		return nil, nil
	}
	return []string{*role}, nil
}

// session is the caller's; nil without one.
func session(call *aws.Call) *aws.Session {
	if call.Principal == nil {
		return nil
	}
	return call.Principal.Session
}
