package iam

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
)

// awsOwner is whose policies AWS's are, in place of an account.
const awsOwner = "aws"

// managedText are AWS's policies as AWS publishes them.
// See https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html.
//
//go:embed managed/policies.json
var managedText []byte

// awsPolicies are the policies that every account has.
type awsPolicies struct {
	byARN  map[string]*managedRow
	sorted []*managedRow // by name
}

// newAWSPolicies reads them, which takes longer than all else of the service's making.
func newAWSPolicies() *awsPolicies {
	var list []struct {
		Arn, ID          string
		Version          int
		Created, Updated time.Time
		Statement        json.RawMessage
	}
	if err := json.Unmarshal(managedText, &list); err != nil {
		panic(fmt.Sprintf("iam: managed/policies.json: %v", err)) // it is part of the program
	}
	all := &awsPolicies{byARN: map[string]*managedRow{}}
	for _, p := range list {
		document := `{"Version":"2012-10-17","Statement":` + string(p.Statement) + `}`
		path := strings.TrimPrefix(p.Arn, "arn:aws:iam::aws:policy")
		row := &managedRow{
			Name: lastSegment(p.Arn), Path: path[:strings.LastIndexByte(path, '/')+1], ID: p.ID, Created: p.Created,
			Updated: p.Updated, Default: p.Version, Last: p.Version, Versions: []versionRow{{p.Version, document, p.Updated}},
		}
		all.byARN[p.Arn] = row
		all.sorted = append(all.sorted, row)
	}
	slices.SortFunc(all.sorted, func(a, b *managedRow) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return all
}

// aws403 is the answer to who would change one of AWS's policies.
func aws403(arn string) error {
	return aws.ErrAccessDenied.Withf("Policy %s is managed by AWS and cannot be changed.", arn)
}
