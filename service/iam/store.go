package iam

import (
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// entity is a user, a group or a role with everything that is its own, by kind and name in lower case.
type entity struct {
	Kind     kind
	Name     string
	Path     string
	ID       string
	Created  time.Time
	Named    time.Time         `json:",omitzero"` // when it got its name and path; zero of old rows is Created
	Tags     []tag             `json:",omitempty"`
	Boundary string            `json:",omitempty"` // ARN of the permissions boundary
	Inline   map[string]string `json:",omitempty"` // policy documents by name
	Attached []string          `json:",omitempty"` // ARNs of managed policies

	Groups []string `json:",omitempty"` // of a user, names
	Keys   []string `json:",omitempty"` // of a user, access key ids

	Trust       string `json:",omitempty"` // of a role, as all below
	Description string `json:",omitempty"`
	MaxSession  int    `json:",omitempty"` // seconds
	Service     string `json:",omitempty"` // that a service-linked role is linked to
}

type tag struct{ Key, Value string }

// born is when the entity got the name that policies know it by.
func (e *entity) born() time.Time {
	if e.Named.IsZero() {
		return e.Created
	}
	return e.Named
}

// arn of the entity in its account.
func (e *entity) arn(account string) string {
	return aws.NewARN("iam", "", account, string(e.Kind)+e.Path+e.Name).String()
}

func entityKey(k kind, name string) string { return store.Key(string(k), strings.ToLower(name)) }

// managedRow is a customer managed policy, by its name in lower case.
type managedRow struct {
	Name, Path, ID   string
	Description      string `json:",omitempty"`
	Created, Updated time.Time
	Default          int // version number
	Last             int // highest version number ever given
	Versions         []versionRow
	Tags             []tag `json:",omitempty"`
}

// versionRow is a version of a managed policy.
type versionRow struct {
	Number   int
	Document string
	Created  time.Time
}

func (p *managedRow) arn(account string) string {
	return aws.NewARN("iam", "", account, "policy"+p.Path+p.Name).String()
}

// keyRow is an access key, by its id, in no account's scope.
type keyRow struct {
	Account  string
	User     string `json:",omitempty"` // name; empty for the root user
	UserID   string `json:",omitempty"`
	Sealed   []byte // the secret, bound to the key's id
	Inactive bool   `json:",omitempty"`
	Created  time.Time
}

// accountRow is an account, by its id, in no account's scope.
type accountRow struct {
	Name    string
	Created time.Time
	Aliases []string `json:",omitempty"`
	Keys    []string `json:",omitempty"` // of the root user
	// Counts are how many of everything there are.
	Users, Groups, Roles, Policies, Providers int
}

// mark is a row that says what is in its key.
type mark struct{}

var (
	entities  = store.Table[entity]{Name: "iam.entity"}
	policies  = store.Table[managedRow]{Name: "iam.policy"}
	keys      = store.Table[keyRow]{Name: "iam.key"}
	accounts  = store.Table[accountRow]{Name: "iam.account"}
	aliases   = store.Table[string]{Name: "iam.alias"} // alias to account id, in no account's scope
	members   = store.Table[mark]{Name: "iam.member"}  // of a group: group, user, in lower case
	uses      = store.Table[mark]{Name: "iam.use"}     // of a managed policy: ARN, attachment or boundary, kind, name in lower case
	lastUses  = store.Table[lastUse]{Name: "iam.used"} // by id of the key, user or role, and service
	providers = store.Table[providerRow]{Name: "iam.oidc"}
)

// How a managed policy is used.
const (
	attachment = "attachment"
	boundary   = "boundary"
)

func useKey(arn, how string, e *entity) string {
	return store.Key(arn, how, string(e.Kind), strings.ToLower(e.Name))
}

// count is how many rows begin with prefix.
func count[T any](tx store.Tx, t store.Table[T], sc store.Scope, prefix string) (n int, err error) {
	for _, err := range tx.Scan(t.Name, sc, store.Range{Prefix: prefix}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
