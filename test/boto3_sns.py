"""Drives SNS with the real boto3: topics, filters, raw and FIFO delivery, batches, dead letters, paging, errors. No arguments."""

import json

import boto3
from checks import CONFIG, check, fails, raises

ACCOUNT = "000000000000"
sns = boto3.client("sns", config=CONFIG)
sqs = boto3.client("sqs", config=CONFIG)
REGION = sns.meta.region_name


def queue(name, topic="*", **attributes):
    """A queue that the topic may send to: its address and its ARN."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": topic}},
    }]}
    return sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy), **attributes})["QueueUrl"], arn


def receive(url, n, wait=20):
    """n messages, which are deleted."""
    got = []
    while len(got) < n:
        page = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait, AttributeNames=["All"], MessageAttributeNames=["All"])
        check(bool(page.get("Messages")), True, f"messages in {url} after {len(got)}")
        for m in page["Messages"]:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=m["ReceiptHandle"])
            got.append(m)
    return got


def depth(url):
    a = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(a["ApproximateNumberOfMessages"]) + int(a["ApproximateNumberOfMessagesNotVisible"])


# A topic, a queue with a filter, one without, one that gets the bare text.
topic = sns.create_topic(Name="orders", Attributes={"DisplayName": "Orders"}, Tags=[{"Key": "team", "Value": "blue"}])["TopicArn"]
check(topic, f"arn:aws:sns:{REGION}:{ACCOUNT}:orders", "topic")
check(sns.create_topic(Name="orders")["TopicArn"], topic, "the same topic")
check(sns.list_tags_for_resource(ResourceArn=topic)["Tags"], [{"Key": "team", "Value": "blue"}], "tags")
all_url, all_arn = queue("all", topic)
some_url, some_arn = queue("some", topic)
raw_url, raw_arn = queue("raw", topic)
all_sub = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=all_arn)["SubscriptionArn"]
some_sub = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=some_arn, Attributes={
    "FilterPolicy": json.dumps({"kind": ["order", {"prefix": "re"}], "price": [{"numeric": [">", 0, "<=", 100]}]}),
})["SubscriptionArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=raw_arn, Attributes={
    "RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps({"customer": {"country": ["DE", {"anything-but": ["US", "FR"]}]}}),
})
check(len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]), 3, "subscriptions")


def attributes(kind, price):
    return {"kind": {"DataType": "String", "StringValue": kind}, "price": {"DataType": "Number", "StringValue": price}}


sns.publish(TopicArn=topic, Message="one", Subject="S", MessageAttributes=attributes("order", "99.5"))
sns.publish(TopicArn=topic, Message="two", MessageAttributes=attributes("order", "101"))
sns.publish(TopicArn=topic, Message="three", MessageAttributes=attributes("return", "1e1"))
sns.publish(TopicArn=topic, Message=json.dumps({"customer": {"country": "DE"}}), MessageAttributes={"bin": {"DataType": "Binary", "BinaryValue": b"\x02"}})
sns.publish(TopicArn=topic, Message=json.dumps({"customer": {"country": "US"}}))
everything = [json.loads(m["Body"]) for m in receive(all_url, 5)]
check(len({m["MessageId"] for m in everything}), 5, "messages of the queue without a filter")
first = next(m for m in everything if m["Message"] == "one")
check((first["Type"], first["TopicArn"], first["Subject"], first["SignatureVersion"]), ("Notification", topic, "S", "1"), "envelope")
check(first["MessageAttributes"]["price"], {"Type": "Number", "Value": "99.5"}, "attributes in the envelope")
check(sorted(json.loads(m["Body"])["Message"] for m in receive(some_url, 2)), ["one", "three"], "filtered by attributes")
[bare] = receive(raw_url, 1)
check((json.loads(bare["Body"]), bare["MessageAttributes"]), ({"customer": {"country": "DE"}}, {"bin": {"BinaryValue": b"\x02", "DataType": "Binary"}}), "raw")
check((depth(some_url), depth(raw_url)), (0, 0), "what the filters held back")

# Another filter, a batch of which one entry is wrong, and a message for each protocol.
sns.set_subscription_attributes(SubscriptionArn=some_sub, AttributeName="FilterPolicy", AttributeValue=json.dumps({"$or": [{"a": ["x"]}, {"b": [{"exists": True}]}]}))
out = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[
    {"Id": "1", "Message": "a", "MessageAttributes": {"a": {"DataType": "String.Array", "StringValue": '["y","x"]'}}},
    {"Id": "2", "Message": ""},
    {"Id": "3", "Message": json.dumps({"default": "d", "sqs": "for queues"}), "MessageStructure": "json", "MessageAttributes": {"b": {"DataType": "String", "StringValue": "z"}}},
    {"Id": "4", "Message": "c"},
])
check(([e["Id"] for e in out["Successful"]], [(e["Id"], e["Code"], e["SenderFault"]) for e in out["Failed"]]), (["1", "3", "4"], [("2", "InvalidParameter", True)]), "batch")
check(sorted(json.loads(m["Body"])["Message"] for m in receive(some_url, 2)), ["a", "for queues"], "filtered by $or")
receive(all_url, 3)

# A FIFO topic: order in each group, deduplication, sequence numbers, a dead letter.
fifo = sns.create_topic(Name="f.fifo", Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"})["TopicArn"]
fifo_url, fifo_arn = queue("f.fifo", fifo, FifoQueue="true")
dead_url, dead_arn = queue("dead.fifo", fifo, FifoQueue="true")
closed = sqs.create_queue(QueueName="closed.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
sns.subscribe(TopicArn=fifo, Protocol="sqs", Endpoint=fifo_arn, Attributes={"RawMessageDelivery": "true"})
sns.subscribe(TopicArn=fifo, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:closed.fifo", Attributes={
    "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn}),
})
numbers = []
for i in range(12):
    sent = sns.publish(TopicArn=fifo, Message=f"{i:02}", MessageGroupId=f"g{i % 2}")
    numbers.append(sent["SequenceNumber"])
    check(sns.publish(TopicArn=fifo, Message=f"{i:02}", MessageGroupId=f"g{i % 2}")["MessageId"], sent["MessageId"], "the same once more")
check(numbers, sorted(set(numbers)), "sequence numbers")
for url, text in (fifo_url, lambda m: m["Body"]), (dead_url, lambda m: json.loads(m["Body"])["Message"]):
    groups = {}
    for m in receive(url, 12):
        groups.setdefault(m["Attributes"]["MessageGroupId"], []).append(text(m))
    check(groups, {f"g{g}": [f"{i:02}" for i in range(12) if i % 2 == g] for g in (0, 1)}, f"order in {url}")
check(depth(closed), 0, "the queue that lets nobody in")

# Policies, attributes, paging, unsubscribing.
sns.add_permission(TopicArn=topic, Label="other", AWSAccountId=["111122223333"], ActionName=["Publish"])
policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
check(policy["Statement"][1]["Principal"], {"AWS": "arn:aws:iam::111122223333:root"}, "permission")
sns.remove_permission(TopicArn=topic, Label="other")
for i in range(101):
    sns.create_topic(Name=f"page{i}")
pages = [len(p["Topics"]) for p in sns.get_paginator("list_topics").paginate()]
check(pages, [100, 3], "pages of topics")
sns.unsubscribe(SubscriptionArn=all_sub)
raises(sns, "NotFoundException", 404, "Subscription does not exist", sns.get_subscription_attributes, SubscriptionArn=all_sub)

# Refusals, in AWS's words.
fails("NotFound", "Topic does not exist", sns.publish, TopicArn=topic + "x", Message="x")
fails("InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1", sns.publish, TopicArn="x", Message="x")
fails("InvalidParameter", "Invalid parameter: Amazon SNS does not support this protocol string: pigeon", sns.subscribe, TopicArn=topic, Protocol="pigeon", Endpoint="x")
fails("InvalidParameter", "Invalid parameter: SQS endpoint ARN", sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=all_url)
fails("InvalidParameter", 'Invalid parameter: FilterPolicy: suffix match pattern must be a string\n at [Source: (String)"{"key":[{"suffix":100}]}"; line: 1, column: 22]',
      sns.set_subscription_attributes, SubscriptionArn=some_sub, AttributeName="FilterPolicy", AttributeValue='{"key": [{"suffix": 100}]}')
raises(sns, "BatchEntryIdsNotDistinctException", 400, "Two or more batch entries in the request have the same Id.", sns.publish_batch,
       TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "a"}, {"Id": "1", "Message": "b"}])
fails("ParameterValueInvalid", "The message attribute 'a' with type 'String' must use field 'String'.", sns.publish, TopicArn=topic, Message="x",
      MessageAttributes={"a": {"DataType": "String", "BinaryValue": b"x"}})
for url in "http://127.0.0.1:80/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://localhost:9/":
    fails("InvalidParameter", "Invalid parameter: Unreachable Endpoint: the address is not public, and the operator of this server does not allow it",
          sns.subscribe, TopicArn=topic, Protocol="http", Endpoint=url)
sns.delete_topic(TopicArn=topic)
check([s["TopicArn"] for s in sns.list_subscriptions()["Subscriptions"]], [fifo, fifo], "subscriptions that are left")
print("ok")
