// Package sts implements AWS Security Token Service: who the caller is, and temporary credentials.
//
// A session is nothing but its credentials: the session token is the sealed description of whom they speak for, so the
// service keeps no rows and any process with the same root key verifies a token without asking anybody. What a session may
// do is decided at every call from the role or user as it is then: a role that is deleted, or made anew under the same name,
// denies everything; a policy with a condition on aws:TokenIssueTime revokes the sessions before it.
//
// Whether a principal may assume a role is the authorizer's to decide, from the role's trust policy (ResourceGrants) and the
// principal's own policies.
//
// # Not like AWS
//
// There are no MFA devices: SerialNumber and TokenCode are refused. ProvidedContexts are refused. AssumeRoleWithSAML,
// AssumeRoleWithWebIdentity, AssumeRoot and DecodeAuthorizationMessage are not served.
package sts
