package lambda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/seal"
	"github.com/enfold-run/enfold/store"
)

// The tables of this service. Keys are the parts named beside them, joined by store.Key.
var (
	functions     = store.Table[function]{Name: "lambda.function"}             // name
	versions      = store.Table[version]{Name: "lambda.version"}               // function, versionKey
	aliases       = store.Table[alias]{Name: "lambda.alias"}                   // function, name
	invokeConfigs = store.Table[invokeConfig]{Name: "lambda.invoke-config"}    // function, qualifier
	provisions    = store.Table[provisionedConfig]{Name: "lambda.provisioned"} // function, qualifier
	layers        = store.Table[layer]{Name: "lambda.layer"}                   // name
	layerVersions = store.Table[layerVersion]{Name: "lambda.layer-version"}    // layer, number in numberWidth digits
	policies      = store.Table[resourcePolicy]{Name: "lambda.policy"}         // function, qualifier or "$LATEST"
	layerPolicies = store.Table[resourcePolicy]{Name: "lambda.layer-policy"}   // as layerVersions
	blobUses      = store.Table[blobUse]{Name: "lambda.blob"}                  // blob id
	usages        = store.Table[accountUse]{Name: "lambda.usage"}              // usageKey
)

const (
	usageKey    = "usage"
	numberWidth = 19
)

// versionKey orders $LATEST first, then the numbers as numbers.
func versionKey(v string) string {
	if v == latest {
		return v
	}
	return numberKey(v)
}

func numberKey(n string) string { return strings.Repeat("0", max(0, numberWidth-len(n))) + n }

// edit is one transaction that keeps the books: what is used, and which blobs are needed by how many rows.
type edit struct {
	call  *aws.Call // that it is part of
	tx    store.Tx
	scope store.Scope
	seal  *seal.Key
	limit int // of the account's concurrency
	usage accountUse
	was   accountUse
	dead  []string // blobs that no row needs any more
	dirs  []string // directories of the code cache that a row stopped needing
	gone  []string // digests of images that one did
}

// update runs fn in a transaction and, once that is durable, lets go of what no row needs any more. fn may run twice.
func (s *Service) update(ctx context.Context, scope store.Scope, fn func(e *edit) error) error {
	var last *edit
	err := s.deps.Store.Update(ctx, func(tx store.Tx) error {
		u, err := usages.Get(tx, scope, usageKey)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		last = &edit{call: aws.CallFrom(ctx), tx: tx, scope: scope, seal: s.deps.Seal, limit: s.deps.AccountConcurrency, usage: u.Value, was: u.Value}
		if err := fn(last); err != nil {
			return err
		}
		if last.usage != last.was {
			_, err = usages.Put(tx, scope, usageKey, last.usage)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range last.dead {
		if err := s.blobs.Delete(id); err != nil {
			s.deps.Log.Warn("delete deployment package", "blob", id, "error", err)
		}
	}
	for _, dir := range last.dirs {
		s.code.doom(dir)
	}
	s.leaving.add(time.Now(), last.gone...)
	if last.usage.Reserved != last.was.Reserved {
		s.cache.forgetScope(scope)
	}
	return nil
}

// updateFunction is update for what changes a function: whoever sees the commit gets what it made.
func (s *Service) updateFunction(ctx context.Context, r ref, fn func(e *edit) error) error {
	done := s.cache.change(functionKey{r.scope, r.name})
	defer done()
	return s.update(ctx, r.scope, fn)
}

// function answers nil if there is none.
func (e *edit) function(name string) (*function, error) { return getFunction(e.tx, e.scope, name) }

// version answers nil if there is none.
func (e *edit) version(name, v string) (*version, error) { return getVersion(e.tx, e.scope, name, v) }

// putFunction stores a function. old is what it replaces; nil if it is new.
func (e *edit) putFunction(f, old *function) error {
	if old == nil {
		e.usage.Functions++
	} else {
		e.usage.Reserved -= old.setAside()
	}
	e.usage.Reserved += f.setAside()
	_, err := functions.Put(e.tx, e.scope, f.Name, *f)
	return err
}

// deleteFunction removes a function with all that belongs to it, and answers its versions.
func (e *edit) deleteFunction(f *function) ([]version, error) {
	e.usage.Functions--
	e.usage.Reserved -= f.setAside()
	if err := functions.Delete(e.tx, e.scope, f.Name); err != nil {
		return nil, err
	}
	all, err := collect(versions.Scan(e.tx, e.scope, store.Range{Prefix: store.Prefix(f.Name)}))
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := e.deleteVersion(&all[i]); err != nil {
			return nil, err
		}
	}
	return all, errors.Join(
		deleteAll(e.tx, e.scope, aliases, store.Prefix(f.Name)), deleteAll(e.tx, e.scope, invokeConfigs, store.Prefix(f.Name)),
		deleteAll(e.tx, e.scope, policies, store.Prefix(f.Name)), deleteAll(e.tx, e.scope, provisions, store.Prefix(f.Name)))
}

// putVersion stores a version. old is what it replaces; nil if it is new.
func (e *edit) putVersion(v, old *version) error {
	var drop []blobKey
	if old != nil {
		drop = old.blobs(e.scope)
		e.usage.CodeSize -= old.Config.Code.Size
		e.forget(old)
	}
	e.usage.CodeSize += v.Config.Code.Size
	if err := e.useBlobs(v.blobs(e.scope), drop); err != nil {
		return err
	}
	_, err := versions.Put(e.tx, e.scope, store.Key(v.Function, versionKey(v.Version)), *v)
	return err
}

func (e *edit) deleteVersion(v *version) error {
	e.usage.CodeSize -= v.Config.Code.Size
	e.forget(v)
	if err := e.useBlobs(nil, v.blobs(e.scope)); err != nil {
		return err
	}
	return versions.Delete(e.tx, e.scope, store.Key(v.Function, versionKey(v.Version)))
}

// forget notes the directories of a version that is replaced or deleted.
func (e *edit) forget(v *version) {
	e.dirs = append(e.dirs, v.Config.dirs()...)
	if v.Serving != nil {
		e.dirs = append(e.dirs, v.Serving.dirs()...)
	}
	e.gone = append(e.gone, v.images()...)
}

func (e *edit) putLayerVersion(l *layerVersion) error {
	e.usage.CodeSize += l.Code.Size
	if err := e.useBlobs([]blobKey{{e.scope, l.Code.Blob}}, nil); err != nil {
		return err
	}
	_, err := layerVersions.Put(e.tx, e.scope, layerKey(l.Layer, l.Version), *l, store.IfAbsent())
	return err
}

func (e *edit) deleteLayerVersion(l *layerVersion) error {
	e.usage.CodeSize -= l.Code.Size
	e.dirs = append(e.dirs, codeDir(l.Code.SHA256))
	if err := e.useBlobs(nil, []blobKey{{e.scope, l.Code.Blob}}); err != nil {
		return err
	}
	return errors.Join(layerVersions.Delete(e.tx, e.scope, layerKey(l.Layer, l.Version)),
		ifThere(layerPolicies.Delete(e.tx, e.scope, layerKey(l.Layer, l.Version))))
}

func layerKey(name string, n int64) string { return store.Key(name, numberKey(fmt.Sprint(n))) }

// useBlobs counts the uses of blobs up and down.
func (e *edit) useBlobs(add, drop []blobKey) error {
	change := map[blobKey]int{}
	for _, id := range add {
		change[id]++
	}
	for _, id := range drop {
		change[id]--
	}
	for b, n := range change {
		if n == 0 {
			continue
		}
		row, err := blobUses.Get(e.tx, b.scope, b.id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if row.Value.Uses += n; row.Value.Uses > 0 {
			_, err = blobUses.Put(e.tx, b.scope, b.id, row.Value)
		} else {
			e.dead = append(e.dead, b.id)
			err = blobUses.Delete(e.tx, b.scope, b.id)
		}
		if err != nil {
			return fmt.Errorf("count uses of blob %s: %w", b.id, err)
		}
	}
	return nil
}

func getFunction(tx store.Tx, s store.Scope, name string) (*function, error) {
	return orNil(functions.Get(tx, s, name))
}

// getVersion answers nil if there is none of that name, which is one alone: "01" is not version 1. Policies name versions by their
// texts, and would otherwise mean another one.
func getVersion(tx store.Tx, s store.Scope, name, v string) (*version, error) {
	if strings.HasPrefix(v, "0") {
		return nil, nil
	}
	return orNil(versions.Get(tx, s, store.Key(name, versionKey(v))))
}

func getAlias(tx store.Tx, s store.Scope, function, name string) (*alias, error) {
	return orNil(aliases.Get(tx, s, store.Key(function, name)))
}

// getQualified is the version that a qualifier means: a number, $LATEST, an alias, or $LATEST if it is empty. It answers
// nil if there is none.
func getQualified(tx store.Tx, r ref) (*version, error) {
	q := r.orLatest()
	if q != latest && !isNumber(q) {
		a, err := getAlias(tx, r.scope, r.name, q)
		if a == nil {
			return nil, err
		}
		q = a.Version
	}
	return getVersion(tx, r.scope, r.name, q)
}

func orNil[T any](row store.Row[T], err error) (*T, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &row.Value, nil
}

// collect is all values of a scan.
func collect[T any](rows func(func(store.Row[T], error) bool)) ([]T, error) {
	var all []T
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row.Value)
	}
	return all, nil
}

// page is at most n values of a scan with the marker of the next page, nil if this is the last.
func page[T any](rows func(func(store.Row[T], error) bool), list string, n int) ([]T, *string, error) {
	var all []T
	key := ""
	for row, err := range rows {
		if err != nil {
			return nil, nil, err
		}
		if len(all) == n {
			return all, newMarker(list, key), nil
		}
		all, key = append(all, row.Value), row.Key
	}
	return all, nil, nil
}

// only leaves out what does not fit.
func only[T any](rows func(func(store.Row[T], error) bool), fit func(*T) bool) func(func(store.Row[T], error) bool) {
	return func(yield func(store.Row[T], error) bool) {
		for row, err := range rows {
			if err == nil && !fit(&row.Value) {
				continue
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

func deleteAll[T any](tx store.Tx, s store.Scope, t store.Table[T], prefix string) error {
	var keys []string
	for row, err := range t.Scan(tx, s, store.Range{Prefix: prefix}) {
		if err != nil {
			return err
		}
		keys = append(keys, row.Key)
	}
	for _, k := range keys {
		if err := t.Delete(tx, s, k); err != nil {
			return err
		}
	}
	return nil
}

// everyVersion visits the versions of all accounts and regions.
func everyVersion(tx store.Tx, visit func(store.Scope, *version)) error {
	scopes, err := versions.Scopes(tx)
	if err != nil {
		return err
	}
	for _, sc := range scopes {
		for row, err := range versions.Scan(tx, sc, store.Range{}) {
			if err != nil {
				return err
			}
			visit(sc, &row.Value)
		}
	}
	return nil
}

// namedImages is the digest of every image that a row needs.
func (s *Service) namedImages(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	err := s.deps.Store.View(ctx, func(tx store.Tx) error {
		clear(named)
		return everyVersion(tx, func(_ store.Scope, v *version) {
			for _, digest := range v.images() {
				named[digest] = true
			}
		})
	})
	return named, err
}

// namedDirs is every directory of the code cache that a row needs.
func (s *Service) namedDirs(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	err := s.deps.Store.View(ctx, func(tx store.Tx) error {
		clear(named)
		err := everyVersion(tx, func(_ store.Scope, v *version) {
			for _, dir := range slices.Concat(v.Config.dirs(), v.serving().dirs()) {
				named[dir] = true
			}
		})
		if err != nil {
			return err
		}
		scopes, err := layerVersions.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for row, err := range layerVersions.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				named[codeDir(row.Value.Code.SHA256)] = true
			}
		}
		return nil
	})
	return named, err
}

// NamedBlobs is every blob that Lambda needs: what is in no service's list may be deleted at start-up, before anything is
// served.
func (s *Service) NamedBlobs(ctx context.Context) ([]string, error) {
	var ids []string
	err := s.deps.Store.View(ctx, func(tx store.Tx) error {
		ids = nil
		scopes, err := blobUses.Scopes(tx)
		if err != nil {
			return err
		}
		for _, sc := range scopes {
			for row, err := range blobUses.Scan(tx, sc, store.Range{}) {
				if err != nil {
					return err
				}
				ids = append(ids, row.Key)
			}
		}
		return nil
	})
	return ids, err
}

func val(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}
