// Drives queues, topics and a function that is fed by a queue with the real AWS SDK for JavaScript. Arguments: the folder that has
// the SDK, the function, the queue to which it reports.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const [sdk, FunctionName, processed] = process.argv.slice(2);
const require = createRequire(sdk + "/");
const q = require("@aws-sdk/client-sqs");
const n = require("@aws-sdk/client-sns");
const l = require("@aws-sdk/client-lambda");

const options = { maxAttempts: 1 };
const clients = { sqs: [q, new q.SQSClient(options)], sns: [n, new n.SNSClient(options)], lambda: [l, new l.LambdaClient(options)] };
const call = (service, name, input) => clients[service][1].send(new clients[service][0][name + "Command"](input));
const sqs = (name, input) => call("sqs", name, input);

async function patiently(what, isSo) {
  for (const deadline = Date.now() + 120_000; !(await isSo()); await sleep(50)) assert.ok(Date.now() < deadline, what + " never came true");
}
const queue = async (QueueName, Attributes) => (await sqs("CreateQueue", { QueueName, Attributes })).QueueUrl;
const arn = (name) => "arn:aws:sqs:us-east-1:000000000000:" + name;
const receive = async (QueueUrl, more) =>
  (await sqs("ReceiveMessage", { QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ["All"], MessageAttributeNames: ["All"], ...more })).Messages ?? [];
async function send(QueueUrl, ...bodies) {
  const out = await sqs("SendMessageBatch", { QueueUrl, Entries: bodies.map((MessageBody, i) => ({ Id: String(i), MessageBody })) });
  assert.deepEqual([out.Successful.length, out.Failed ?? []], [bodies.length, []]);
}
async function counts(QueueUrl) {
  const a = (await sqs("GetQueueAttributes", { QueueUrl, AttributeNames: ["All"] })).Attributes;
  return a.ApproximateNumberOfMessages + " " + a.ApproximateNumberOfMessagesNotVisible;
}
const holds = (url, want) => patiently(want + " in " + url, async () => (await counts(url)) === want);
// take receives so many messages, and deletes them.
async function take(QueueUrl, count) {
  const all = [];
  for (const deadline = Date.now() + 120_000; all.length < count; ) {
    assert.ok(Date.now() < deadline, `${all.length} of ${count} messages in ${QueueUrl}`);
    const got = await receive(QueueUrl, { WaitTimeSeconds: 20 });
    if (got.length) await sqs("DeleteMessageBatch", { QueueUrl, Entries: got.map((m, i) => ({ Id: String(i), ReceiptHandle: m.ReceiptHandle })) });
    all.push(...got);
  }
  return all;
}
const bodies = (all) => all.map((m) => m.Body).sort();

// A standard queue. The SDK compares the digests itself.
const standard = await queue("js-standard", { VisibilityTimeout: "600" });
const sent = await sqs("SendMessage", {
  QueueUrl: standard, MessageBody: "häl\nlo <&> \u2603", MessageAttributes: { b: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255]) } },
});
const [got] = await receive(standard, { WaitTimeSeconds: 20 });
assert.deepEqual([got.MessageId, got.Body, [...got.MessageAttributes.b.BinaryValue]], [sent.MessageId, "häl\nlo <&> \u2603", [0, 255]]);
assert.equal(await counts(standard), "0 1");
await sqs("DeleteMessage", { QueueUrl: standard, ReceiptHandle: got.ReceiptHandle });
await holds(standard, "0 0");
await assert.rejects(sqs("DeleteMessage", { QueueUrl: standard, ReceiptHandle: "x" }), q.ReceiptHandleIsInvalid);
await assert.rejects(sqs("GetQueueUrl", { QueueName: "nowhere" }), (e) => {
  assert.ok(e instanceof q.QueueDoesNotExist);
  assert.equal(e.message, "The specified queue does not exist.");
  return true;
});

// A FIFO queue: duplicates, order, the lock of a group.
const fifo = await queue("js-orders.fifo", { FifoQueue: "true", ContentBasedDeduplication: "true", VisibilityTimeout: "600" });
for (const body of ["a1", "a2", "b1", "a1"]) await sqs("SendMessage", { QueueUrl: fifo, MessageBody: body, MessageGroupId: body[0] });
const first = await receive(fifo);
const groups = { a: [], b: [] };
for (const m of first) groups[m.Attributes.MessageGroupId].push(m.Body);
assert.deepEqual(groups, { a: ["a1", "a2"], b: ["b1"] });
assert.match(first[0].Attributes.SequenceNumber, /^\d{20}$/);
await sqs("SendMessage", { QueueUrl: fifo, MessageBody: "a3", MessageGroupId: "a" });
assert.deepEqual(await receive(fifo), []);
for (const m of first) await sqs("DeleteMessage", { QueueUrl: fifo, ReceiptHandle: m.ReceiptHandle });
assert.deepEqual(bodies(await take(fifo, 1)), ["a3"]);

// A topic with filters, on attributes and on the body.
const Policy = JSON.stringify({
  Version: "2012-10-17", Statement: { Effect: "Allow", Principal: { Service: "sns.amazonaws.com" }, Action: "sqs:SendMessage", Resource: "*" },
});
const { TopicArn } = await call("sns", "CreateTopic", { Name: "js" });
const red = await queue("js-red", { Policy }), large = await queue("js-large", { Policy });
await call("sns", "Subscribe", {
  TopicArn, Protocol: "sqs", Endpoint: arn("js-red"), Attributes: { FilterPolicy: JSON.stringify({ color: ["red", { prefix: "dark" }] }) },
});
await call("sns", "Subscribe", {
  TopicArn, Protocol: "sqs", Endpoint: arn("js-large"),
  Attributes: { FilterPolicyScope: "MessageBody", FilterPolicy: JSON.stringify({ order: { size: [{ numeric: [">", 9] }] } }), RawMessageDelivery: "true" },
});
const publish = (Message, color) => ({ Message, MessageAttributes: { color: { DataType: "String", StringValue: color } } });
await call("sns", "Publish", { TopicArn, ...publish('{"order":{"size":1}}', "red") });
const batch = await call("sns", "PublishBatch", {
  TopicArn, PublishBatchRequestEntries: [
    { Id: "1", ...publish('{"order":{"size":10}}', "blue") }, { Id: "2", ...publish('{"order":{"size":11}}', "darkgreen") }, { Id: "3", Message: "" },
  ],
});
assert.deepEqual([batch.Successful.map((e) => e.Id), batch.Failed.map((e) => [e.Id, e.Code])], [["1", "2"], [["3", "InvalidParameter"]]]);
const notes = (await take(red, 2)).map((m) => JSON.parse(m.Body));
assert.deepEqual(notes.map((m) => m.Message).sort(), ['{"order":{"size":11}}', '{"order":{"size":1}}'].sort());
assert.ok(notes.every((m) => m.TopicArn === TopicArn && m.Type === "Notification" && m.Signature));
assert.deepEqual(bodies(await take(large, 2)), ['{"order":{"size":10}}', '{"order":{"size":11}}']);
await holds(red, "0 0");
await holds(large, "0 0");
await assert.rejects(call("sns", "Publish", { TopicArn: TopicArn + "x", Message: "x" }), n.NotFoundException);

// A queue that feeds the function.
async function feed(name, options) {
  const url = await queue(name, { VisibilityTimeout: "600" });
  const { UUID } = await call("lambda", "CreateEventSourceMapping", { FunctionName, EventSourceArn: arn(name), ...options });
  await patiently("the mapping", async () => (await call("lambda", "GetEventSourceMapping", { UUID })).State === "Enabled");
  return url;
}
const reports = async (count) => (await take(processed, count)).map((m) => JSON.parse(m.Body));

// Of a batch, what failed comes again and the rest does not.
const work = await feed("js-work", { BatchSize: 10, FunctionResponseTypes: ["ReportBatchItemFailures"] });
await send(work, "good-1", "bad-2", "good-3", "good-4", "good-5");
const handled = await reports(5);
assert.deepEqual(handled.map((r) => r.body + " " + r.count).sort(), ["bad-2 1", "good-1 1", "good-3 1", "good-4 1", "good-5 1"]);
await holds(work, "0 1");
await sqs("ChangeMessageVisibility", { QueueUrl: work, ReceiptHandle: handled.find((r) => r.body === "bad-2").handle, VisibilityTimeout: 0 });
assert.deepEqual((await reports(1)).map((r) => r.body + " " + r.count), ["bad-2 2"]);
await holds(work, "0 0");

// A mapping never has more batches under way than it may.
const few = await feed("js-few", { BatchSize: 1, ScalingConfig: { MaximumConcurrency: 2 } });
await send(few, ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => "slow-" + i));
const done = await reports(8);
const most = Math.max(...done.map((r) => done.filter((o) => o.from <= r.from && r.from < o.to).length));
assert.ok(most <= 2, `${most} batches were under way at once`);
await holds(few, "0 0");
console.log("ok");
