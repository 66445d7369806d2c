package wire

import (
	"net/url"
	"slices"
	"strings"

	"github.com/enfold-run/enfold/aws"
)

// maxLabels is how many labels a path of a model has at most.
const maxLabels = 8

// maxSegments is how many segments of a path are looked at: more than any model has, greedy labels apart.
const maxSegments = 32

// route is one op's method and URI.
type route struct {
	service *aws.Service
	op      *aws.Op // nil if the op is not served
	name    string
	method  string
	labels  []string
	greedy  bool       // the last label takes the rest of the path
	query   []constant // that the query string must have
}

// constant is a fixed part of a query string: "find=LayerVersion", or just "acl".
type constant struct {
	key, value string
	bare       bool
}

// tree finds routes by path, one segment a step.
type tree struct {
	fixed  map[string]*tree
	label  *tree
	here   []*route // end at this node
	greedy []*route // take whatever follows
}

// add compiles a URI of the model: "/2015-03-31/functions/{FunctionName}?x=y".
func (t *tree) add(r *route, uri string) {
	path, query, _ := strings.Cut(uri, "?")
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		key, value, hasValue := strings.Cut(part, "=")
		r.query = append(r.query, constant{key, value, !hasValue})
	}
	n := t
	for seg := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		name, isLabel := strings.CutPrefix(seg, "{")
		switch {
		case seg == "":
		case isLabel && strings.HasSuffix(name, "+}"):
			r.labels = append(r.labels, strings.TrimSuffix(name, "+}"))
			r.greedy = true
		case isLabel:
			r.labels = append(r.labels, strings.TrimSuffix(name, "}"))
			if n.label == nil {
				n.label = &tree{}
			}
			n = n.label
		default:
			if n.fixed == nil {
				n.fixed = map[string]*tree{}
			}
			if n.fixed[seg] == nil {
				n.fixed[seg] = &tree{}
			}
			n = n.fixed[seg]
		}
	}
	list := &n.here
	if r.greedy {
		list = &n.greedy
	}
	*list = append(*list, r)
	slices.SortStableFunc(*list, func(a, b *route) int { return len(b.query) - len(a.query) })
}

// search is one look-up of a path in a tree.
type search struct {
	method string
	query  string
	labels [maxLabels]string
}

// find gives the route of an escaped path, without its first slash; fixed segments win over labels.
func (s *search) find(t *tree, path string, depth, label int) *route {
	if strings.Trim(path, "/") == "" {
		if r := s.pick(t.here); r != nil {
			return r
		}
		return nil
	}
	if depth > maxSegments {
		return nil
	}
	seg, rest, _ := strings.Cut(path, "/")
	if next := t.fixed[seg]; next != nil {
		if r := s.find(next, rest, depth+1, label); r != nil {
			return r
		}
	}
	if t.label != nil && seg != "" && label < maxLabels {
		s.labels[label] = seg
		if r := s.find(t.label, rest, depth+1, label+1); r != nil {
			return r
		}
	}
	if len(t.greedy) > 0 && label < maxLabels {
		s.labels[label] = path
		return s.pick(t.greedy)
	}
	return nil
}

// pick is the route whose method and query constants fit; routes with more constants come first.
func (s *search) pick(routes []*route) *route {
	for _, r := range routes {
		if r.method == s.method && s.hasConstants(r.query) {
			return r
		}
	}
	return nil
}

func (s *search) hasConstants(want []constant) bool {
	for _, c := range want {
		if !queryHas(s.query, c) {
			return false
		}
	}
	return true
}

func queryHas(query string, c constant) bool {
	for part := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != c.key {
			continue
		}
		if v, err := url.QueryUnescape(value); c.bare || err == nil && v == c.value {
			return true
		}
	}
	return false
}
