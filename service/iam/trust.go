package iam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/policy"
	"github.com/enfold-run/enfold/store"
)

// A trust policy is stored with the unique ids of the users and roles that it names, and shown with their ARNs as they are
// now: who is made anew under a name that was trusted is not trusted, and who is renamed still is. The id of somebody who is
// deleted stays, as on AWS.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html.

// namedRow is what a unique id is of, by the id, in no account's scope.
type namedRow struct {
	Account string
	Kind    kind
	Name    string
}

var ids = store.Table[namedRow]{Name: "iam.id"}

// index makes a user or role be found by its id, under its name as it is now.
func index(tx store.Tx, account string, e *entity) error {
	if e.Kind == group { // no policy names one
		return nil
	}
	_, err := ids.Put(tx, everywhere, e.ID, namedRow{account, e.Kind, e.Name})
	return err
}

func checkTrust(document string) error {
	if size(document) > maxTrustPolicy {
		return api.ErrLimitExceeded.Withf("Cannot exceed quota for ACLSizePerRole: %d", maxTrustPolicy)
	}
	_, err := parse(document, policy.KindTrust)
	return err
}

// boundTrust is a checked trust policy as it is stored.
func boundTrust(tx store.Tx, document string) (string, error) {
	return editPrincipals(document, func(value string) (string, error) {
		id, err := boundPrincipal(tx, value)
		if errors.Is(err, errNoPrincipal) {
			return "", api.ErrMalformedPolicyDocument.Withf(`Invalid principal in policy: "AWS":"%s"`, value)
		}
		return id, err
	})
}

var errNoPrincipal = errors.New("iam: no such principal")

// boundPrincipal is the id of a user or role that a policy names, or else what it says. Users and roles must exist, but for those of
// accounts that this server does not have, who cannot sign here: the error is errNoPrincipal.
func boundPrincipal(tx store.Tx, value string) (string, error) {
	a, err := aws.ParseARN(value)
	if err != nil || a.Service != "iam" || a.Resource == "root" {
		return value, nil // an account, everybody, an id, a session
	}
	if owner, err := getAccount(tx, a.Account); err != nil || owner.Created.IsZero() {
		return value, err
	}
	e, _, err := byARN(tx, value)
	switch {
	case errors.Is(err, api.ErrNoSuchEntity) || errors.Is(err, aws.ErrValidation):
		return "", errNoPrincipal
	case err != nil:
		return "", err
	}
	return e.ID, nil
}

// PrincipalsExist says whether a policy may name all of these as principals of the type AWS: a user or role must be there. Whoever gets
// its name later is not whom the policy means, so that it would never do what it says.
func (s *Service) PrincipalsExist(ctx context.Context, principals []string) (exist bool, err error) {
	err = s.db.View(ctx, func(tx store.Tx) error {
		exist = true
		for _, p := range principals {
			if _, err := boundPrincipal(tx, p); errors.Is(err, errNoPrincipal) {
				exist = false
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	return exist, err
}

// shownTrust is a stored trust policy as answers have it.
func shownTrust(tx store.Tx, document string) (string, error) {
	return editPrincipals(document, func(value string) (string, error) {
		row, err := ids.Get(tx, everywhere, value)
		if errors.Is(err, store.ErrNotFound) {
			return value, nil
		}
		if err != nil {
			return "", err
		}
		e, err := find(tx, row.Value.Account, row.Value.Kind, row.Value.Name)
		if err != nil {
			return "", fmt.Errorf("who has the id %s: %w", value, err)
		}
		return e.arn(row.Value.Account), nil
	})
}

// showTrust gives roles that are about to be shown their trust policies as answers have them.
func (s *Service) showTrust(ctx context.Context, roles ...*entity) error {
	named := func(e *entity) bool {
		return strings.Contains(e.Trust, userPrefix) || strings.Contains(e.Trust, rolePrefix)
	}
	var all []*entity
	for _, e := range roles {
		if named(e) {
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		return nil
	}
	shown := make([]string, len(all))
	err := s.db.View(ctx, func(tx store.Tx) (err error) {
		for i, e := range all {
			if shown[i], err = shownTrust(tx, e.Trust); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, e := range all {
		e.Trust = shown[i]
	}
	return nil
}

// editPrincipals replaces the values of "AWS" in the Principal and NotPrincipal of a policy that was parsed before, and
// leaves the rest of its text as it is.
func editPrincipals(document string, edit func(value string) (string, error)) (string, error) {
	var out strings.Builder
	rest := 0 // where what is not written yet begins
	err := walkStrings([]byte(document), func(path []string, from, to int, value string) error {
		if len(path) != 3 || path[0] != "Statement" || path[1] != "Principal" && path[1] != "NotPrincipal" || path[2] != "AWS" {
			return nil
		}
		edited, err := edit(value)
		if err != nil || edited == value {
			return err
		}
		text, err := json.Marshal(edited)
		out.WriteString(document[rest:from])
		out.Write(text)
		rest = to
		return err
	})
	return out.String() + document[rest:], err
}

// walkStrings calls visit for every string of a JSON text that is a value, with the names of the members around it, lists not
// counted, and where it stands.
func walkStrings(text []byte, visit func(path []string, from, to int, value string) error) error {
	d := json.NewDecoder(bytes.NewReader(text))
	var walk func(path []string) error
	walk = func(path []string) error {
		before := int(d.InputOffset())
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case string:
			to := int(d.InputOffset())
			return visit(path, before+bytes.IndexByte(text[before:to], '"'), to, t)
		case json.Delim:
			for d.More() {
				inside := path
				if t == '{' {
					name, err := d.Token()
					if err != nil {
						return err
					}
					inside = append(path[:len(path):len(path)], fmt.Sprint(name))
				}
				if err := walk(inside); err != nil {
					return err
				}
			}
			_, err = d.Token() // the end
		}
		return err
	}
	return walk(nil)
}
