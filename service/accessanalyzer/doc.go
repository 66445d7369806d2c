// Package accessanalyzer implements a part of IAM Access Analyzer: policies from what happened, and checks of policies.
//
// What may be relied on:
//
//   - A generated policy allows exactly what the audit trail has of the principal in that time: every action on the resource
//     that the call was authorized on, and nothing else. Calls that were denied are not in it. Actions and resources are never
//     joined so that a pair is allowed which was not seen.
//   - The checks read the policy alone. Who passes them may still be wrong about who should have access.
//
// [Generate], [Unused], [Check], [Public] and [Grants] are pure; [Service] serves them as the API, to which a generation is a
// job that reads the trail in the background.
//
// Not like AWS: the trail is the account's own, with its data events, so the trails and the role of cloudTrailDetails are not
// needed and only their regions count; resources are those that were seen, so there are no placeholders and no service-level
// template. Of the checks of AWS there are those that the code lists; ValidatePolicy has further ones, for privilege
// escalation, public principals, and roles that trust another account without an external id. Analyzers, archive rules and
// findings of external access are not there yet.
package accessanalyzer
