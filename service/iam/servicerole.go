package iam

import (
	"context"
	"encoding/json"
	"strings"

	api "github.com/enfold-run/enfold/api/iam"
	"github.com/enfold-run/enfold/store"
)

// servicePolicies are the policies of service-linked roles.
var servicePolicies = map[string]string{
	"lambda.amazonaws.com": "arn:aws:iam::aws:policy/aws-service-role/AWSLambdaServiceRolePolicy",
}

// CreateServiceLinkedRole makes a role that only the service can assume and that only it can change.
func (s *Service) CreateServiceLinkedRole(ctx context.Context, in *api.CreateServiceLinkedRoleInput) (*api.CreateServiceLinkedRoleOutput, error) {
	service := *in.AWSServiceName
	if !strings.HasSuffix(service, ".amazonaws.com") || strings.HasPrefix(service, ".") {
		return nil, api.ErrInvalidInput.Withf("%s is not a valid AWS service name.", service)
	}
	name, path := api.ServiceRole(service, val(in.CustomSuffix))
	trust, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": service}, "Action": []string{"sts:AssumeRole"},
	}}})
	if err != nil {
		return nil, err
	}
	if err := checkTrust(string(trust)); err != nil {
		return nil, err
	}
	e := &entity{
		Kind: role, Name: name, Path: path, ID: newID(rolePrefix), Created: s.clock(), Trust: string(trust),
		Description: val(in.Description), MaxSession: defaultSession, Service: service,
	}
	if arn, ok := servicePolicies[service]; ok {
		e.Attached = []string{arn}
	}
	if err := s.createServiceRole(ctx, e); err != nil {
		return nil, err
	}
	return &api.CreateServiceLinkedRoleOutput{Role: apiRole(account(ctx), e)}, nil
}

func (s *Service) createServiceRole(ctx context.Context, e *entity) error {
	in := account(ctx)
	return s.change(ctx, in, func(tx store.Tx) error {
		if _, err := find(tx, in, role, e.Name); err == nil {
			return api.ErrInvalidInput.Withf("Service role name %s has been taken in this account, please try a different suffix.", e.Name)
		}
		for _, arn := range e.Attached {
			if err := s.use(tx, in, arn, attachment, e); err != nil {
				return err
			}
		}
		if err := put(tx, in, e); err != nil {
			return err
		}
		if err := index(tx, in, e); err != nil {
			return err
		}
		return s.counted(tx, in, func(a *accountRow) error { return a.add(role, 1) })
	})
}

// DeleteServiceLinkedRole deletes a service's role at once; the task that it answers is done.
func (s *Service) DeleteServiceLinkedRole(ctx context.Context, in *api.DeleteServiceLinkedRoleInput) (*api.DeleteServiceLinkedRoleOutput, error) {
	id := account(ctx)
	var task string
	err := s.change(ctx, id, func(tx store.Tx) error {
		e, err := find(tx, id, role, *in.RoleName)
		if err != nil || e.Service == "" {
			return errNoEntity(role, *in.RoleName)
		}
		task = "task" + e.Path + e.Name + "/" + e.ID
		for _, arn := range e.Attached {
			if err := unuse(tx, id, arn, attachment, e); err != nil {
				return err
			}
		}
		return s.drop(tx, id, e)
	})
	return answer(&api.DeleteServiceLinkedRoleOutput{DeletionTaskID: &task}, err)
}

// GetServiceLinkedRoleDeletionStatus tells of a task of DeleteServiceLinkedRole, which is done when it is known.
func (s *Service) GetServiceLinkedRoleDeletionStatus(ctx context.Context, in *api.GetServiceLinkedRoleDeletionStatusInput) (*api.GetServiceLinkedRoleDeletionStatusOutput, error) {
	part := strings.Split(*in.DeletionTaskID, "/") // task, aws-service-role, SERVICE, NAME, ID
	if len(part) != 5 || part[0] != "task" || part[1] != "aws-service-role" || !strings.HasPrefix(part[4], rolePrefix) {
		return nil, api.ErrNoSuchEntity.Withf("Deletion task %s cannot be found.", *in.DeletionTaskID)
	}
	e, err := s.read(ctx, role, part[3])
	if err == nil && e.ID == part[4] {
		return nil, api.ErrNoSuchEntity.Withf("Deletion task %s cannot be found.", *in.DeletionTaskID)
	}
	return &api.GetServiceLinkedRoleDeletionStatusOutput{Status: new(api.DeletionTaskStatusTypeSucceeded)}, nil
}
