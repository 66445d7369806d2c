package lambda

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// PublishVersion freezes $LATEST under the next number. If nothing changed since the last time, it answers that version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html.
func (s *Service) PublishVersion(ctx context.Context, in *api.PublishVersionInput) (*api.PublishVersionOutput, error) {
	r, err := latestRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.PublishTo != nil {
		return nil, unsupported("PublishTo")
	}
	var v *version
	err = s.updateFunction(ctx, r, func(e *edit) error {
		f, err := e.function(r.name)
		if f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		now, err := e.version(r.name, latest)
		if now == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		if err := now.checkUpdate(r, in.RevisionID); err != nil {
			return err
		}
		if now.State.Is != api.StateActive {
			return unusable(now.State)
		}
		if cur := now.Config.showSHA256(); str(in.CodeSha256) != "" && *in.CodeSha256 != cur {
			return invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). "+
				"Please try again with the CodeSHA256 in $LATEST.", *in.CodeSha256, cur)
		}
		old, next := *f, *now
		if v, err = e.publish(f, &next, in.Description); err != nil || f.Versions == old.Versions {
			return err
		}
		next.Revision = uuid.NewString()
		return cmpErr(e.putVersion(&next, now), e.putFunction(f, &old), e.room())
	})
	if err != nil {
		return nil, err
	}
	if v.unsettled() {
		s.activateLater(r, v.Version)
	} else {
		s.deps.Runner.Expect(bareFunction(r, v))
	}
	return s.configuration(ctx, r.scope, v, v.Version)
}

// publish stores a copy of $LATEST under the next number, or answers the last published version if it is the same. The
// caller stores f.
func (e *edit) publish(f *function, from *version, description *string) (*version, error) {
	var vars map[string]string
	var digest []byte
	var err error
	switch env := from.Config.Env; {
	case env != nil && len(env.Wrapped) == 0:
		vars, err = openVariables(e.seal, e.scope, f.Name, env)
	case env != nil && len(env.Digest) > 0:
		digest, err = e.seal.Open(env.Digest, digestOf(e.scope, f.Name))
	}
	if err != nil {
		return nil, fmt.Errorf("compare environment of %s: %w", f.Name, err)
	}
	print, err := from.Config.fingerprint(vars, digest)
	if err != nil {
		return nil, err
	}
	where := []byte("published\x00" + e.scope.Account + "\x00" + e.scope.Region + "\x00" + f.Name)
	if was, err := e.seal.Open(f.Published, where); err == nil && bytes.Equal(was, print) {
		last, err := e.version(f.Name, strconv.FormatInt(f.Versions, 10))
		if last != nil || err != nil {
			return last, err
		}
	}
	f.Versions++
	f.Published = e.seal.Seal(print, where)
	v := *from
	v.Version, v.Revision, v.Serving = strconv.FormatInt(f.Versions, 10), uuid.NewString(), nil
	set(&v.Config.Description, description)
	if from.unsettled() || from.Serving != nil || v.snapped() { // an update that is not through, or failed; or a snapshot to be made
		v.State, v.LastUpdate = statePending, status{}
	} else if v.LastUpdate.Is == api.LastUpdateStatusFailed { // $LATEST is again what it was before
		v.LastUpdate = updateSuccessful
	}
	return &v, e.putVersion(&v, nil)
}

// ListVersionsByFunction lists $LATEST and then the published versions in order.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListVersionsByFunction.html.
func (s *Service) ListVersionsByFunction(
	ctx context.Context, in *api.ListVersionsByFunctionInput,
) (*api.ListVersionsByFunctionOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	list := "versions/" + r.name
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &api.ListVersionsByFunctionOutput{Versions: []*api.FunctionConfiguration{}}
	var found []version
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		if f, err := getFunction(tx, r.scope, r.name); f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		rows := versions.Scan(tx, r.scope, store.Range{Prefix: store.Prefix(r.name), After: after})
		found, out.NextMarker, err = page(rows, list, pageSize(in.MaxItems))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		item, err := s.listed(ctx, r.scope, &found[i], found[i].Version)
		if err != nil {
			return nil, err
		}
		out.Versions = append(out.Versions, item)
	}
	return out, nil
}
