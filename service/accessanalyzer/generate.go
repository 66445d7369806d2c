package accessanalyzer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
)

const (
	// maxDocument is how long a managed policy may be, without its white space.
	maxDocument = 6144
	// maxSeen bounds the different actions on resources of one generated policy.
	maxSeen = 10_000
	// maxResources is how many bytes of resources a statement has before it is cut in two.
	maxResources = 3000
)

// errTooMuch: a principal did more different things than a policy can list.
var errTooMuch = errors.New("more different actions and resources than a policy can list")

// Event is a call that the trail has.
type Event struct {
	Source  string // "lambda.amazonaws.com"
	Region  string
	Allowed bool         // it was authorized, whether it succeeded or not
	Access  []aws.Access // what it was authorized for
}

// use is one action on one resource. service is whom a role was passed to; empty for other actions.
type use struct{ action, resource, service string }

const (
	passRole = "iam:PassRole"
	passedTo = "iam:PassedToService"
)

// Seen gathers what events show. The zero value is ready.
type Seen struct{ uses map[use]struct{} }

// Add takes the actions and resources of a call that was allowed.
func (s *Seen) Add(e Event) error {
	if !e.Allowed {
		return nil
	}
	if s.uses == nil {
		s.uses = map[use]struct{}{}
	}
	for _, a := range e.Access {
		u := use{action: a.Action, resource: a.Resource}
		if u.action == passRole {
			u.service = e.Source
		}
		s.uses[u] = struct{}{}
		if len(s.uses) > maxSeen {
			return errTooMuch
		}
	}
	return nil
}

// statement of a generated policy.
type statement struct {
	Effect    policy.Effect
	Action    list
	Resource  list
	Condition map[string]map[string]string `json:",omitempty"`
}

// list is a string if it has one element.
type list []string

// MarshalJSON implements json.Marshaler.
func (l list) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]string(l))
}

type document struct {
	Version   string
	Statement []statement
}

// Generate is the smallest policy that allows what was seen, in as many documents as the length of a managed policy needs; none
// if nothing was seen. The same events always give the same bytes.
func Generate(s *Seen) ([]string, error) {
	statements := byActions(s.uses)
	if other := byResources(s.uses); length(other) < length(statements) {
		statements = other
	}
	var docs []string
	for len(statements) > 0 {
		n := 1
		for n < len(statements) && length(statements[:n+1]) <= maxDocument {
			n++
		}
		b, err := json.MarshalIndent(document{policy.VersionCurrent, statements[:n]}, "", "  ")
		if err != nil {
			return nil, err
		}
		docs = append(docs, string(b))
		statements = statements[n:]
	}
	return docs, nil
}

// byActions joins the actions that were seen on the same resources.
func byActions(uses map[use]struct{}) []statement {
	resources := map[use][]string{} // by action and service
	for u := range uses {
		k := use{action: u.action, service: u.service}
		resources[k] = append(resources[k], u.resource)
	}
	groups := map[string]*group{}
	for k, list := range resources {
		g := groupOf(groups, list, k.service)
		g.resources = list
		g.actions = append(g.actions, k.action)
	}
	return statementsOf(groups)
}

// byResources joins the resources that saw the same actions.
func byResources(uses map[use]struct{}) []statement {
	actions := map[use][]string{} // by resource and service
	for u := range uses {
		k := use{resource: u.resource, service: u.service}
		actions[k] = append(actions[k], u.action)
	}
	groups := map[string]*group{}
	for k, list := range actions {
		g := groupOf(groups, list, k.service)
		g.actions = list
		g.resources = append(g.resources, k.resource)
	}
	return statementsOf(groups)
}

// group is actions that were all seen on the same resources.
type group struct {
	actions, resources []string
	service            string
}

// groupOf is the group of what has this list; a new one if it is the first.
func groupOf(groups map[string]*group, list []string, service string) *group {
	slices.Sort(list)
	key := service + "\x00" + strings.Join(list, "\x00")
	if groups[key] == nil {
		groups[key] = &group{service: service}
	}
	return groups[key]
}

func statementsOf(groups map[string]*group) []statement {
	var all []statement
	for _, g := range groups {
		slices.Sort(g.actions)
		slices.Sort(g.resources)
		for part := range cut(g.resources) {
			st := statement{Effect: policy.Allow, Action: g.actions, Resource: exactly(part)}
			if g.service != "" {
				st.Condition = map[string]map[string]string{"StringEquals": {passedTo: g.service}}
			}
			all = append(all, st)
		}
	}
	slices.SortFunc(all, func(a, b statement) int {
		if n := slices.Compare(a.Action, b.Action); n != 0 {
			return n
		}
		if n := slices.Compare(a.Resource, b.Resource); n != 0 {
			return n
		}
		return strings.Compare(a.Condition["StringEquals"][passedTo], b.Condition["StringEquals"][passedTo])
	})
	return all
}

// cut yields parts of a list that are short enough for one document.
func cut(all []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(all) > 0 {
			n, size := 1, len(all[0])
			for n < len(all) && size+len(all[n]) <= maxResources {
				size += len(all[n])
				n++
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// everything is the resource of actions that have none of their own.
const everything = "*"

var (
	escape   = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")
	unescape = strings.NewReplacer("${*}", "*", "${?}", "?", "${$}", "$")
)

// exactly is resources as a policy must spell them to mean these alone: an ARN may have a "*" in it.
func exactly(resources []string) []string {
	out := make([]string, len(resources))
	for i, r := range resources {
		if r != everything {
			r = escape.Replace(r)
		}
		out[i] = r
	}
	return out
}

// length is of the statements in a document, in bytes without white space.
func length(statements []statement) int {
	b, err := json.Marshal(document{policy.VersionCurrent, statements})
	if err != nil {
		return 0 // strings and maps of strings always encode
	}
	return len(b)
}
