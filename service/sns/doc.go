// Package sns implements Amazon SNS: topics to which messages are published, and subscriptions that each get what their filter
// lets through.
//
// A publish is one transaction: it stores the message as one delivery of the topic's fan-out lane ("sns.publish"), however many
// subscriptions there are. The relay expands it, a bounded number of subscriptions at a time, to a delivery for each that matches
// ("sns.delivery"), in the transaction that ends the piece: a crash repeats a piece and never loses one. Only a subscription that was
// confirmed when the message was published gets it, however late it is expanded. A delivery that is given
// up becomes a dead letter in the transaction that ends it, if the subscription has a queue for that; that of
// a raw subscription is in JSON if the queue refuses its raw form. In a FIFO topic the messages of a group keep their order all the
// way.
//
// Queues and functions get messages by calls of the principal sns.amazonaws.com with the topic's ARN as aws:SourceArn: their own
// policies decide. HTTP endpoints get them signed, by a key that lies sealed and whose certificate the server hands out. They are
// reached at public addresses only, but for those that the operator allows.
//
// Messages of a topic with KmsMasterKeyId lie under a data key of that key until they are delivered. A data key is used for five
// minutes; after that, or a restart, a message is opened with the rights of who published it. One whose key is disabled, or refuses,
// waits; one whose key is gone is lost with it.
//
// How deliveries end is logged to CloudWatch Logs, in the name of the roles that the topic's feedback attributes name ("sns.status");
// who sets a role must be allowed to pass it to SNS. A success sample rate that is not set is 100.
//
// Not like AWS: everything is sealed on the disk, with or without KmsMasterKeyId, and with it subjects and attributes, too; the link that
// unsubscribes holds a token, so that knowing a subscription's ARN is not enough; the links and the certificate are at
// /_enfold/sns/ of this server. SMS, mobile push, Firehose and data protection policies are refused.
package sns
