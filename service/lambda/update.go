package lambda

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

// errRevision is the answer to a RevisionId that is not the latest.
var errRevision = api.ErrPreconditionFailed.New("The Revision Id provided does not match the latest Revision Id. " +
	"Call the GetFunction/GetAlias API to retrieve the latest Revision Id")

// errUnqualified is the answer to a version or alias where only a whole function will do.
var errUnqualified = invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. " +
	"Please specify either a function name or an unqualified function ARN.")

// unqualifiedRef is a ref that names a whole function.
func unqualifiedRef(ctx context.Context, name *string) (ref, error) {
	r, err := parseRef(ctx, name, nil)
	if err == nil && r.qualifier != "" {
		err = errUnqualified
	}
	return r, err
}

// latestRef is a ref that names a whole function or its $LATEST.
func latestRef(ctx context.Context, name *string) (ref, error) {
	r, err := parseRef(ctx, name, nil)
	if err == nil && r.qualifier != "" && r.qualifier != latest {
		err = errUnqualified
	}
	return r.unqualified(), err
}

// UpdateFunctionCode replaces $LATEST's code. Invocations use what was before until the update is through.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html.
func (s *Service) UpdateFunctionCode(ctx context.Context, in *api.UpdateFunctionCodeInput) (*api.UpdateFunctionCodeOutput, error) {
	r, err := latestRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	now, err := s.updatable(ctx, r, in.RevisionID)
	if err != nil {
		return nil, err
	}
	if err := checkCodeUpdate(&now.Config, in); err != nil {
		return nil, err
	}
	if in.DryRun != nil && *in.DryRun {
		return s.dryRun(ctx, r, in)
	}
	code, img, err := s.codeOf(ctx, r, &api.FunctionCode{ZipFile: in.ZipFile, ImageURI: in.ImageURI})
	if err != nil {
		return nil, err
	}
	publish := in.Publish != nil && *in.Publish
	out, err := s.change(ctx, r, change{revision: in.RevisionID, publish: publish, apply: func(e *edit, c *config) error {
		if img != nil {
			img.Override = c.Image.Override
		}
		c.Code, c.Image, c.ID = code, img, uuid.NewString()
		if len(in.Architectures) > 0 {
			c.Arch = in.Architectures[0]
		}
		return checkTotal(c)
	}})
	if err != nil {
		s.discard(code, err)
	}
	return out, err
}

func checkCodeUpdate(c *config, in *api.UpdateFunctionCodeInput) error {
	switch {
	case c.Image == nil && str(in.ImageURI) != "":
		return invalid("Please don't provide ImageUri when updating a function with packageType Zip.")
	case c.Image != nil && (str(in.ImageURI) == "" || in.ZipFile != nil || in.S3Bucket != nil || in.S3Key != nil):
		return invalid("Please provide ImageUri when updating a function with packageType Image.")
	case in.PublishTo != nil:
		return unsupported("PublishTo")
	}
	if err := checkArchitectures(in.Architectures); err != nil {
		return err
	}
	if c.Image != nil {
		return nil
	}
	return checkSource(in.ZipFile, in.S3Bucket, in.S3Key, in.SourceKMSKeyArn)
}

// updatable is $LATEST as it is. It spares an update that will be refused the unpacking; the transaction decides.
func (s *Service) updatable(ctx context.Context, r ref, revision *string) (*version, error) {
	_, v, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return v, v.checkUpdate(r, revision)
}

func (v *version) checkUpdate(r ref, revision *string) error {
	if err := v.busy(r.arn()); err != nil {
		return err
	}
	if revision != nil && *revision != v.Revision {
		return errRevision
	}
	return nil
}

// dryRun answers what an update would, and changes nothing.
func (s *Service) dryRun(ctx context.Context, r ref, in *api.UpdateFunctionCodeInput) (*api.UpdateFunctionCodeOutput, error) {
	_, v, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	if v.Config.Code.code, err = s.checkCode(ctx, r, in); err != nil {
		return nil, err
	}
	if err := checkTotal(&v.Config); err != nil {
		return nil, err
	}
	return s.configuration(ctx, r.scope, v, "")
}

// checkCode is the code of an update that is not made.
func (s *Service) checkCode(ctx context.Context, r ref, in *api.UpdateFunctionCodeInput) (code, error) {
	if uri := str(in.ImageURI); uri != "" {
		found, err := s.resolveImage(ctx, r, uri)
		if err != nil {
			return code{}, err
		}
		return found.code(), nil
	}
	return s.code.check(ctx, in.ZipFile)
}

// UpdateFunctionConfiguration changes $LATEST's configuration. Invocations use what was before until the update is through.
// See https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html.
func (s *Service) UpdateFunctionConfiguration(
	ctx context.Context, in *api.UpdateFunctionConfigurationInput,
) (*api.UpdateFunctionConfigurationOutput, error) {
	r, err := latestRef(ctx, in.FunctionName)
	if err != nil {
		return nil, err
	}
	given := settingsOfUpdate(in)
	if err := cmpErr(given.check(), checkLayerList(in.Layers), s.checkSnapStart(in.SnapStart)); err != nil {
		return nil, err
	}
	now, err := s.updatable(ctx, r, in.RevisionID)
	if err != nil {
		return nil, err
	}
	if err := checkImageUpdate(&now.Config, in); err != nil {
		return nil, err
	}
	if err := cmpErr(s.checkRole(ctx, r, in.Role), s.sealSettings(ctx, r, &now.Config, &given)); err != nil {
		return nil, err
	}
	if in.DeadLetterConfig != nil {
		if err := s.checkSends(ctx, r, cmp.Or(str(in.Role), now.Config.Role), in.DeadLetterConfig.TargetArn); err != nil {
			return nil, err
		}
	}
	return s.change(ctx, r, change{revision: in.RevisionID, apply: func(e *edit, c *config) error {
		if err := given.apply(c, r.name); err != nil {
			return err
		}
		if in.Layers == nil {
			return nil
		}
		return e.resolveLayers(c, in.Layers)
	}})
}

// change is one update of $LATEST.
type change struct {
	revision *string
	publish  bool
	apply    func(e *edit, c *config) error
}

// change begins an update of $LATEST and answers the version it made: $LATEST, or a published one.
func (s *Service) change(ctx context.Context, r ref, ch change) (*api.FunctionConfiguration, error) {
	var next, answer *version
	err := s.updateFunction(ctx, r, func(e *edit) error {
		f, err := e.function(r.name)
		if f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		now, err := e.version(r.name, latest)
		if now == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		if err := now.checkUpdate(r, ch.revision); err != nil {
			return err
		}
		v := *now
		if v.Serving == nil && v.State.Is == api.StateActive {
			v.Serving = &now.Config
		}
		if err := ch.apply(e, &v.Config); err != nil {
			return err
		}
		v.Revision, v.Modified, v.LastUpdate = uuid.NewString(), s.deps.Now(), updateInProgress
		if v.State.Is == api.StateFailed {
			v.State = statePending // another try
		}
		next, answer = &v, &v
		if ch.publish {
			old := *f
			if answer, err = e.publish(f, &v, nil); err != nil {
				return err
			}
			if err := e.putFunction(f, &old); err != nil {
				return err
			}
		}
		if err := e.putVersion(next, now); err != nil {
			return err
		}
		return e.room()
	})
	if err != nil {
		return nil, err
	}
	s.activateLater(r, latest)
	if answer != next && answer.unsettled() {
		s.activateLater(r, answer.Version)
	}
	return s.configuration(ctx, r.scope, answer, published(answer.Version))
}

// setFunction changes what all versions of a function share.
func (s *Service) setFunction(ctx context.Context, r ref, missing error, set func(e *edit, f *function) error) error {
	return s.updateFunction(ctx, r, func(e *edit) error {
		f, err := e.function(r.name)
		if f == nil {
			return cmpErr(err, missing)
		}
		next := *f
		if err := set(e, &next); err != nil {
			return err
		}
		return e.putFunction(&next, f)
	})
}

// getFunction is a function, or the error that its absence is here.
func (s *Service) getFunction(ctx context.Context, r ref, missing error) (f *function, err error) {
	err = s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		if f, err = getFunction(tx, r.scope, r.name); f == nil {
			return cmpErr(err, missing)
		}
		return nil
	})
	return f, err
}
