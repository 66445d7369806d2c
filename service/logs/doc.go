// Package logs implements Amazon CloudWatch Logs: groups of streams of events.
//
// A group and a stream are records. The events of a stream are chunks of a log of [store.Logs], one chunk for each
// PutLogEvents, and every chunk begins with the stream's totals before it. So the bookkeeping of a stream (how many
// events and bytes, from when until when, last ingested when) is not stored anywhere else: it is what its last chunk
// says, and after a crash the events and their bookkeeping agree by construction. PutLogEvents makes no transaction and
// waits for no disk; events are durable within a second and visible to readers at once.
//
// The events of a stream are read in the order of their timestamps. A chunk whose first event is older than the newest
// event of the stream is late; a stream without late chunks, as those of Lambda functions are, is read chunk by chunk,
// and one with them through a bounded selection.
//
// A deleted group or stream is unlinked in one transaction and left in the trash; the sweeper ([Service.Run]) empties
// it, deletes what is older than its group's retention and counts the bytes of groups.
//
// Groups have tags, and policies may ask for those (aws:ResourceTag); streams have none.
//
// Not like AWS: a group's storedBytes is as of the last sweep, and a stream's timestamps are exact instead of eventually consistent. A question
// mark before a term has no effect in a pattern that also has terms without one, as AWS documents.
package logs
