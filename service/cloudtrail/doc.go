// Package cloudtrail implements AWS CloudTrail: the record of every call, and the API that reads it and keeps trails.
//
// What may be relied on:
//
//   - Every call that was authenticated is recorded, allowed or refused, as the record that CloudTrail makes of it.
//   - A state change never survives without its record. [Service.Wrap] puts an intent beside the change, in the same
//     transaction; the writer removes it in the transaction that appends the record; an intent that a crash left over becomes
//     a record at the next start, with "recovered" in its additionalEventData. The one exception are the messages of SQS queues
//     (SendMessage, ReceiveMessage, DeleteMessage, ChangeMessageVisibility and their batches): what they change has no intent, and
//     their data events are written behind, so that those of the last moments before a crash may be missing.
//   - Recording never waits for the disk, unless the memory for it is full: then it waits, and nothing is dropped. Records of
//     calls that changed nothing may be lost with the power of the last moments.
//   - The log of an account is a chain: each chunk has the SHA-256 of the one before it and of its own bytes. The digest, a row
//     with the chain's two ends, is sealed with a key that is not beside the data, so chunks that were changed, left out, put in,
//     or cut off at the end are found: [Verify]. Who can put back an older copy of the whole database is found by comparing
//     digests that were kept elsewhere; [Report] has them.
//   - Secrets, environment variables, code and payloads never reach a record.
//
// Management events are kept for 90 days and data events, as those of Invoke, for 7, unless Deps say otherwise.
//
// Not like AWS: data events (of Invoke, of messages of queues and topics) are recorded without a trail that selects them, and read
// with [Service.Events]; LookupEvents has an event at once and not after minutes; trails, their selectors and their status are
// kept, but nothing is delivered to S3 or to CloudWatch Logs yet, so a trail's bucket is not looked for; there are no organization
// trails, event data stores, channels, insights or imports.
package cloudtrail
