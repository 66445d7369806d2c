package accessanalyzer

import (
	"slices"
	"strings"

	"github.com/enfold-run/enfold/policy"
)

// path is a set of actions by which their holder gets more permissions than the policy shows.
type path struct {
	actions []string
	service string // that iam:PassRole must be able to pass to; empty without iam:PassRole
	how     string
}

// paths are known ways of privilege escalation.
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioned.html and the pages of each action.
var paths = []path{
	{[]string{"iam:CreatePolicyVersion"}, "", "writes a new default version of a policy that is attached to its holder"},
	{[]string{"iam:SetDefaultPolicyVersion"}, "", "brings back an earlier, wider version of a policy"},
	{[]string{"iam:AttachUserPolicy"}, "", "attaches AdministratorAccess to a user"},
	{[]string{"iam:AttachGroupPolicy"}, "", "attaches AdministratorAccess to a group"},
	{[]string{"iam:AttachRolePolicy"}, "", "attaches AdministratorAccess to a role"},
	{[]string{"iam:PutUserPolicy"}, "", "writes any inline policy to a user"},
	{[]string{"iam:PutGroupPolicy"}, "", "writes any inline policy to a group"},
	{[]string{"iam:PutRolePolicy"}, "", "writes any inline policy to a role"},
	{[]string{"iam:AddUserToGroup"}, "", "joins a group with more permissions"},
	{[]string{"iam:UpdateAssumeRolePolicy"}, "", "lets its holder assume a role"},
	{[]string{"iam:CreateAccessKey"}, "", "makes keys of another user"},
	{[]string{"iam:CreateLoginProfile"}, "", "sets the password of another user"},
	{[]string{"iam:UpdateLoginProfile"}, "", "changes the password of another user"},
	{[]string{"iam:DeleteRolePermissionsBoundary"}, "", "takes the boundary off a role"},
	{[]string{"iam:DeleteUserPermissionsBoundary"}, "", "takes the boundary off a user"},
	{[]string{"iam:PutRolePermissionsBoundary"}, "", "widens the boundary of a role"},
	{[]string{"iam:PutUserPermissionsBoundary"}, "", "widens the boundary of a user"},
	{[]string{"lambda:UpdateFunctionCode"}, "", "runs its own code with the role of a function"},
	{[]string{passRole, "lambda:CreateFunction"}, "lambda.amazonaws.com", "runs its own code with a role that it passes to a function"},
	{[]string{passRole, "lambda:UpdateFunctionConfiguration"}, "lambda.amazonaws.com", "gives a function another role"},
	{[]string{passRole, "ec2:RunInstances"}, "ec2.amazonaws.com", "starts an instance with a role that it passes"},
	{[]string{passRole, "ecs:RunTask"}, "ecs-tasks.amazonaws.com", "runs a task with a role that it passes"},
	{[]string{passRole, "ecs:RegisterTaskDefinition"}, "ecs-tasks.amazonaws.com", "defines a task with a role that it passes"},
	{[]string{passRole, "cloudformation:CreateStack"}, "cloudformation.amazonaws.com", "makes a stack with a role that it passes"},
	{[]string{passRole, "glue:CreateJob"}, "glue.amazonaws.com", "runs a job with a role that it passes"},
	{[]string{passRole, "states:CreateStateMachine"}, "states.amazonaws.com", "runs a state machine with a role that it passes"},
	{[]string{passRole, "codebuild:CreateProject"}, "codebuild.amazonaws.com", "builds with a role that it passes"},
	{[]string{passRole, "sagemaker:CreateNotebookInstance"}, "sagemaker.amazonaws.com", "opens a notebook with a role that it passes"},
}

// escalation warns of paths that the whole policy opens. Who may do everything needs none, so only that is said then.
func (c *checker) escalation() {
	if st := c.grants("iam:*", ""); st != nil && slices.ContainsFunc(st.Actions, func(a string) bool { return strings.Trim(a, "*") == "" }) &&
		slices.ContainsFunc(st.Resources, func(r string) bool { return strings.Trim(r, "*") == "" }) {
		c.add(st, Finding{Severity: SecurityWarning, Code: "ADMINISTRATOR_ACCESS", Details: "Its holder may do everything."})
		return
	}
	for _, p := range paths {
		var first *policy.Statement
		for _, action := range p.actions {
			service := ""
			if action == passRole {
				service = p.service
			}
			st := c.grants(action, service)
			if st == nil {
				first = nil
				break
			}
			if first == nil {
				first = st
			}
		}
		if first != nil {
			c.add(first, Finding{
				Severity: SecurityWarning, Code: "PRIVILEGE_ESCALATION",
				Details: strings.Join(p.actions, " + ") + ": its holder " + p.how + ".",
			})
		}
	}
}

// grants is the first statement that allows an action on some resource; nil if there is none, or the action is denied on every
// resource whatever the request. Of iam:PassRole, service is whom a role must be passed to.
func (c *checker) grants(action, service string) *policy.Statement {
	var found *policy.Statement
	for _, st := range c.policy.Statements() {
		if !matchesAction(st, action) {
			continue
		}
		if st.Effect == policy.Deny {
			if len(st.Conditions) == 0 && slices.ContainsFunc(st.Resources, func(r string) bool { return strings.Trim(r, "*") == "" }) {
				return nil
			}
			continue
		}
		if found == nil && (service == "" || passesTo(st, service)) {
			found = st
		}
	}
	return found
}

// passesTo says that the statement's conditions, if any, let a role be passed to the service.
func passesTo(st *policy.Statement, service string) bool {
	for _, c := range st.Conditions {
		op := strings.ToLower(c.Operator)
		if strings.EqualFold(c.Key, "iam:PassedToService") && (strings.HasPrefix(op, "stringequals") || strings.HasPrefix(op, "stringlike")) &&
			!slices.ContainsFunc(c.Values, func(v string) bool { return policy.Matches(v, service) }) {
			return false
		}
	}
	return true
}
