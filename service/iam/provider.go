package iam

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// Quotas of an OpenID Connect provider.
const (
	maxClientIDs   = 100
	maxThumbprints = 5
)

// providerRow is an OpenID Connect provider, by its ARN.
type providerRow struct {
	URL         string // without the scheme
	ClientIDs   []string
	Thumbprints []string
	Created     time.Time
	Tags        []tag `json:",omitempty"`
}

// Provider is what STS wants to know of an OpenID Connect provider.
type Provider struct {
	Arn, URL    string // the URL without "https://"
	ClientIDs   []string
	Thumbprints []string // of certificates, hexadecimal
}

func errNoProvider(arn string) error {
	return api.ErrNoSuchEntity.Withf("OpenIDConnect Provider not found for arn %s", arn)
}

// Provider answers NoSuchEntity if the account has no provider of that URL, which is without "https://".
func (s *Service) Provider(ctx context.Context, account, host string) (Provider, error) {
	arn := aws.NewARN("iam", "", account, "oidc-provider/"+host).String()
	var p Provider
	err := s.db.View(ctx, func(tx store.Tx) error {
		row, err := getProvider(tx, account, arn)
		p = Provider{arn, row.URL, row.ClientIDs, row.Thumbprints}
		return err
	})
	return p, err
}

func getProvider(tx store.Tx, account, arn string) (providerRow, error) {
	row, err := providers.Get(tx, scope(account), arn)
	if errors.Is(err, store.ErrNotFound) {
		return row.Value, errNoProvider(arn)
	}
	return row.Value, err
}

func (s *Service) editProvider(ctx context.Context, arn string, fn func(p *providerRow) error) error {
	id := account(ctx)
	return s.change(ctx, id, func(tx store.Tx) error {
		p, err := getProvider(tx, id, arn)
		if err != nil {
			return err
		}
		if err := fn(&p); err != nil {
			return err
		}
		_, err = providers.Put(tx, scope(id), arn, p)
		return err
	})
}

// CreateOpenIDConnectProvider makes roles' trust policies able to name an issuer of tokens.
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, in *api.CreateOpenIDConnectProviderInput) (*api.CreateOpenIDConnectProviderOutput, error) {
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(*in.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, aws.ErrValidation.New("Invalid Open ID Connect Provider URL")
	}
	host := strings.TrimSuffix(u.Host+u.Path, "/")
	if len(in.ClientIDList) > maxClientIDs {
		return nil, api.ErrLimitExceeded.Withf("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", maxClientIDs)
	}
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	id := account(ctx)
	arn := aws.NewARN("iam", "", id, "oidc-provider/"+host).String()
	row := providerRow{URL: host, ClientIDs: in.ClientIDList, Thumbprints: in.ThumbprintList, Created: s.clock(), Tags: tags}
	err = s.change(ctx, id, func(tx store.Tx) error {
		_, err := providers.Put(tx, scope(id), arn, row, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			return api.ErrEntityAlreadyExists.Withf("Provider with url https://%s already exists.", host)
		}
		if err != nil {
			return err
		}
		return s.counted(tx, id, func(a *accountRow) error { return a.addProviders(1) })
	})
	return answer(&api.CreateOpenIDConnectProviderOutput{OpenIDConnectProviderArn: &arn, Tags: someTags(tags)}, err)
}

func checkThumbprints(list []string) error {
	if len(list) > maxThumbprints {
		return api.ErrInvalidInput.Withf("Thumbprint list must contain fewer than %d entries.", maxThumbprints)
	}
	return nil
}

// GetOpenIDConnectProvider shows a provider.
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, in *api.GetOpenIDConnectProviderInput) (*api.GetOpenIDConnectProviderOutput, error) {
	p, err := s.readProvider(ctx, *in.OpenIDConnectProviderArn)
	return answer(&api.GetOpenIDConnectProviderOutput{
		URL: &p.URL, ClientIDList: list0(p.ClientIDs), ThumbprintList: list0(p.Thumbprints), CreateDate: &p.Created, Tags: someTags(p.Tags),
	}, err)
}

func (s *Service) readProvider(ctx context.Context, arn string) (p providerRow, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		p, err = getProvider(tx, account(ctx), arn)
		return err
	})
	return p, err
}

// list0 is an empty list rather than none.
func list0(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}

// ListOpenIDConnectProviders lists the ARNs of all.
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, _ *api.ListOpenIDConnectProvidersInput) (*api.ListOpenIDConnectProvidersOutput, error) {
	out := &api.ListOpenIDConnectProvidersOutput{}
	err := s.db.View(ctx, func(tx store.Tx) error {
		out.OpenIDConnectProviderList = []*api.OpenIDConnectProviderListEntry{}
		for row, err := range providers.Scan(tx, scope(account(ctx)), store.Range{}) {
			if err != nil {
				return err
			}
			out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, &api.OpenIDConnectProviderListEntry{Arn: &row.Key})
		}
		return nil
	})
	return answer(out, err)
}

// DeleteOpenIDConnectProvider deletes a provider. Its tokens are good for nothing from then on.
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, in *api.DeleteOpenIDConnectProviderInput) (*api.DeleteOpenIDConnectProviderOutput, error) {
	id := account(ctx)
	err := s.change(ctx, id, func(tx store.Tx) error {
		if _, err := getProvider(tx, id, *in.OpenIDConnectProviderArn); err != nil {
			return err
		}
		if err := providers.Delete(tx, scope(id), *in.OpenIDConnectProviderArn); err != nil {
			return err
		}
		return s.counted(tx, id, func(a *accountRow) error { return a.addProviders(-1) })
	})
	return answer(&api.DeleteOpenIDConnectProviderOutput{}, err)
}

// AddClientIDToOpenIDConnectProvider makes tokens for another audience good. It may be there already.
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, in *api.AddClientIDToOpenIDConnectProviderInput) (*api.AddClientIDToOpenIDConnectProviderOutput, error) {
	err := s.editProvider(ctx, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		if slices.Contains(p.ClientIDs, *in.ClientID) {
			return nil
		}
		if len(p.ClientIDs) >= maxClientIDs {
			return api.ErrLimitExceeded.Withf("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", maxClientIDs)
		}
		p.ClientIDs = append(p.ClientIDs, *in.ClientID)
		return nil
	})
	return answer(&api.AddClientIDToOpenIDConnectProviderOutput{}, err)
}

// RemoveClientIDFromOpenIDConnectProvider makes tokens for an audience bad. It need not be there.
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, in *api.RemoveClientIDFromOpenIDConnectProviderInput) (*api.RemoveClientIDFromOpenIDConnectProviderOutput, error) {
	err := s.editProvider(ctx, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(id string) bool { return id == *in.ClientID })
		return nil
	})
	return answer(&api.RemoveClientIDFromOpenIDConnectProviderOutput{}, err)
}

// UpdateOpenIDConnectProviderThumbprint replaces the thumbprints of the provider's certificates.
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, in *api.UpdateOpenIDConnectProviderThumbprintInput) (*api.UpdateOpenIDConnectProviderThumbprintOutput, error) {
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	err := s.editProvider(ctx, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.Thumbprints = in.ThumbprintList
		return nil
	})
	return answer(&api.UpdateOpenIDConnectProviderThumbprintOutput{}, err)
}

// TagOpenIDConnectProvider adds tags or replaces their values.
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, in *api.TagOpenIDConnectProviderInput) (*api.TagOpenIDConnectProviderOutput, error) {
	err := s.editProvider(ctx, *in.OpenIDConnectProviderArn, func(p *providerRow) (err error) {
		p.Tags, err = withTags(p.Tags, in.Tags)
		return err
	})
	return answer(&api.TagOpenIDConnectProviderOutput{}, err)
}

// UntagOpenIDConnectProvider removes tags.
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, in *api.UntagOpenIDConnectProviderInput) (*api.UntagOpenIDConnectProviderOutput, error) {
	err := s.editProvider(ctx, *in.OpenIDConnectProviderArn, func(p *providerRow) error {
		p.Tags = withoutTags(p.Tags, in.TagKeys)
		return nil
	})
	return answer(&api.UntagOpenIDConnectProviderOutput{}, err)
}

// ListOpenIDConnectProviderTags lists tags by key.
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, in *api.ListOpenIDConnectProviderTagsInput) (*api.ListOpenIDConnectProviderTagsOutput, error) {
	p, err := s.readProvider(ctx, *in.OpenIDConnectProviderArn)
	if err != nil {
		return nil, err
	}
	tags, marker, err := tagPage(p.Tags, in.Marker, in.MaxItems)
	return answer(&api.ListOpenIDConnectProviderTagsOutput{Tags: tags, IsTruncated: new(marker != nil), Marker: marker}, err)
}
