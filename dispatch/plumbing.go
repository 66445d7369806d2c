package dispatch

import "github.com/enfold-run/enfold/aws"

// inHouse says what services of Enfold do for an account in its own name, without a policy of the account's that allows it.
// Everything else that a service does needs the resource's policy, as with AWS.
func inHouse(service, action string) bool {
	switch service {
	case "lambda.amazonaws.com": // writes what functions print
		switch action {
		case "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents":
			return true
		}
	case "sns.amazonaws.com": // what its links ask for, which prove themselves
		return action == "sns:ConfirmSubscription" || action == "sns:Unsubscribe"
	}
	return false
}

// plumbing says that the call is a service's own work for the account that it acts for, on what is this account's. Only code
// inside Enfold can be such a principal: no signature makes one.
func (q *question) plumbing(action, owner string) bool {
	if q.principal.Type != aws.ServiceType {
		return false
	}
	account := q.call.Account
	return account != "" && owner == account && (q.call.SourceAccount == "" || q.call.SourceAccount == account) &&
		inHouse(q.principal.Service, action)
}
