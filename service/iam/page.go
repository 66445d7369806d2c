package iam

import (
	"encoding/base64"
	"iter"
	"slices"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// defaultItems is how many items a list answers unless told otherwise.
const defaultItems = 100

// page is the part of a list that a call asks for.
type page struct {
	after string // key of the last item of the page before
	max   int
}

func pageOf(marker *string, maxItems *int) (page, error) {
	p := page{max: defaultItems}
	if maxItems != nil {
		p.max = *maxItems
	}
	if marker == nil {
		return p, nil
	}
	key, err := base64.RawURLEncoding.DecodeString(*marker)
	if err != nil || len(key) == 0 {
		return p, aws.ErrValidation.New("Invalid Marker.")
	}
	p.after = string(key)
	return p, nil
}

func markerOf(key string) *string { return new(base64.RawURLEncoding.EncodeToString([]byte(key))) }

// collect takes a page of what keep lets through. marker is nil on the last page.
func collect[T, O any](rows iter.Seq2[store.Row[T], error], p page, keep func(store.Row[T]) (O, bool, error)) (out []O, marker *string, err error) {
	out = []O{}
	last := ""
	for row, err := range rows {
		if err != nil {
			return nil, nil, err
		}
		o, ok, err := keep(row)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			continue
		}
		if len(out) == p.max {
			return out, markerOf(last), nil
		}
		out, last = append(out, o), row.Key
	}
	return out, nil, nil
}

// slicePage takes a page of a short list by its items' keys, which order it.
func slicePage[T any](all []T, p page, key func(T) string) (out []T, marker *string) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b T) int {
		if key(a) < key(b) {
			return -1
		}
		return 1
	})
	out = []T{}
	for _, v := range all {
		switch {
		case key(v) <= p.after:
		case len(out) == p.max:
			return out, markerOf(key(out[len(out)-1]))
		default:
			out = append(out, v)
		}
	}
	return out, nil
}
