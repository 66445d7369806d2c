package lambda

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	api "github.com/enfold-run/enfold/api/lambda"
	"github.com/enfold-run/enfold/store"
)

var errLayerPolicyRevision = api.ErrPreconditionFailed.New("The Revision Id provided does not match the latest Revision Id. " +
	"Call the GetLayerPolicy API to retrieve the latest Revision Id")

// arn is the layer version's ARN.
func (id layerID) arn() string {
	return layerArn(id.scope, id.name) + ":" + strconv.FormatInt(id.version, 10)
}

// layerVersionID is the layer version that the parameters of an op mean.
func layerVersionID(ctx context.Context, name *string, version *int64) (layerID, error) {
	id, err := parseLayerName(ctx, name)
	if err != nil {
		return layerID{}, err
	}
	if version == nil || *version < 1 {
		return layerID{}, errLayerNumber
	}
	id.version = *version
	return id, nil
}

// AddLayerVersionPermission lets another account, or all of an organization or of the world, use a layer version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_AddLayerVersionPermission.html.
func (s *Service) AddLayerVersionPermission(
	ctx context.Context, in *api.AddLayerVersionPermissionInput,
) (*api.AddLayerVersionPermissionOutput, error) {
	id, err := layerVersionID(ctx, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	who, err := principalOf(str(in.Principal))
	if err != nil {
		return nil, err
	}
	st := &statement{Sid: str(in.StatementID), Effect: "Allow", Principal: who, Action: str(in.Action), Resource: id.arn()}
	if in.OrganizationID != nil {
		st.Condition = &grantConditions{StringEquals: map[string]string{"aws:PrincipalOrgID": *in.OrganizationID}}
	}
	out := &api.AddLayerVersionPermissionOutput{}
	err = s.update(ctx, id.scope, func(e *edit) error {
		now, err := e.layerPolicy(id)
		if err != nil {
			return err
		}
		next, text, err := now.with(st, s.deps.Now())
		if err != nil {
			return err
		}
		if in.RevisionID != nil && (now == nil || *in.RevisionID != now.Revision) {
			return errLayerPolicyRevision
		}
		next.Revision = uuid.NewString()
		out.Statement, out.RevisionID = &text, &next.Revision
		return e.putLayerPolicy(id, next)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// RemoveLayerVersionPermission removes a statement. Functions that use the layer version keep it.
// See https://docs.aws.amazon.com/lambda/latest/api/API_RemoveLayerVersionPermission.html.
func (s *Service) RemoveLayerVersionPermission(
	ctx context.Context, in *api.RemoveLayerVersionPermissionInput,
) (*api.RemoveLayerVersionPermissionOutput, error) {
	id, err := layerVersionID(ctx, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, id.scope, func(e *edit) error {
		now, err := e.layerPolicy(id)
		if now == nil {
			return cmpErr(err, errNoPolicy)
		}
		if in.RevisionID != nil && *in.RevisionID != now.Revision {
			return errLayerPolicyRevision
		}
		next, err := now.without(str(in.StatementID))
		if err != nil {
			return err
		}
		if next != nil {
			next.Revision = uuid.NewString()
		}
		return e.putLayerPolicy(id, next)
	})
	if err != nil {
		return nil, err
	}
	return &api.RemoveLayerVersionPermissionOutput{}, nil
}

// GetLayerVersionPolicy shows the policy of a layer version.
// See https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersionPolicy.html.
func (s *Service) GetLayerVersionPolicy(
	ctx context.Context, in *api.GetLayerVersionPolicyInput,
) (*api.GetLayerVersionPolicyOutput, error) {
	id, err := layerVersionID(ctx, in.LayerName, in.VersionNumber)
	if err != nil {
		return nil, err
	}
	out := &api.GetLayerVersionPolicyOutput{}
	err = s.deps.Store.View(ctx, func(tx store.Tx) error {
		p, err := (&edit{tx: tx, scope: id.scope}).layerPolicy(id)
		if p == nil {
			return cmpErr(err, errNoPolicy)
		}
		text, err := p.text()
		out.Policy, out.RevisionID = &text, &p.Revision
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// layerPolicy is the policy of a layer version that must be there; nil if it has none.
func (e *edit) layerPolicy(id layerID) (*resourcePolicy, error) {
	if l, err := getLayerVersion(e.tx, id); l == nil {
		return nil, cmpErr(err, api.ErrResourceNotFound.Withf("Layer version %s does not exist.", id.arn()))
	}
	return getLayerPolicy(e.tx, id)
}

// getLayerPolicy answers nil if there is none.
func getLayerPolicy(tx store.Tx, id layerID) (*resourcePolicy, error) {
	return orNil(layerPolicies.Get(tx, id.scope, layerKey(id.name, id.version)))
}

// putLayerPolicy stores a policy, or removes it if it is nil.
func (e *edit) putLayerPolicy(id layerID, p *resourcePolicy) error {
	key := layerKey(id.name, id.version)
	if p == nil {
		return ifThere(layerPolicies.Delete(e.tx, id.scope, key))
	}
	_, err := layerPolicies.Put(e.tx, id.scope, key, *p)
	return err
}
