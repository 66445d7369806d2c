// Package iam implements AWS IAM: users, groups, roles, access keys, policies, and what they grant.
//
// Every change is durable when its call returns, and holds for the next request: what is cached carries the number of
// changes of its account, and is thrown away when that number is no longer right. Secrets of access keys are sealed at
// rest and are told once, by the call that made them.
//
// Names are not distinguished by case; the spelling given at creation is the one in ARNs, which are what policies see.
//
// Not like AWS: changes hold at once, not after some seconds; there are no passwords, MFA devices, certificates or
// instance profiles; a role or policy does not count as used in another account. Policies on resources and trust policies may name users
// and roles of accounts that this server does not have.
package iam
