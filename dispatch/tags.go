package dispatch

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// tagMembers remembers where the inputs have their tags. It is safe for concurrent use.
type tagMembers struct{ m sync.Map } // reflect.Type of an input -> *tagPlan

// tagPlan says which members of an input are tags.
type tagPlan struct {
	tags, keys []int // fields: maps or lists of tags, lists of tag keys
}

func (t *tagMembers) plan(in reflect.Type) *tagPlan {
	if known, ok := t.m.Load(in); ok {
		return known.(*tagPlan)
	}
	p, keyList := &tagPlan{}, reflect.TypeFor[[]string]()
	for i := range in.NumField() {
		f := in.Field(i)
		switch f.Name {
		case "Tags", "TagsList", "TagList", "TagSet":
			switch {
			case f.Type == reflect.TypeFor[map[string]string]() || isTagList(f.Type):
				p.tags = append(p.tags, i)
			case f.Type == keyList: // as UntagLogGroup calls its keys
				p.keys = append(p.keys, i)
			}
		case "TagKeys":
			if f.Type == keyList {
				p.keys = append(p.keys, i)
			}
		}
	}
	made, _ := t.m.LoadOrStore(in, p)
	return made.(*tagPlan)
}

// isTagList recognizes []*Tag, whose members are Key and Value, or TagKey and TagValue with KMS.
func isTagList(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Pointer || t.Elem().Elem().Kind() != reflect.Struct {
		return false
	}
	key, value := tagFields(t.Elem().Elem())
	return key >= 0 && value >= 0
}

func tagFields(tag reflect.Type) (key, value int) {
	key, value = -1, -1
	for i := range tag.NumField() {
		f := tag.Field(i)
		if f.Type != reflect.TypeFor[*string]() {
			continue
		}
		switch f.Name {
		case "Key", "TagKey":
			key = i
		case "Value", "TagValue":
			value = i
		}
	}
	return key, value
}

// of are the tags that a request carries, and the keys that it names without a value (UntagResource).
func (t *tagMembers) of(input any) (tags map[string]string, keys []string) {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct {
		return nil, nil
	}
	p := t.plan(v.Type())
	for _, i := range p.tags {
		if m, ok := reflect.TypeAssert[map[string]string](v.Field(i)); ok {
			tags = merge(tags, m)
			continue
		}
		tags = merge(tags, listedTags(v.Field(i)))
	}
	for _, i := range p.keys {
		if list, ok := reflect.TypeAssert[[]string](v.Field(i)); ok {
			keys = append(keys, list...)
		}
	}
	return tags, keys
}

func merge(a, b map[string]string) map[string]string {
	if len(a) == 0 {
		return b
	}
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func listedTags(list reflect.Value) map[string]string {
	out := make(map[string]string, list.Len())
	key, value := tagFields(list.Type().Elem().Elem())
	for i := range list.Len() {
		e := list.Index(i)
		if e.IsNil() || e.Elem().Field(key).IsNil() {
			continue
		}
		text := ""
		if v := e.Elem().Field(value); !v.IsNil() {
			text = v.Elem().String()
		}
		out[e.Elem().Field(key).Elem().String()] = text
	}
	return out
}

// tag is aws:RequestTag/name. Tag keys in condition keys are not case-sensitive; the very same spelling wins.
func (t *tagMembers) tag(input any, name string) ([]string, bool) {
	tags, _ := t.of(input)
	if v, ok := tags[name]; ok {
		return []string{v}, true
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if strings.EqualFold(k, name) {
			return []string{tags[k]}, true
		}
	}
	return nil, false
}

// tagKeys is aws:TagKeys; absent if the request names no tag.
func (t *tagMembers) tagKeys(input any) ([]string, bool) {
	tags, keys := t.of(input)
	all := slices.AppendSeq(slices.Clone(keys), maps.Keys(tags))
	slices.Sort(all)
	all = slices.Compact(all)
	return all, len(all) > 0
}
