package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// maxCodeStorage is how many bytes of packages an account keeps in a region: 75 GB.
const maxCodeStorage = 80_530_636_800

// CreateFunction stores a function with its code. It answers at once; the function becomes Active right after.
// See https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html.
func (s *Service) CreateFunction(ctx context.Context, in *api.CreateFunctionInput) (*api.CreateFunctionOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := checkCreate(r, in); err != nil {
		return nil, err
	}
	c := newConfig(r.name)
	given := settingsOfCreate(in)
	if err := cmpErr(s.checkIsolation(in.Tags), s.checkSnapStart(in.SnapStart), s.absent(ctx, r), s.checkRole(ctx, r, in.Role)); err != nil {
		return nil, err
	}
	if in.DeadLetterConfig != nil {
		if err := s.checkSends(ctx, r, str(in.Role), in.DeadLetterConfig.TargetArn); err != nil {
			return nil, err
		}
	}
	if err := s.sealSettings(ctx, r, &c, &given); err != nil {
		return nil, err
	}
	if err := given.apply(&c, r.name); err != nil {
		return nil, err
	}
	if c.Code, c.Image, err = s.codeOf(ctx, r, in.Code); err != nil {
		return nil, err
	}
	given.applyImage(&c)
	var created *version
	err = s.updateFunction(ctx, r, func(e *edit) error {
		if f, err := e.function(r.name); f != nil || err != nil {
			return cmpErr(err, exists(r.name))
		}
		if err := e.resolveLayers(&c, in.Layers); err != nil {
			return err
		}
		f := &function{Name: r.name, Tags: maps.Clone(in.Tags), Recursion: api.RecursiveLoopTerminate}
		v := version{
			Function: r.name, Version: latest, Revision: uuid.NewString(), Modified: s.deps.Now(), Config: c, State: statePending,
			Runtime: runtimeUpdate{On: api.UpdateRuntimeOnAuto},
		}
		created = &v
		if in.Publish != nil && *in.Publish {
			if created, err = e.publish(f, &v, nil); err != nil {
				return err
			}
		}
		if err := e.room(); err != nil {
			return err
		}
		if err := e.putVersion(&v, nil); err != nil {
			return err
		}
		return e.putFunction(f, nil)
	})
	if err != nil {
		s.discard(c.Code, err)
		return nil, err
	}
	s.activateLater(r, latest, created.Version)
	return s.configuration(ctx, r.scope, created, published(created.Version))
}

// published is the qualifier of a numbered version, and empty for $LATEST.
func published(v string) string {
	if v == latest {
		return ""
	}
	return v
}

func exists(name string) error {
	return api.ErrResourceConflict.Withf("Function already exist: %s", name)
}

// cmpErr is the first error that is one.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCreate checks all of a CreateFunction that needs neither store nor archive.
func checkCreate(r ref, in *api.CreateFunctionInput) error {
	if len(r.name) > maxName {
		return invalid("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint: "+
			"Member must have length less than or equal to %d", r.name, maxName)
	}
	if r.qualifier != "" {
		return invalid("A function cannot be created with a qualifier: %s", r.qualifiedArn())
	}
	isImage, err := checkPackage(in)
	if err != nil {
		return err
	}
	switch {
	case in.TenancyConfig != nil:
		return unsupported("TenancyConfig")
	case str(in.CodeSigningConfigArn) != "":
		return unsupported("CodeSigningConfigArn")
	case in.PublishTo != nil:
		return unsupported("PublishTo")
	}
	given := settingsOfCreate(in)
	if err := given.check(); err != nil {
		return err
	}
	if err := cmpErr(checkArchitectures(in.Architectures), checkTags(in.Tags), checkLayerList(in.Layers)); err != nil {
		return err
	}
	if isImage {
		return nil
	}
	if in.Code == nil {
		return invalid("Please provide a source for function code.")
	}
	return checkSource(in.Code.ZipFile, in.Code.S3Bucket, in.Code.S3Key, in.Code.SourceKMSKeyArn)
}

// checkSource checks where code comes from: the request, until there is S3.
func checkSource(zip []byte, bucket, key, kms *string) error {
	switch {
	case str(kms) != "":
		return unsupported("SourceKMSKeyArn")
	case zip != nil && (bucket != nil || key != nil):
		return invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
	case bucket != nil || key != nil:
		return invalid("Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist")
	case zip == nil:
		return invalid("Please provide a source for function code.")
	}
	return nil
}

// absent spares a name that is taken the unpacking. The transaction decides.
func (s *Service) absent(ctx context.Context, r ref) error {
	return s.deps.Store.View(ctx, func(tx store.Tx) error {
		f, err := getFunction(tx, r.scope, r.name)
		if f != nil {
			return exists(r.name)
		}
		return err
	})
}

// codeOf is the code that a function is created with: an archive, which is stored, or an image, which is pulled later.
func (s *Service) codeOf(ctx context.Context, r ref, in *api.FunctionCode) (pkg, *imageCode, error) {
	if uri := str(in.ImageURI); uri != "" {
		found, err := s.resolveImage(ctx, r, uri)
		if err != nil {
			return pkg{}, nil, err
		}
		return pkg{code: found.code()}, found, nil
	}
	p, err := s.upload(ctx, in.ZipFile)
	return p, nil, err
}

// upload checks, unpacks and stores an archive. What no row names afterwards is to be discarded.
func (s *Service) upload(ctx context.Context, zip []byte) (pkg, error) {
	c, err := s.code.add(ctx, zip)
	if err != nil {
		return pkg{}, err
	}
	blob, err := s.blobs.Put(ctx, bytes.NewReader(zip), maxZipped)
	if err != nil {
		return pkg{}, fmt.Errorf("store deployment package: %w", err)
	}
	return pkg{code: c, Blob: blob.ID}, nil
}

// discard deletes an archive that no row came to name, because the op was refused or given up. What a failing disk leaves is
// found at start-up: then nobody can tell what is stored.
func (s *Service) discard(p pkg, why error) {
	if p.Blob == "" {
		return
	}
	var refused *aws.Error
	if !errors.As(why, &refused) && !errors.Is(why, context.Canceled) && !errors.Is(why, context.DeadlineExceeded) {
		return
	}
	if err := s.blobs.Delete(p.Blob); err != nil {
		s.deps.Log.Warn("delete deployment package", "blob", p.Blob, "error", err)
	}
}

// room refuses what does not fit into the account's code storage any more.
func (e *edit) room() error {
	if e.usage.CodeSize > maxCodeStorage {
		return api.ErrCodeStorageExceeded.New("Code storage limit exceeded.")
	}
	return nil
}

// activateLater takes unsettled versions of a function to their final state, in the background.
func (s *Service) activateLater(r ref, unsettled ...string) {
	for i, v := range unsettled {
		if i == 0 || v != unsettled[0] {
			s.jobs.add(job{scope: r.scope, function: r.name, version: v})
		}
	}
}

// GetFunction shows a function with its tags, its reserved concurrency and a link to its code.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html.
func (s *Service) GetFunction(ctx context.Context, in *api.GetFunctionInput) (*api.GetFunctionOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f, v, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	shown, err := s.configuration(ctx, r.scope, v, r.qualifier)
	if err != nil {
		return nil, err
	}
	out := &api.GetFunctionOutput{
		Configuration: shown,
		Code:          s.codeLocation(ctx, &v.Config),
	}
	if len(f.Tags) > 0 {
		out.Tags = f.Tags
	}
	if f.Reserved != nil {
		out.Concurrency = &api.Concurrency{ReservedConcurrentExecutions: f.Reserved}
	}
	return out, nil
}

// codeLocation is where a function's code is.
func (s *Service) codeLocation(ctx context.Context, c *config) *api.FunctionCodeLocation {
	if i := c.Image; i != nil {
		return &api.FunctionCodeLocation{RepositoryType: new("ECR"), ImageURI: new(i.URI), ResolvedImageURI: new(i.resolvedURI())}
	}
	return &api.FunctionCodeLocation{RepositoryType: new("S3"), Location: new(s.deps.CodeURL(ctx, c.Code.Blob))}
}

// GetFunctionConfiguration shows a version's configuration.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html.
func (s *Service) GetFunctionConfiguration(
	ctx context.Context, in *api.GetFunctionConfigurationInput,
) (*api.GetFunctionConfigurationOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, v, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.configuration(ctx, r.scope, v, r.qualifier)
}

// find is a function and the version that the ref means, or ResourceNotFoundException.
func (s *Service) find(ctx context.Context, r ref) (f *function, v *version, err error) {
	err = s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		if f, err = getFunction(tx, r.scope, r.name); f == nil {
			return cmpErr(err, notFound(r.qualifiedArn()))
		}
		if v, err = getQualified(tx, r); v == nil {
			return cmpErr(err, notFound(r.qualifiedArn()))
		}
		return err
	})
	return f, v, err
}

// ListFunctions lists the functions of an account and region by name; with FunctionVersion=ALL, all their versions.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html.
func (s *Service) ListFunctions(ctx context.Context, in *api.ListFunctionsInput) (*api.ListFunctionsOutput, error) {
	call := aws.CallFrom(ctx)
	sc := store.Scope{Account: call.Account, Region: call.Region}
	all := str(in.FunctionVersion) == api.FunctionVersionAll
	out := &api.ListFunctionsOutput{Functions: []*api.FunctionConfiguration{}}
	list := "functions/" + str(in.FunctionVersion)
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	if region := str(in.MasterRegion); region != "" && region != "ALL" && region != sc.Region {
		return out, nil // there are no Lambda@Edge replicas of other regions
	}
	var found []version
	err = s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		rows := versions.Scan(tx, sc, store.Range{After: after})
		if !all {
			rows = only(rows, func(v *version) bool { return v.Version == latest })
		}
		found, out.NextMarker, err = page(rows, list, pageSize(in.MaxItems))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range found {
		qualifier := ""
		if all {
			qualifier = found[i].Version
		}
		item, err := s.listed(ctx, sc, &found[i], qualifier)
		if err != nil {
			return nil, err
		}
		out.Functions = append(out.Functions, item)
	}
	return out, nil
}

// DeleteFunction deletes a function with everything that belongs to it, or one published version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html.
func (s *Service) DeleteFunction(ctx context.Context, in *api.DeleteFunctionInput) (*api.DeleteFunctionOutput, error) {
	r, err := parseRef(ctx, in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	switch {
	case r.qualifier == latest:
		return nil, invalid("$LATEST version cannot be deleted without deleting the function.")
	case r.qualifier != "" && !isNumber(r.qualifier):
		return nil, invalid("Deletion of aliases is not currently supported.")
	}
	var gone []version
	err = s.updateFunction(ctx, r, func(e *edit) error {
		f, err := e.function(r.name)
		if f == nil {
			return cmpErr(err, notFound(r.arn()))
		}
		if r.qualifier == "" {
			gone, err = e.deleteFunction(f)
			return err
		}
		gone, err = e.deletePublished(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.settle()
	for i := range gone {
		s.deps.Runner.Retire(workerKey(r.scope, &gone[i], gone[i].serving()))
		s.dropSnapshot(r.scope, &gone[i])
	}
	s.keeper.look(functionKey{r.scope, r.name})
	if r.qualifier == "" {
		s.metrics.forget(r.scope.Account, r.scope.Region, r.name)
		s.limiter.forget(r.scope, r.name)
	}
	return &api.DeleteFunctionOutput{StatusCode: new(204)}, nil
}

// deletePublished deletes one published version, if it is there and no alias needs it.
func (e *edit) deletePublished(r ref) ([]version, error) {
	v, err := e.version(r.name, r.qualifier)
	if v == nil {
		return nil, err
	}
	all, err := collect(aliases.Scan(e.tx, e.scope, store.Range{Prefix: store.Prefix(r.name)}))
	if err != nil {
		return nil, err
	}
	var users []string
	for _, a := range all {
		if a.Version == v.Version || a.Other == v.Version {
			users = append(users, a.Name)
		}
	}
	if len(users) > 0 {
		return nil, api.ErrResourceConflict.Withf("Unable to delete version because the following aliases reference it: [%s]",
			strings.Join(users, ", "))
	}
	if err := cmpErr(dropInvokeConfig(e, r.name, v.Version), e.putPolicy(r, nil), e.dropProvisioned(r)); err != nil {
		return nil, err
	}
	return []version{*v}, e.deleteVersion(v)
}
