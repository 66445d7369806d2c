package iam

import (
	"errors"
	"net/url"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/policy"
)

// Sizes of policy documents in characters, white space not counted.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
const (
	maxManagedPolicy = 6144
	maxTrustPolicy   = 2048
)

// maxInline is the size of all inline policies together.
var maxInline = map[kind]int{user: 2048, group: 5120, role: 10240}

// maxRawInline is the size of all inline policies of one owner together in bytes, with their white space.
const maxRawInline = 256 << 10

// parse answers MalformedPolicyDocument for what is no policy of that kind.
func parse(document string, k policy.Kind) (*policy.Policy, error) {
	p, err := policy.Parse([]byte(document), k)
	var syntax *policy.SyntaxError
	if errors.As(err, &syntax) {
		return nil, api.ErrMalformedPolicyDocument.New(syntax.Error())
	}
	return p, err
}

// size is a document's length as the quotas count it.
func size(document string) (n int) {
	for _, r := range document {
		if !strings.ContainsRune(" \t\r\n", r) {
			n++
		}
	}
	return n
}

// encoded is a document as answers have it: percent-encoded as RFC 3986 says.
func encoded(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}
