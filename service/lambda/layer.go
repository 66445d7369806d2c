package lambda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// layerVersionPattern is what the service answers when an ARN names no layer version.
const layerVersionPattern = `(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:` +
	`[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)`

var errNoLayerVersion = api.ErrResourceNotFound.New("The resource you requested does not exist.")

func layerArn(s store.Scope, name string) string {
	return "arn:aws:lambda:" + s.Region + ":" + s.Account + ":layer:" + name
}

// layerID is a layer, and its version if the ARN has one.
type layerID struct {
	scope   store.Scope
	name    string
	version int64 // 0 if the ARN had none
}

// parseLayerArn takes a layer's or a layer version's ARN apart.
func parseLayerArn(s string) (layerID, bool) {
	a, err := aws.ParseARN(s)
	parts := strings.Split(a.Resource, ":")
	if err != nil || a.Service != "lambda" || !isRegion(a.Region) || !isAccount(a.Account) ||
		len(parts) < 2 || len(parts) > 3 || parts[0] != "layer" || !isName(parts[1]) {
		return layerID{}, false
	}
	id := layerID{scope: store.Scope{Account: a.Account, Region: a.Region}, name: parts[1]}
	if len(parts) == 3 {
		if !isNumber(parts[2]) {
			return layerID{}, false
		}
		// A number that does not fit names no version that there could be. Neither does one with a zero in front: policies name
		// versions by their texts, and would not mean this one.
		id.version, err = strconv.ParseInt(parts[2], 10, 64)
		if err != nil || parts[2][0] == '0' {
			id.version = -1
		}
	}
	return id, true
}

// parseLayerName is the layer that a LayerName parameter means: a name or an ARN, in the caller's account and region.
func parseLayerName(ctx context.Context, name *string) (layerID, error) {
	call := aws.CallFrom(ctx)
	sc := store.Scope{Account: call.Account, Region: call.Region}
	given := str(name)
	if isName(given) {
		return layerID{scope: sc, name: given}, nil
	}
	id, ok := parseLayerArn(given)
	if !ok || id.version != 0 {
		return layerID{}, mismatch(given, "layerName", `(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+`)
	}
	return id, otherLayer(call, id, given)
}

// otherLayer refuses a layer of another account or region.
func otherLayer(call *aws.Call, id layerID, arn string) error {
	switch {
	case id.scope.Account != call.Account:
		action := "lambda:GetLayerVersion"
		if call.Op != nil && call.Op.Action != "" {
			action = call.Op.Action
		}
		return denied(call, action, arn)
	case id.scope.Region != call.Region:
		return api.ErrResourceNotFound.Withf("Layers from '%s' are not reachable in this region ('%s')", id.scope.Region, call.Region)
	}
	return nil
}

// PublishLayerVersion stores the next version of a layer.
// See https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html.
func (s *Service) PublishLayerVersion(ctx context.Context, in *api.PublishLayerVersionInput) (*api.PublishLayerVersionOutput, error) {
	id, err := parseLayerName(ctx, in.LayerName)
	if err != nil {
		return nil, err
	}
	if in.Content == nil {
		return nil, invalid("Please provide a source for layer content.")
	}
	if err := checkSource(in.Content.ZipFile, in.Content.S3Bucket, in.Content.S3Key, nil); err != nil {
		return nil, err
	}
	content, err := s.upload(ctx, in.Content.ZipFile)
	if err != nil {
		return nil, err
	}
	l := layerVersion{
		Layer: id.name, Code: content, Created: s.deps.Now(), Description: str(in.Description), License: str(in.LicenseInfo),
		Runtimes: in.CompatibleRuntimes, Architectures: in.CompatibleArchitectures,
	}
	l.Extension = s.code.extension(content.SHA256)
	err = s.update(ctx, id.scope, func(e *edit) error {
		row, err := layers.Get(e.tx, id.scope, id.name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		row.Value.Versions++
		l.Version = row.Value.Versions
		if _, err := layers.Put(e.tx, id.scope, id.name, row.Value); err != nil {
			return err
		}
		return cmpErr(e.putLayerVersion(&l), e.room())
	})
	if err != nil {
		s.discard(content, err)
		return nil, err
	}
	out := s.showLayerVersion(ctx, id.scope, &l)
	return &api.PublishLayerVersionOutput{
		Content: out.Content, LayerArn: out.LayerArn, LayerVersionArn: out.LayerVersionArn, Description: out.Description,
		CreatedDate: out.CreatedDate, Version: out.Version, CompatibleRuntimes: out.CompatibleRuntimes, LicenseInfo: out.LicenseInfo,
		CompatibleArchitectures: out.CompatibleArchitectures,
	}, nil
}

// GetLayerVersion shows a layer version with a link to its content.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersion.html.
func (s *Service) GetLayerVersion(ctx context.Context, in *api.GetLayerVersionInput) (*api.GetLayerVersionOutput, error) {
	id, err := layerVersionID(ctx, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	return s.layerVersion(ctx, id)
}

// GetLayerVersionByArn is GetLayerVersion by ARN.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionByArn.html.
func (s *Service) GetLayerVersionByArn(ctx context.Context, in *api.GetLayerVersionByArnInput) (*api.GetLayerVersionByArnOutput, error) {
	id, ok := parseLayerArn(str(in.Arn))
	if !ok || id.version == 0 {
		return nil, mismatch(str(in.Arn), "arn", layerVersionPattern)
	}
	if err := otherLayer(aws.CallFrom(ctx), id, str(in.Arn)); err != nil {
		return nil, err
	}
	return s.layerVersion(ctx, id)
}

var errLayerNumber = invalid("Layer Version Cannot be less than 1")

func (s *Service) layerVersion(ctx context.Context, id layerID) (*api.GetLayerVersionResponse, error) {
	var l *layerVersion
	err := s.deps.Store.View(ctx, func(tx store.Tx) (err error) {
		if l, err = getLayerVersion(tx, id); l == nil {
			return cmpErr(err, errNoLayerVersion)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.showLayerVersion(ctx, id.scope, l), nil
}

func getLayerVersion(tx store.Tx, id layerID) (*layerVersion, error) {
	if id.version < 1 {
		return nil, nil
	}
	return orNil(layerVersions.Get(tx, id.scope, layerKey(id.name, id.version)))
}

// DeleteLayerVersion deletes a layer version, if there is one. Functions that use it keep it.
// See https://docs.aws.amazon.com/lambda/latest/api/API_DeleteLayerVersion.html.
func (s *Service) DeleteLayerVersion(ctx context.Context, in *api.DeleteLayerVersionInput) (*api.DeleteLayerVersionOutput, error) {
	id, err := layerVersionID(ctx, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, id.scope, func(e *edit) error {
		l, err := getLayerVersion(e.tx, id)
		if l == nil {
			return err
		}
		return e.deleteLayerVersion(l)
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteLayerVersionOutput{}, nil
}

// fits says whether a layer version suits a runtime and an architecture. Empty is any.
func (l *layerVersion) fits(runtime, architecture *string) bool {
	return (str(runtime) == "" || slices.Contains(l.Runtimes, *runtime)) &&
		(str(architecture) == "" || slices.Contains(l.Architectures, *architecture))
}

// ListLayerVersions lists a layer's versions, newest first.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListLayerVersions.html.
func (s *Service) ListLayerVersions(ctx context.Context, in *api.ListLayerVersionsInput) (*api.ListLayerVersionsOutput, error) {
	id, err := parseLayerName(ctx, in.LayerName)
	if err != nil {
		return nil, err
	}
	list := fmt.Sprintf("layer-versions/%s/%s/%s", id.name, str(in.CompatibleRuntime), str(in.CompatibleArchitecture))
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &api.ListLayerVersionsOutput{LayerVersions: []*api.LayerVersionsListItem{}}
	var found []layerVersion
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		rows := layerVersions.Scan(tx, id.scope, store.Range{Prefix: store.Prefix(id.name), After: after, Reverse: true})
		rows = only(rows, func(l *layerVersion) bool { return l.fits(in.CompatibleRuntime, in.CompatibleArchitecture) })
		found, out.NextMarker, err = page(rows, list, pageSize(in.MaxItems))
		return err
	})
	for i := range found {
		out.LayerVersions = append(out.LayerVersions, listLayerVersion(id.scope, &found[i]))
	}
	return out, err
}

// ListLayers lists layers by name, each with its newest version that fits.
// See https://docs.aws.amazon.com/lambda/latest/api/API_ListLayers.html.
func (s *Service) ListLayers(ctx context.Context, in *api.ListLayersInput) (*api.ListLayersOutput, error) {
	call := aws.CallFrom(ctx)
	sc := store.Scope{Account: call.Account, Region: call.Region}
	list := fmt.Sprintf("layers/%s/%s", str(in.CompatibleRuntime), str(in.CompatibleArchitecture))
	after, err := openMarker(list, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &api.ListLayersOutput{Layers: []*api.LayersListItem{}}
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		out.Layers, out.NextMarker = out.Layers[:0], nil
		last := ""
		for row, err := range layers.Scan(tx, sc, store.Range{After: after}) {
			if err != nil {
				return err
			}
			newest, err := newestFit(tx, sc, row.Key, in)
			if err != nil {
				return err
			}
			if newest == nil {
				continue
			}
			if len(out.Layers) == pageSize(in.MaxItems) {
				out.NextMarker = newMarker(list, last)
				return nil
			}
			last = row.Key
			out.Layers = append(out.Layers, &api.LayersListItem{
				LayerName: new(row.Key), LayerArn: new(layerArn(sc, row.Key)), LatestMatchingVersion: listLayerVersion(sc, newest),
			})
		}
		return nil
	})
	return out, err
}

// newestFit is the newest version of a layer that a ListLayers asks for; nil if there is none.
func newestFit(tx store.Tx, s store.Scope, name string, in *api.ListLayersInput) (*layerVersion, error) {
	for row, err := range layerVersions.Scan(tx, s, store.Range{Prefix: store.Prefix(name), Reverse: true}) {
		if err != nil {
			return nil, err
		}
		if row.Value.fits(in.CompatibleRuntime, in.CompatibleArchitecture) {
			return &row.Value, nil
		}
	}
	return nil, nil
}

func (s *Service) showLayerVersion(ctx context.Context, sc store.Scope, l *layerVersion) *api.GetLayerVersionResponse {
	item := listLayerVersion(sc, l)
	return &api.GetLayerVersionResponse{
		Content: &api.LayerVersionContentOutput{
			Location: new(s.deps.CodeURL(ctx, l.Code.Blob)), CodeSha256: new(base64Of(l.Code.SHA256)), CodeSize: new(l.Code.Size),
		},
		LayerArn: new(layerArn(sc, l.Layer)), LayerVersionArn: item.LayerVersionArn, Version: item.Version,
		CreatedDate: item.CreatedDate, Description: new(l.Description), LicenseInfo: item.LicenseInfo,
		CompatibleRuntimes: item.CompatibleRuntimes, CompatibleArchitectures: item.CompatibleArchitectures,
	}
}

func listLayerVersion(sc store.Scope, l *layerVersion) *api.LayerVersionsListItem {
	return &api.LayerVersionsListItem{
		LayerVersionArn: new(layerArn(sc, l.Layer) + ":" + strconv.FormatInt(l.Version, 10)), Version: new(l.Version),
		CreatedDate: timestamp(l.Created), Description: given(l.Description), LicenseInfo: given(l.License),
		CompatibleRuntimes: l.Runtimes, CompatibleArchitectures: l.Architectures,
	}
}
