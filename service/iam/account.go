package iam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

// Quotas of an account.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
const (
	maxUsers     = 5000
	maxGroups    = 500
	maxRoles     = 20000 // AWS: 1000, more on request
	maxPolicies  = 20000 // AWS: 1500, more on request
	maxProviders = 100
)

// Account is an AWS account of this server.
type Account struct {
	ID   string // 12 digits
	Name string // empty for those that were not made by CreateAccount
}

// add counts users, groups or roles, within their quota.
func (a *accountRow) add(k kind, n int) error {
	switch k {
	case user:
		return within(&a.Users, n, maxUsers, "UsersPerAccount")
	case group:
		return within(&a.Groups, n, maxGroups, "GroupsPerAccount")
	}
	return within(&a.Roles, n, maxRoles, "RolesPerAccount")
}

func (a *accountRow) addPolicies(n int) error {
	return within(&a.Policies, n, maxPolicies, "PoliciesPerAccount")
}

func (a *accountRow) addProviders(n int) error {
	return within(&a.Providers, n, maxProviders, "OpenIdConnectProvidersPerAccount")
}

func within(counter *int, n, quota int, name string) error {
	if *counter += n; *counter > quota {
		return api.ErrLimitExceeded.Withf("Cannot exceed quota for %s: %d", name, quota)
	}
	return nil
}

func (a *accountRow) alias() string {
	if len(a.Aliases) == 0 {
		return ""
	}
	return a.Aliases[0]
}

// getAccount is an account's row, empty if it has none yet.
func getAccount(tx store.Tx, id string) (accountRow, error) {
	row, err := accounts.Get(tx, everywhere, id)
	if errors.Is(err, store.ErrNotFound) {
		return accountRow{}, nil
	}
	return row.Value, err
}

// counted changes an account's row.
func (s *Service) counted(tx store.Tx, id string, fn func(a *accountRow) error) error {
	a, err := getAccount(tx, id)
	if err != nil {
		return err
	}
	if a.Created.IsZero() {
		a.Created = s.clock()
	}
	if err := fn(&a); err != nil {
		return err
	}
	_, err = accounts.Put(tx, everywhere, id, a)
	return err
}

func (s *Service) account(ctx context.Context, id string) (a accountRow, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		a, err = getAccount(tx, id)
		return err
	})
	return a, err
}

// EnsureAccount makes an account of that id, 12 digits, if there is none.
func (s *Service) EnsureAccount(ctx context.Context, id string) error {
	if len(id) != 12 {
		return fmt.Errorf("account id %q does not have 12 digits", id)
	}
	if _, err := strconv.ParseUint(id, 10, 64); err != nil {
		return fmt.Errorf("account id %q does not have 12 digits", id)
	}
	a, err := s.account(ctx, id)
	if err != nil || !a.Created.IsZero() {
		return err // a start with nothing to write does not wait for the disk
	}
	return s.change(ctx, id, func(tx store.Tx) error {
		return s.counted(tx, id, func(*accountRow) error { return nil })
	})
}

// CreateAccount makes an account with a root access key, whose secret is told for the only time.
func (s *Service) CreateAccount(ctx context.Context, name string) (id, accessKeyID, secret string, err error) {
	if name == "" || len(name) > 50 {
		return "", "", "", errors.New("an account's name has 1 to 50 characters")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		return "", "", "", err
	}
	id = strconv.FormatInt(n.Int64()+100_000_000_000, 10)
	accessKeyID, secret = newKeyID(id), newSecret()
	err = s.change(ctx, id, func(tx store.Tx) error {
		a := accountRow{Name: name, Created: s.clock(), Keys: []string{accessKeyID}}
		if _, err := accounts.Put(tx, everywhere, id, a, store.IfAbsent()); err != nil {
			return err
		}
		row := keyRow{Account: id, Sealed: s.seal.Seal([]byte(secret), []byte(accessKeyID)), Created: a.Created}
		_, err := keys.Put(tx, everywhere, accessKeyID, row, store.IfAbsent())
		return err
	})
	if err != nil {
		return "", "", "", fmt.Errorf("create account %s: %w", name, err)
	}
	return id, accessKeyID, secret, nil
}

// Accounts are all accounts by id.
func (s *Service) Accounts(ctx context.Context) (all []Account, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		all = nil
		for row, err := range accounts.Scan(tx, everywhere, store.Range{}) {
			if err != nil {
				return err
			}
			all = append(all, Account{row.Key, row.Value.Name})
		}
		return nil
	})
	return all, err
}

// CreateAccountAlias gives the account a name that no other account has. It takes the place of one it had before.
func (s *Service) CreateAccountAlias(ctx context.Context, in *api.CreateAccountAliasInput) (*api.CreateAccountAliasOutput, error) {
	id := account(ctx)
	err := s.change(ctx, id, func(tx store.Tx) error {
		_, err := aliases.Put(tx, everywhere, *in.AccountAlias, id, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			return api.ErrEntityAlreadyExists.Withf("The account alias %s already exists.", *in.AccountAlias)
		}
		if err != nil {
			return err
		}
		return s.counted(tx, id, func(a *accountRow) error {
			for _, old := range a.Aliases {
				if err := aliases.Delete(tx, everywhere, old); err != nil {
					return err
				}
			}
			a.Aliases = []string{*in.AccountAlias}
			return nil
		})
	})
	return answer(&api.CreateAccountAliasOutput{}, err)
}

// DeleteAccountAlias takes the alias away.
func (s *Service) DeleteAccountAlias(ctx context.Context, in *api.DeleteAccountAliasInput) (*api.DeleteAccountAliasOutput, error) {
	id := account(ctx)
	err := s.change(ctx, id, func(tx store.Tx) error {
		return s.counted(tx, id, func(a *accountRow) error {
			at := slices.Index(a.Aliases, *in.AccountAlias)
			if at < 0 {
				return api.ErrNoSuchEntity.Withf("The account alias %s cannot be found.", *in.AccountAlias)
			}
			a.Aliases = slices.Delete(a.Aliases, at, at+1)
			return aliases.Delete(tx, everywhere, *in.AccountAlias)
		})
	})
	return answer(&api.DeleteAccountAliasOutput{}, err)
}

// ListAccountAliases lists the account's alias, of which there is at most one.
func (s *Service) ListAccountAliases(ctx context.Context, _ *api.ListAccountAliasesInput) (*api.ListAccountAliasesOutput, error) {
	a, err := s.account(ctx, account(ctx))
	if a.Aliases == nil {
		a.Aliases = []string{}
	}
	return answer(&api.ListAccountAliasesOutput{AccountAliases: a.Aliases, IsTruncated: new(false)}, err)
}

// GetAccountSummary counts what the account has, and tells the quotas.
func (s *Service) GetAccountSummary(ctx context.Context, _ *api.GetAccountSummaryInput) (*api.GetAccountSummaryOutput, error) {
	id := account(ctx)
	var a accountRow
	versions := 0
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		versions = 0
		for row, err := range policies.Scan(tx, scope(id), store.Range{}) {
			if err != nil {
				return err
			}
			versions += len(row.Value.Versions)
		}
		a, err = getAccount(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	rootKeys := 0
	if len(a.Keys) > 0 {
		rootKeys = 1
	}
	return &api.GetAccountSummaryOutput{SummaryMap: map[string]int{
		"Users": a.Users, "UsersQuota": maxUsers, "Groups": a.Groups, "GroupsQuota": maxGroups, "Roles": a.Roles, "RolesQuota": maxRoles,
		"Policies": a.Policies, "PoliciesQuota": maxPolicies, "Providers": a.Providers, "PolicyVersionsInUse": versions,
		"PolicyVersionsInUseQuota": maxPolicies * maxVersions, "VersionsPerPolicyQuota": maxVersions, "PolicySizeQuota": maxManagedPolicy,
		"UserPolicySizeQuota": maxInline[user], "GroupPolicySizeQuota": maxInline[group], "RolePolicySizeQuota": maxInline[role],
		"AssumeRolePolicySizeQuota": maxTrustPolicy, "GroupsPerUserQuota": maxGroupsPerUser, "AccessKeysPerUserQuota": maxKeysPerUser,
		"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
		"AccountAccessKeysPresent": rootKeys, "AccountPasswordPresent": 0, "AccountMFAEnabled": 0, "AccountSigningCertificatesPresent": 0,
		"MFADevices": 0, "MFADevicesInUse": 0, "ServerCertificates": 0, "ServerCertificatesQuota": 20, "SigningCertificatesPerUserQuota": 2,
		"InstanceProfiles": 0, "InstanceProfilesQuota": 1000, "GlobalEndpointTokenVersion": 2,
	}}, nil
}
