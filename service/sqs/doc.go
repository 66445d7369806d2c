// Package sqs implements Amazon SQS: named queues of messages that are hidden while a consumer works on them and come
// back if it does not finish.
//
// What may be relied on:
//
//   - A message that was accepted is on the disk. It is visible, delayed, in flight or gone, and moves between those states
//     only inside a store transaction, so a crash never loses one. Moving to a dead-letter queue is one transaction.
//   - ApproximateReceiveCount goes on in a dead-letter queue; a redrive policy counts the receives of its own queue.
//   - Of a FIFO queue's message group, what was sent first is received first, and nothing of it while some of it is in flight.
//   - Another DelaySeconds of a FIFO queue holds for what waits in it, too: within a minute where that are thousands of messages.
//   - Bodies and attributes are sealed at rest: with a data key of the queue's KMS key, else with a key of Enfold's own.
//   - A receipt handle is bound to its queue and cannot be made up.
//   - A request that waits for messages costs nothing while none come, and is woken by what makes one visible.
//
// The queue's rows are cached; whoever changes one says so inside the transaction that does ([queue.stale]), so that a
// transaction that runs afterwards never goes by an old one.
//
// Not like AWS: the Approximate… attributes are exact, unless counting takes long, as with many delayed messages
// that became due while nobody received: then they may be as old as ten times that.
// MessageGroupId on a standard queue is kept and changes nothing. A ReceiveRequestAttemptId does not outlive a restart. A
// message in flight when its retention ends is removed when it comes back. A message move task that has no destination needs no
// permission to send to the queues that the messages came from. What a message operation changes has no intent in
// the audit trail beside it: its data event may be lost with the power of the last moments.
package sqs
