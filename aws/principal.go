package aws

import "time"

// PrincipalType is IAM's aws:PrincipalType, and Service for AWS services.
type PrincipalType string

// The types of principal.
const (
	Root        PrincipalType = "Account"
	User        PrincipalType = "User"
	AssumedRole PrincipalType = "AssumedRole"
	Federated   PrincipalType = "FederatedUser"
	ServiceType PrincipalType = "Service"
	Anonymous   PrincipalType = "Anonymous"
)

// Principal is who makes a call. It is shared between calls and never changed once made.
type Principal struct {
	Type        PrincipalType
	Account     string // 12 digits
	Arn         string // "arn:aws:iam::000000000000:root"; of a role session "arn:aws:sts::…:assumed-role/ROLE/SESSION"
	ID          string // aws:userid: the account id of a root user, AIDA… of a user, AROA…:session of a role session
	AccessKeyID string // that signed the request; empty for services
	Service     string // "s3.amazonaws.com" if Type is ServiceType

	// Tags are the aws:PrincipalTag values: of the user or role, session tags over them.
	Tags map[string]string
	// Session is what temporary credentials carry; nil for long-term keys and services.
	Session *Session
}

// Session is what the credentials of STS say beyond who they speak for.
type Session struct {
	Op       string // that made it: "AssumeRole", "GetSessionToken", "GetFederationToken", "AssumeRoleWithWebIdentity"
	Issuer   string // ARN of the role, with its path, or of the user
	IssuerID string // AROA… or AIDA…; a role made anew under the same name has another
	Created  time.Time
	Expires  time.Time

	Policies       []string          // texts of session policies
	PolicyArns     []string          // managed policies as session policies
	Tags           map[string]string // session tags
	TransitiveTags []string          // keys of those that role chaining passes on
	SourceIdentity string
	MFA            bool
	Chained        bool   // made with credentials of another role session
	Provider       string // aws:FederatedProvider: ARN or host of the identity provider
	Subject        string // of the web identity token
	Audience       string // of the web identity token
	FunctionArn    string // lambda:SourceFunctionArn: the function whose environment the credentials were made for
}

// RootOf is the root user of an account.
func RootOf(account, accessKeyID string) *Principal {
	return &Principal{
		Type: Root, Account: account, Arn: "arn:aws:iam::" + account + ":root", ID: account, AccessKeyID: accessKeyID,
	}
}

// ServicePrincipal is an AWS service acting by itself, by its DNS name: "lambda.amazonaws.com".
func ServicePrincipal(name string) *Principal {
	return &Principal{Type: ServiceType, Service: name, Arn: name}
}
