// Command apigen writes Enfold's service contracts: for every folder api/<svc> that holds an ops.txt, Go structs with
// tags, typed errors, the op table, an API interface and an in-process client, from the pinned AWS service model
// api/models/<svc>.json.
//
// Generating needs nothing but this repository and always writes the same bytes:
//
//	go run ./cmd/apigen
//
// It also writes the table of served operations in README.md.
//
// Importing a newer model needs a botocore installation; the copy that is kept has no documentation in it:
//
//	go run ./cmd/apigen -import DIR/botocore/data lambda sts logs
//
// # ops.txt
//
// One served op a line, by its name in the model, with optional overrides: status=204 (HTTP status of success), noauth
// (needs no permission), data (a data event of the audit trail), readonly, maxbody=N (bytes the request body may have).
// A line that starts with "service" sets what holds for the whole service: model=lambda/2015-03-31 (where the import
// finds it), validation=CODE (error code of a constraint violation), typed-errors, untyped=SHAPE,… (errors without "Type" even so), protocols=a,b (more protocols than
// the model names), xmlns=URI (of XML answers), path-member=NAME (a member that query requests may say by their path), denied=CODE
// (what query answers call AccessDenied), raw-text (what is no Unicode is for the service to refuse). What the model has and ops.txt does not name is answered 501 NotImplemented.
// Which ops come without a signature is in the model ("authtype": "none").
//
// # api/models/actions.txt
//
// "SVC OP ACTION RESOURCE" a line: the IAM action and the resource of every op. The resource is "*", an ARN template
// over members of the input ("${Resource}"), a call like functionARN(FunctionName,Qualifier) of a function that is
// written by hand in api/<svc>/resource.go, the same with "impl." before it if the function must ask the service, or
// "method": then the API interface demands a Resources<Op> method.
//
// "SVC OP also ACTION RESOURCE [key=value…] [if=Member]" is a further permission that the op asks for, as iam:PassRole on
// ${Role}: with the named condition keys, for every element if the member is a list, and only if the members that the
// resource names, and the one after "if=", are in the request.
//
// # api/models/overrides.txt
//
// Constraints that AWS's servers enforce and the published model does not have, or has differently, and what models of the
// JSON protocols do not say of the query protocol that older clients speak: names (form=) and error codes (error=).
package main
