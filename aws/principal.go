package aws

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

// Principal is who makes a call.
type Principal struct {
	Type        PrincipalType
	Account     string // 12 digits
	Arn         string // "arn:aws:iam::000000000000:root"
	ID          string // aws:userid: the account id of a root user, AIDA… of a user, AROA…:session of a role session
	AccessKeyID string // that signed the request; empty for services
	Service     string // "s3.amazonaws.com" if Type is ServiceType
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
