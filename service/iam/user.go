package iam

import (
	"context"
	"errors"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/store"
)

// create stores a new user, group or role and counts it.
func (s *Service) create(ctx context.Context, e *entity) error {
	in := account(ctx)
	trust := e.Trust
	return s.change(ctx, in, func(tx store.Tx) (err error) {
		if e.Kind == role {
			if e.Trust, err = boundTrust(tx, trust); err != nil {
				return err
			}
		}
		e.Named = s.moment()
		_, err = entities.Put(tx, scope(in), entityKey(e.Kind, e.Name), *e, store.IfAbsent())
		if errors.Is(err, store.ErrExists) {
			return api.ErrEntityAlreadyExists.Withf("%s with name %s already exists.", e.Kind.title(), e.Name)
		}
		if err != nil {
			return err
		}
		if err := index(tx, in, e); err != nil {
			return err
		}
		if e.Boundary != "" {
			if err := s.use(tx, in, e.Boundary, boundary, e); err != nil {
				return err
			}
		}
		return s.counted(tx, in, func(a *accountRow) error { return a.add(e.Kind, 1) })
	})
}

// remove deletes a user, group or role that has nothing left, and uncounts it. check says what else it must not have.
func (s *Service) remove(ctx context.Context, k kind, name string, check func(tx store.Tx, e *entity) error) error {
	in := account(ctx)
	return s.change(ctx, in, func(tx store.Tx) error {
		e, err := find(tx, in, k, name)
		if err != nil {
			return err
		}
		if err := check(tx, e); err != nil {
			return err
		}
		if len(e.Attached) > 0 {
			return conflict("Cannot delete entity, must detach all policies first.")
		}
		if len(e.Inline) > 0 {
			return conflict("Cannot delete entity, must delete policies first.")
		}
		return s.drop(tx, in, e)
	})
}

// drop deletes an entity and what other tables know of it but for its groups and keys.
func (s *Service) drop(tx store.Tx, account string, e *entity) error {
	if e.Boundary != "" {
		if err := unuse(tx, account, e.Boundary, boundary, e); err != nil {
			return err
		}
	}
	if err := ids.Delete(tx, everywhere, e.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := entities.Delete(tx, scope(account), entityKey(e.Kind, e.Name)); err != nil {
		return err
	}
	return s.counted(tx, account, func(a *accountRow) error { return a.add(e.Kind, -1) })
}

func conflict(message string) error { return api.ErrDeleteConflict.New(message) }

// CreateUser makes a user that may do nothing.
func (s *Service) CreateUser(ctx context.Context, in *api.CreateUserInput) (*api.CreateUserOutput, error) {
	tags, err := withTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	e := &entity{
		Kind: user, Name: *in.UserName, Path: pathOf(in.Path), ID: newID(userPrefix), Created: s.clock(),
		Tags: tags, Boundary: val(in.PermissionsBoundary),
	}
	if err := s.create(ctx, e); err != nil {
		return nil, err
	}
	return &api.CreateUserOutput{User: apiUser(account(ctx), e)}, nil
}

func pathOf(path *string) string {
	if path == nil {
		return "/"
	}
	return *path
}

func apiUser(account string, e *entity) *api.User {
	return &api.User{
		Path: &e.Path, UserName: &e.Name, UserID: &e.ID, Arn: new(e.arn(account)), CreateDate: &e.Created,
		PermissionsBoundary: apiBoundary(e), Tags: someTags(e.Tags),
	}
}

// GetUser shows a user; without a name, the caller.
func (s *Service) GetUser(ctx context.Context, in *api.GetUserInput) (*api.GetUserOutput, error) {
	name, err := callerName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return s.rootUser(ctx)
	}
	e, err := s.read(ctx, user, name)
	if err != nil {
		return nil, err
	}
	return &api.GetUserOutput{User: apiUser(account(ctx), e)}, nil
}

// rootUser is the root user as GetUser shows it.
func (s *Service) rootUser(ctx context.Context) (*api.GetUserOutput, error) {
	id := account(ctx)
	a, err := s.account(ctx, id)
	if err != nil {
		return nil, err
	}
	return &api.GetUserOutput{User: &api.User{
		UserID: &id, Arn: new(aws.RootOf(id, "").Arn), CreateDate: &a.Created, Path: new("/"), UserName: orNil(a.alias()),
	}}, nil
}

// ListUsers lists users by name.
func (s *Service) ListUsers(ctx context.Context, in *api.ListUsersInput) (*api.ListUsersOutput, error) {
	out, marker, err := list(ctx, s, user, in.PathPrefix, in.Marker, in.MaxItems, func(e *entity) *api.User {
		u := apiUser(account(ctx), e)
		u.Tags, u.PermissionsBoundary = nil, nil // lists leave them out
		return u
	})
	return answer(&api.ListUsersOutput{Users: out, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// list pages through the users, groups or roles below a path.
func list[O any](ctx context.Context, s *Service, k kind, path, marker *string, maxItems *int, show func(*entity) O) (out []O, next *string, err error) {
	p, err := pageOf(marker, maxItems)
	if err != nil {
		return nil, nil, err
	}
	err = s.db.View(ctx, func(tx store.Tx) error {
		rows := entities.Scan(tx, scope(account(ctx)), store.Range{Prefix: store.Prefix(string(k)), After: p.after})
		out, next, err = collect(rows, p, func(r store.Row[entity]) (o O, ok bool, err error) {
			if !strings.HasPrefix(r.Value.Path, val(path)) {
				return o, false, nil
			}
			return show(&r.Value), true, nil
		})
		return err
	})
	return out, next, err
}

// UpdateUser renames a user or changes its path.
func (s *Service) UpdateUser(ctx context.Context, in *api.UpdateUserInput) (*api.UpdateUserOutput, error) {
	return answer(&api.UpdateUserOutput{}, s.rename(ctx, user, *in.UserName, in.NewUserName, in.NewPath))
}

// rename gives a user or group another name or path. Its ID stays, and everything that names it follows.
func (s *Service) rename(ctx context.Context, k kind, name string, newName, newPath *string) error {
	in := account(ctx)
	return s.change(ctx, in, func(tx store.Tx) error {
		e, err := find(tx, in, k, name)
		if err != nil {
			return err
		}
		was := *e
		if newName != nil {
			e.Name = *newName
		}
		if newPath != nil {
			e.Path = *newPath
		}
		if !strings.EqualFold(was.Name, e.Name) {
			if _, err := find(tx, in, k, e.Name); err == nil {
				return api.ErrEntityAlreadyExists.Withf("%s with name %s already exists.", k.title(), e.Name)
			}
		}
		if was.Name != e.Name || was.Path != e.Path {
			e.Named = s.moment()
		}
		if err := entities.Delete(tx, scope(in), entityKey(k, was.Name)); err != nil {
			return err
		}
		if err := put(tx, in, e); err != nil {
			return err
		}
		if err := index(tx, in, e); err != nil {
			return err
		}
		return follow(tx, in, &was, e)
	})
}

// follow makes the rows that name an entity name it anew.
func follow(tx store.Tx, account string, was, is *entity) error {
	for how, arns := range map[string][]string{attachment: is.Attached, boundary: boundaryOf(is)} {
		for _, arn := range arns {
			if err := unuse(tx, account, arn, how, was); err != nil {
				return err
			}
			if _, err := uses.Put(tx, scope(account), useKey(arn, how, is), mark{}); err != nil {
				return err
			}
		}
	}
	for _, id := range is.Keys {
		row, err := keys.Get(tx, everywhere, id)
		if err != nil {
			return err
		}
		row.Value.User = is.Name
		if _, err := keys.Put(tx, everywhere, id, row.Value); err != nil {
			return err
		}
	}
	if is.Kind == group {
		return followGroup(tx, account, was.Name, is.Name)
	}
	for _, g := range is.Groups {
		if err := leave(tx, account, g, was.Name); err != nil {
			return err
		}
		if _, err := members.Put(tx, scope(account), memberKey(g, is.Name), mark{}); err != nil {
			return err
		}
	}
	return nil
}

func boundaryOf(e *entity) []string {
	if e.Boundary == "" {
		return nil
	}
	return []string{e.Boundary}
}

// DeleteUser deletes a user without keys, policies and groups.
func (s *Service) DeleteUser(ctx context.Context, in *api.DeleteUserInput) (*api.DeleteUserOutput, error) {
	err := s.remove(ctx, user, *in.UserName, func(_ store.Tx, e *entity) error {
		switch {
		case len(e.Keys) > 0:
			return conflict("Cannot delete entity, must delete access keys first.")
		case len(e.Groups) > 0:
			return conflict("Cannot delete entity, must remove users from group first.")
		}
		return nil
	})
	return answer(&api.DeleteUserOutput{}, err)
}

// sameName finds a name in a list in which case does not count.
func sameName(list []string, name string) int {
	return slices.IndexFunc(list, func(s string) bool { return strings.EqualFold(s, name) })
}
