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
// # Web identities
//
// AssumeRoleWithWebIdentity comes without a signature: the token of an OpenID Connect provider in it says who calls. The
// provider must be one of the role's account. Its keys are asked for by the issuer's own discovery document, at public
// addresses and by TLS alone, and kept for an hour; tokens that need an unknown key make STS ask again, but not often. A
// certificate that no authority of the system vouches for needs one of the provider's thumbprints in its chain.
//
// # Not like AWS
//
// There are no MFA devices: SerialNumber and TokenCode are refused. ProvidedContexts are refused, and so are the OAuth 2.0
// tokens that ProviderId goes with; nobody asks an identity provider about a token, so that IDPRejectedClaim is never the
// answer. Session tags in a token are read in their nested form only. DecodeAuthorizationMessage opens what this server has
// sealed, and no service here seals its refusals, as with AWS only EC2 and few others do. AssumeRoleWithSAML and AssumeRoot
// are not served.
package sts
