package iam

import (
	"context"
	"slices"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

const maxGroupsPerUser = 10

func memberKey(group, user string) string {
	return store.Key(strings.ToLower(group), strings.ToLower(user))
}

// CreateGroup makes an empty group.
func (s *Service) CreateGroup(ctx context.Context, in *api.CreateGroupInput) (*api.CreateGroupOutput, error) {
	e := &entity{Kind: group, Name: *in.GroupName, Path: pathOf(in.Path), ID: newID(groupPrefix), Created: s.clock()}
	if err := s.create(ctx, e); err != nil {
		return nil, err
	}
	return &api.CreateGroupOutput{Group: apiGroup(account(ctx), e)}, nil
}

func apiGroup(account string, e *entity) *api.Group {
	return &api.Group{Path: &e.Path, GroupName: &e.Name, GroupID: &e.ID, Arn: new(e.arn(account)), CreateDate: &e.Created}
}

// GetGroup shows a group and a page of its users.
func (s *Service) GetGroup(ctx context.Context, in *api.GetGroupInput) (*api.GetGroupOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	id := account(ctx)
	out := &api.GetGroupOutput{}
	err = s.db.View(ctx, func(tx store.Tx) error {
		g, err := find(tx, id, group, *in.GroupName)
		if err != nil {
			return err
		}
		out.Group = apiGroup(id, g)
		rows := members.Scan(tx, scope(id), store.Range{Prefix: memberKey(g.Name, ""), After: p.after})
		out.Users, out.Marker, err = collect(rows, p, func(r store.Row[mark]) (*api.User, bool, error) {
			u, err := find(tx, id, user, r.Key[strings.IndexByte(r.Key, 0)+1:])
			if err != nil {
				return nil, false, err
			}
			shown := apiUser(id, u)
			shown.Tags, shown.PermissionsBoundary = nil, nil
			return shown, true, nil
		})
		return err
	})
	out.IsTruncated = new(out.Marker != nil)
	return answer(out, err)
}

// ListGroups lists groups by name.
func (s *Service) ListGroups(ctx context.Context, in *api.ListGroupsInput) (*api.ListGroupsOutput, error) {
	out, marker, err := list(ctx, s, group, in.PathPrefix, in.Marker, in.MaxItems, func(e *entity) *api.Group {
		return apiGroup(account(ctx), e)
	})
	return answer(&api.ListGroupsOutput{Groups: out, IsTruncated: new(marker != nil), Marker: marker}, err)
}

// UpdateGroup renames a group or changes its path.
func (s *Service) UpdateGroup(ctx context.Context, in *api.UpdateGroupInput) (*api.UpdateGroupOutput, error) {
	return answer(&api.UpdateGroupOutput{}, s.rename(ctx, group, *in.GroupName, in.NewGroupName, in.NewPath))
}

// DeleteGroup deletes a group without users and policies.
func (s *Service) DeleteGroup(ctx context.Context, in *api.DeleteGroupInput) (*api.DeleteGroupOutput, error) {
	err := s.remove(ctx, group, *in.GroupName, func(tx store.Tx, e *entity) error {
		n, err := count(tx, members, scope(account(ctx)), memberKey(e.Name, ""))
		if n > 0 {
			return conflict("Cannot delete entity, must remove users from group first.")
		}
		return err
	})
	return answer(&api.DeleteGroupOutput{}, err)
}

// AddUserToGroup gives a user the group's policies. It may be in the group already.
func (s *Service) AddUserToGroup(ctx context.Context, in *api.AddUserToGroupInput) (*api.AddUserToGroupOutput, error) {
	id := account(ctx)
	err := s.edit(ctx, user, *in.UserName, func(tx store.Tx, u *entity) error {
		g, err := find(tx, id, group, *in.GroupName)
		if err != nil || sameName(u.Groups, g.Name) >= 0 {
			return err
		}
		if len(u.Groups) >= maxGroupsPerUser {
			return api.ErrLimitExceeded.Withf("Cannot exceed quota for GroupsPerUser: %d", maxGroupsPerUser)
		}
		u.Groups = append(u.Groups, g.Name)
		_, err = members.Put(tx, scope(id), memberKey(g.Name, u.Name), mark{})
		return err
	})
	return answer(&api.AddUserToGroupOutput{}, err)
}

// RemoveUserFromGroup takes the group's policies from a user.
func (s *Service) RemoveUserFromGroup(ctx context.Context, in *api.RemoveUserFromGroupInput) (*api.RemoveUserFromGroupOutput, error) {
	id := account(ctx)
	err := s.edit(ctx, user, *in.UserName, func(tx store.Tx, u *entity) error {
		if _, err := find(tx, id, group, *in.GroupName); err != nil {
			return err
		}
		at := sameName(u.Groups, *in.GroupName)
		if at < 0 {
			return nil
		}
		u.Groups = slices.Delete(u.Groups, at, at+1)
		return leave(tx, id, *in.GroupName, u.Name)
	})
	return answer(&api.RemoveUserFromGroupOutput{}, err)
}

func leave(tx store.Tx, account, group, user string) error {
	return members.Delete(tx, scope(account), memberKey(group, user))
}

// followGroup makes users know a renamed group under its new name.
func followGroup(tx store.Tx, account, was, is string) error {
	var names []string
	for row, err := range members.Scan(tx, scope(account), store.Range{Prefix: memberKey(was, "")}) {
		if err != nil {
			return err
		}
		names = append(names, row.Key[strings.IndexByte(row.Key, 0)+1:])
	}
	for _, name := range names {
		u, err := find(tx, account, user, name)
		if err != nil {
			return err
		}
		u.Groups[sameName(u.Groups, was)] = is
		if err := put(tx, account, u); err != nil {
			return err
		}
		if err := leave(tx, account, was, name); err != nil {
			return err
		}
		if _, err := members.Put(tx, scope(account), memberKey(is, name), mark{}); err != nil {
			return err
		}
	}
	return nil
}

// ListGroupsForUser lists a user's groups by name.
func (s *Service) ListGroupsForUser(ctx context.Context, in *api.ListGroupsForUserInput) (*api.ListGroupsForUserOutput, error) {
	p, err := pageOf(in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	id := account(ctx)
	out := &api.ListGroupsForUserOutput{Groups: []*api.Group{}}
	err = s.db.View(ctx, func(tx store.Tx) error {
		u, err := find(tx, id, user, *in.UserName)
		if err != nil {
			return err
		}
		names, marker := slicePage(u.Groups, p, strings.ToLower)
		for _, name := range names {
			g, err := find(tx, id, group, name)
			if err != nil {
				return err
			}
			out.Groups = append(out.Groups, apiGroup(id, g))
		}
		out.Marker, out.IsTruncated = marker, new(marker != nil)
		return nil
	})
	return answer(out, err)
}
