// Package event delivers what a transaction emitted, at least once, and says so.
//
// A service emits a [Delivery] in the transaction whose state change causes it ([Outbox.Emit]), and wakes the relay when the
// transaction is durable ([Outbox.Wake], a hint: without it the relay finds the delivery a second later). The [Relay] claims it
// under a lease and hands it to the [Handler] of its kind. What follows is one transaction again: the delivery is removed, or due
// again later, or, exhausted, removed while what the handler makes of that (a dead letter, a record for a destination) is
// emitted. A crash between any two steps repeats a step and never loses one.
//
// What is on somebody's way to an answer is emitted by [Outbox.Begin]: if there will soon be a place for it in this process, the
// transaction that emits it claims it too, and it is not read again. Deliveries that end at about the same time are settled in one
// transaction: a crash repeats those of the last hundredth of a second.
//
// Deliveries of one kind to one target are a lane. Lanes never wait for each other: each has its own places, and a target that
// hangs holds only those. Within a lane, deliveries of one group are in order: the next is tried when the one before is done.
//
// Payloads are sealed on the disk.
package event
