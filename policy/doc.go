// Package policy evaluates AWS IAM policies: identity, resource, session policies, permissions boundaries and service
// control policies. It is pure: no I/O, no clock, no globals.
//
// Parse checks the grammar and compiles; Evaluate decides and explains. What a caller may rely on: an explicit Deny always
// wins; the order of policies and statements never matters; matching takes time linear in the text times the pattern,
// whatever the wildcards; a compiled Policy is immutable and safe for concurrent use.
//
// What follows from the principal, aws:PrincipalArn for one, is known here and never asked of Keys.
//
// Not like AWS: a condition's value that its operator cannot read, such as "many" for NumericLessThan, matches nothing rather
// than being undefined; several values of a key and an operator without ForAllValues or ForAnyValue match if any does.
//
// See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
package policy
