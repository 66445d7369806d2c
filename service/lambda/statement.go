package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
)

// maxPolicy is the most bytes of a resource policy's text.
// See https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
const maxPolicy = 20_480

// statement is one grant of a resource policy, in the order in which AWS writes its members.
type statement struct {
	Sid       string
	Effect    string
	Principal any // "*", or one kind with its name
	Action    string
	Resource  string
	Condition *grantConditions `json:",omitempty"`
}

// grantConditions are the operators that AddPermission makes conditions with.
type grantConditions struct {
	StringEquals map[string]string `json:",omitempty"`
	Bool         map[string]string `json:",omitempty"`
	ArnLike      map[string]string `json:",omitempty"`
}

// resourcePolicy is the policy of a function, version, alias or layer version: never without a statement.
type resourcePolicy struct {
	Revision   string               `json:",omitempty"` // of a layer version's; a function's is that of its version or alias
	Statements []string             // as AddPermission answered them, oldest first
	Set        map[string]time.Time `json:",omitempty"` // when a statement was added, by its Sid
}

// text is the policy as GetPolicy answers it.
func (p *resourcePolicy) text() (string, error) { return statementsText(p.Statements) }

// statementsText is a policy of these statements.
func statementsText(all []string) (string, error) {
	statements := make([]json.RawMessage, len(all))
	for i, st := range all {
		statements[i] = json.RawMessage(st)
	}
	return compact(struct {
		Version   string
		ID        string `json:"Id"`
		Statement []json.RawMessage
	}{"2012-10-17", "default", statements})
}

// compact is JSON without spaces and without escapes that only HTML needs.
func compact(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("write policy: %w", err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// find is the place of a statement, and the statement; -1 if there is none of this id.
func (p *resourcePolicy) find(sid string) (int, *statement, error) {
	for i, raw := range p.Statements {
		var st statement
		if err := json.Unmarshal([]byte(raw), &st); err != nil {
			return -1, nil, fmt.Errorf("read policy statement %d: %w", i, err)
		}
		if st.Sid == sid {
			return i, &st, nil
		}
	}
	return -1, nil, nil
}

// with is the policy with one more statement, added now, and that statement's text. p may be nil.
func (p *resourcePolicy) with(st *statement, now time.Time) (*resourcePolicy, string, error) {
	if p == nil {
		p = &resourcePolicy{}
	}
	i, _, err := p.find(st.Sid)
	if err != nil {
		return nil, "", err
	}
	if i >= 0 {
		return nil, "", api.ErrResourceConflict.Withf("The statement id (%s) provided already exists. "+
			"Please provide a new statement id, or remove the existing statement.", st.Sid)
	}
	raw, err := compact(st)
	if err != nil {
		return nil, "", err
	}
	next := &resourcePolicy{Revision: p.Revision, Statements: append(slices.Clip(p.Statements), raw), Set: map[string]time.Time{st.Sid: now}}
	for sid, at := range p.Set {
		next.Set[sid] = at
	}
	text, err := next.text()
	if err != nil {
		return nil, "", err
	}
	if len(text) > maxPolicy {
		return nil, "", api.ErrPolicyLengthExceeded.Withf("The final policy size (%d) is bigger than the limit (%d).", len(text), maxPolicy)
	}
	return next, raw, nil
}

// without is the policy without a statement; nil if that was the last.
func (p *resourcePolicy) without(sid string) (*resourcePolicy, error) {
	i, _, err := p.find(sid)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		return nil, api.ErrResourceNotFound.Withf("Statement %s is not found in resource policy.", sid)
	}
	if len(p.Statements) == 1 {
		return nil, nil
	}
	set := maps.Clone(p.Set)
	delete(set, sid)
	return &resourcePolicy{Revision: p.Revision, Statements: slices.Concat(p.Statements[:i], p.Statements[i+1:]), Set: set}, nil
}

var (
	servicePrincipal = aws.Pattern(`^[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com)$`)
	arnPrincipal     = aws.Pattern(`^arn:aws[a-zA-Z-]*:(iam::\d{12}:(root|(user|role)/[\w+=,.@/-]+)|` +
		`sts::\d{12}:(assumed-role/[\w+=,.@-]+|federated-user)/[\w+=,.@-]+)$`)
)

var errPrincipal = invalid("The provided principal was invalid. Please check the principal and try again.")

// checkPrincipal refuses a user or role that is not there.
func (s *Service) checkPrincipal(ctx context.Context, given string) error {
	if s.deps.PrincipalsExist == nil || !arnPrincipal().MatchString(given) {
		return nil
	}
	if ok, err := s.deps.PrincipalsExist(ctx, []string{given}); ok || err != nil {
		return err
	}
	return errPrincipal
}

// principalOf is what a statement says for a Principal parameter.
func principalOf(given string) (any, error) {
	switch {
	case given == "*":
		return given, nil
	case isAccount(given):
		return map[string]string{"AWS": "arn:aws:iam::" + given + ":root"}, nil
	case arnPrincipal().MatchString(given):
		return map[string]string{"AWS": given}, nil
	case servicePrincipal().MatchString(given):
		return map[string]string{"Service": given}, nil
	}
	return nil, errPrincipal
}

// newStatement is what an AddPermission grants on arn.
func newStatement(in *api.AddPermissionInput, arn string) (*statement, error) {
	who, err := principalOf(str(in.Principal))
	if err != nil {
		return nil, err
	}
	if in.FunctionURLAuthType != nil && str(in.Action) != "lambda:InvokeFunctionUrl" {
		return nil, invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
	}
	st := &statement{Sid: str(in.StatementID), Effect: "Allow", Principal: who, Action: str(in.Action), Resource: arn}
	var c grantConditions
	for _, m := range []struct {
		key   string
		value *string
	}{
		{"AWS:SourceAccount", in.SourceAccount},
		{"aws:PrincipalOrgID", in.PrincipalOrgID},
		{"lambda:EventSourceToken", in.EventSourceToken},
		{"lambda:FunctionUrlAuthType", in.FunctionURLAuthType},
	} {
		if m.value != nil {
			if c.StringEquals == nil {
				c.StringEquals = map[string]string{}
			}
			c.StringEquals[m.key] = *m.value
			st.Condition = &c
		}
	}
	if in.InvokedViaFunctionURL != nil {
		c.Bool = map[string]string{"lambda:InvokedViaFunctionUrl": strconv.FormatBool(*in.InvokedViaFunctionURL)}
		st.Condition = &c
	}
	if in.SourceArn != nil {
		c.ArnLike = map[string]string{"AWS:SourceArn": *in.SourceArn}
		st.Condition = &c
	}
	return st, nil
}
