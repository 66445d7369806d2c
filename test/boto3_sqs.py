"""Drives SQS with the real boto3: standard and FIFO queues, dead letters, batches, long polling, policies. No arguments."""

import concurrent.futures
import json
import os
import re
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from checks import CONFIG, check, fails, raises

ACCOUNT = "000000000000"
sqs = boto3.client("sqs", config=CONFIG)
ENDPOINT = sqs.meta.endpoint_url.rstrip("/")


def create(name, **attributes):
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def receive(url, **more):
    more = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"], "MessageAttributeNames": ["All"], **more}
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def bodies(messages):
    return [m["Body"] for m in messages]


def attribute(url, name):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]


def queues():
    url = create("first", VisibilityTimeout="60")
    check(url, f"{ENDPOINT}/{ACCOUNT}/first", "QueueUrl")
    check(create("first", VisibilityTimeout="60"), url, "the same queue again")
    raises(sqs, "QueueNameExists", 400, "A queue already exists with the same name and a different value for attribute VisibilityTimeout",
           sqs.create_queue, QueueName="first", Attributes={"VisibilityTimeout": "61"})
    fails("QueueAlreadyExists", None, sqs.create_queue, QueueName="first", Attributes={"VisibilityTimeout": "61"})
    check(sqs.get_queue_url(QueueName="first")["QueueUrl"], url, "GetQueueUrl")
    raises(sqs, "QueueDoesNotExist", 400, "The specified queue does not exist.", sqs.get_queue_url, QueueName="none")
    fails("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", sqs.get_queue_url, QueueName="none")
    for n in range(3):
        create(f"list-{n}")
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="list-", PaginationConfig={"PageSize": 2})
    check([[u[-6:] for u in p["QueueUrls"]] for p in pages], [["list-0", "list-1"], ["list-2"]], "ListQueues")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "1"})
    check(attribute(url, "DelaySeconds"), "1", "DelaySeconds")
    check(attribute(url, "QueueArn"), f"arn:aws:sqs:us-east-1:{ACCOUNT}:first", "QueueArn")
    raises(sqs, "InvalidAttributeName", 400, "Unknown Attribute Foo.", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Foo": "1"})
    sqs.tag_queue(QueueUrl=url, Tags={"team": "blue", "x": "y"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["x"])
    check(sqs.list_queue_tags(QueueUrl=url)["Tags"], {"team": "blue"}, "tags")
    sqs.delete_queue(QueueUrl=url)
    raises(sqs, "QueueDeletedRecently", 400, None, sqs.create_queue, QueueName="first")


def messages():
    url = create("standard")
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="häl\nlo <&> \u2603", MessageAttributes={"a": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}},
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}})
    got = receive(url)[0]  # boto3 compares the digests itself
    check((got["MessageId"], got["Body"]), (sent["MessageId"], "häl\nlo <&> \u2603"), "message")
    check(got["MessageAttributes"], {"a": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}, "attributes")
    check(got["Attributes"]["AWSTraceHeader"], "Root=1-5759e988-bd862e3fe1be46a994272793", "AWSTraceHeader")
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=0)
    check(receive(url)[0]["Attributes"]["ApproximateReceiveCount"], "2", "receives")
    fails("InvalidParameterValue", None, sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=got["ReceiptHandle"], VisibilityTimeout=1)
    raises(sqs, "ReceiptHandleIsInvalid", 404, None, sqs.delete_message, QueueUrl=url, ReceiptHandle="x")
    raises(sqs, "InvalidMessageContents", 400, None, sqs.send_message, QueueUrl=url, MessageBody="\x01")
    fails("MissingParameter", "The request must contain the parameter MessageBody.", sqs.send_message, QueueUrl=url, MessageBody="")
    big = "x" * (1 << 20)
    sqs.purge_queue(QueueUrl=url)
    raises(sqs, "PurgeQueueInProgress", 403, "Only one PurgeQueue operation on standard is allowed every 60 seconds.", sqs.purge_queue, QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody=big)
    check(bodies(receive(url)), [big], "a message of 1 MiB")
    fails("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
          sqs.send_message, QueueUrl=url, MessageBody=big + "x")


def batches():
    url = create("batch")
    got = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "good", "MessageBody": "a"}, {"Id": "bad", "MessageBody": "\x02"}, {"Id": "late", "MessageBody": "b", "DelaySeconds": 900}])
    check([e["Id"] for e in got["Successful"]], ["good", "late"], "successful")
    check([(e["Id"], e["Code"], e["SenderFault"]) for e in got["Failed"]], [("bad", "InvalidMessageContents", True)], "failed")
    m = receive(url)
    check(bodies(m), ["a"], "messages of the batch")
    handle = m[0]["ReceiptHandle"]
    got = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
        {"Id": "1", "ReceiptHandle": handle, "VisibilityTimeout": 90}, {"Id": "2", "ReceiptHandle": "x", "VisibilityTimeout": 90}])
    check(([e["Id"] for e in got["Successful"]], [e["Code"] for e in got["Failed"]]), (["1"], ["ReceiptHandleIsInvalid"]), "visibility batch")
    got = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": handle}, {"Id": "2", "ReceiptHandle": "x"}])
    check(([e["Id"] for e in got["Successful"]], [e["Id"] for e in got["Failed"]]), (["1"], ["2"]), "delete batch")
    raises(sqs, "EmptyBatchRequest", 400, None, sqs.send_message_batch, QueueUrl=url, Entries=[])
    entries = [{"Id": str(i), "MessageBody": "x"} for i in range(20)]
    raises(sqs, "TooManyEntriesInBatchRequest", 400, "Maximum number of entries per request are 10. You have sent 20.",
           sqs.send_message_batch, QueueUrl=url, Entries=entries)
    raises(sqs, "BatchEntryIdsNotDistinct", 400, "Id 1 repeated.", sqs.send_message_batch, QueueUrl=url, Entries=[entries[1], entries[1]])
    raises(sqs, "InvalidBatchEntryId", 400, None, sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "a b", "MessageBody": "x"}])
    raises(sqs, "BatchRequestTooLong", 400, "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.",
           sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x" * (1 << 19)}, {"Id": "2", "MessageBody": "x" * ((1 << 19) + 1)}])


def fifo():
    url = create("orders.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    first = sqs.send_message(QueueUrl=url, MessageBody="a1", MessageGroupId="a")
    check(re.fullmatch(r"\d{20}", first["SequenceNumber"]) is not None, True, "SequenceNumber")
    again = sqs.send_message(QueueUrl=url, MessageBody="a1", MessageGroupId="a")
    check((again["MessageId"], again["SequenceNumber"]), (first["MessageId"], first["SequenceNumber"]), "a duplicate")
    for body in ("a2", "b1", "a3"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=body[0])
    got = receive(url, MaxNumberOfMessages=2)
    check(bodies(got), ["a1", "a2"], "the first of group a")
    check({k: got[0]["Attributes"][k] for k in ("MessageGroupId", "SequenceNumber")},
          {"MessageGroupId": "a", "SequenceNumber": first["SequenceNumber"]}, "attributes")
    check(bodies(receive(url)), ["b1"], "group a is locked")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])
    check(bodies(receive(url)), [], "group a is still locked")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got[1]["ReceiptHandle"])
    check(bodies(receive(url)), ["a3"], "the rest of group a")
    fails("MissingParameter", "The request must contain the parameter MessageGroupId.", sqs.send_message, QueueUrl=url, MessageBody="x")
    fails("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
          sqs.create_queue, QueueName="x.fifo")
    url = create("attempt.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    sqs.send_message(QueueUrl=url, MessageBody="once", MessageGroupId="a")
    one = receive(url, ReceiveRequestAttemptId="try-1")
    two = receive(url, ReceiveRequestAttemptId="try-1")
    check([m["MessageId"] for m in two], [m["MessageId"] for m in one], "the same attempt")
    check(receive(url, ReceiveRequestAttemptId="try-2"), [], "another attempt")


def dead_letters():
    dead, source = create("dead"), None
    dead_arn = attribute(dead, "QueueArn")
    source = create("source", VisibilityTimeout="0", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": "2"}))
    source_arn = attribute(source, "QueueArn")
    check(sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [source], "sources")
    sent = sqs.send_message(QueueUrl=source, MessageBody="poison")
    for n in ("1", "2"):
        check(receive(source)[0]["Attributes"]["ApproximateReceiveCount"], n, "receives")
    check(receive(source), [], "after two receives")
    got = receive(dead, VisibilityTimeout=0)[0]
    check((got["MessageId"], got["Body"], got["Attributes"]["DeadLetterQueueSourceArn"]), (sent["MessageId"], "poison", source_arn), "dead letter")
    check(got["Attributes"]["ApproximateReceiveCount"], "3", "receives of the dead letter")
    handle = sqs.start_message_move_task(SourceArn=dead_arn)["TaskHandle"]
    deadline = time.monotonic() + 60
    while True:
        task = sqs.list_message_move_tasks(SourceArn=dead_arn)["Results"][0]
        if task["Status"] != "RUNNING" or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    check((task["Status"], task["ApproximateNumberOfMessagesMoved"]), ("COMPLETED", 1), "task")
    got = receive(source)[0]
    check((got["Body"], got["Attributes"]["ApproximateReceiveCount"]), ("poison", "1"), "redriven")
    fails("InvalidParameterValue", "Only active tasks can be cancelled.", sqs.cancel_message_move_task, TaskHandle=handle)
    fails("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.", sqs.start_message_move_task, SourceArn=source_arn)
    raises(sqs, "ResourceNotFoundException", 404, "The resource that you specified for the SourceArn parameter doesn't exist.",
           sqs.start_message_move_task, SourceArn=dead_arn + "x")


def long_poll():
    url = create("poll")
    check(receive(url, WaitTimeSeconds=1), [], "nothing came")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(receive, url, WaitTimeSeconds=20, MaxNumberOfMessages=1) for _ in range(5)]
        start = time.monotonic()
        for n in range(5):
            sqs.send_message(QueueUrl=url, MessageBody=str(n))
        got = sorted(b for w in waiting for b in bodies(w.result()))
        check(got, ["0", "1", "2", "3", "4"], "each waiter gets one")
        check(time.monotonic() - start < 15, True, "woken before the time is over")


def query():
    """An older client: form-encoded, posted to the queue's own address."""
    url = create("query")

    def call(action, to=url, **params):
        body = urllib.parse.urlencode({"Action": action, "Version": "2012-11-05", **params})
        request = AWSRequest("POST", to, data=body, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
        SigV4Auth(boto3.Session().get_credentials(), "sqs", "us-east-1").add_auth(request)
        try:
            with urllib.request.urlopen(urllib.request.Request(to, body.encode(), dict(request.headers))) as r:
                text = r.read().decode()
        except urllib.error.HTTPError as e:
            text = e.read().decode()
        return ET.fromstring(re.sub(r' xmlns="[^"]+"', "", text, count=1))

    sent = call("SendMessage", **{"MessageBody": "by form", "MessageAttribute.1.Name": "n", "MessageAttribute.1.Value.DataType": "String",
                                  "MessageAttribute.1.Value.StringValue": "v"})
    check(len(sent.findtext("SendMessageResult/MD5OfMessageAttributes")), 32, "SendMessage")
    got = call("ReceiveMessage", **{"AttributeName.1": "All", "MessageAttributeName.1": "All", "MaxNumberOfMessages": "1"})
    m = got.find("ReceiveMessageResult/Message")
    check((m.findtext("Body"), m.findtext("MessageAttribute/Name"), m.findtext("MessageAttribute/Value/StringValue")), ("by form", "n", "v"), "ReceiveMessage")
    check({a.findtext("Name"): a.findtext("Value") for a in m.findall("Attribute")}["ApproximateReceiveCount"], "1", "attribute")
    call("DeleteMessage", ReceiptHandle=m.findtext("ReceiptHandle"))
    got = call("GetQueueAttributes", **{"AttributeName.1": "ApproximateNumberOfMessagesNotVisible"})
    check(got.findtext("GetQueueAttributesResult/Attribute/Value"), "0", "deleted")
    got = call("SendMessageBatch", **{
        "SendMessageBatchRequestEntry.1.Id": "x", "SendMessageBatchRequestEntry.1.MessageBody": "1",
        "SendMessageBatchRequestEntry.2.Id": "y", "SendMessageBatchRequestEntry.2.MessageBody": "2"})
    check([e.findtext("Id") for e in got.findall("SendMessageBatchResult/SendMessageBatchResultEntry")], ["x", "y"], "SendMessageBatch")
    made = call("CreateQueue", ENDPOINT + "/", **{"QueueName": "by-form", "Attribute.1.Name": "DelaySeconds", "Attribute.1.Value": "3", "Tag.1.Key": "k", "Tag.1.Value": "v"})
    check(made.findtext("CreateQueueResult/QueueUrl"), f"{ENDPOINT}/{ACCOUNT}/by-form", "CreateQueue")
    check(sqs.list_queue_tags(QueueUrl=made.findtext("CreateQueueResult/QueueUrl"))["Tags"], {"k": "v"}, "tags")
    call("SetQueueAttributes", **{"Attribute.Name": "VisibilityTimeout", "Attribute.Value": "11"})  # without numbers, as in older samples
    got = call("GetQueueAttributes", AttributeName="VisibilityTimeout")
    check(got.findtext("GetQueueAttributesResult/Attribute/Value"), "11", "parameters without numbers")
    gone = call("GetQueueUrl", ENDPOINT + "/", QueueName="nothing")
    check(gone.findtext("Error/Code"), "AWS.SimpleQueueService.NonExistentQueue", "error")


def permissions():
    url = create("shared")
    sqs.add_permission(QueueUrl=url, Label="label", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    policy = json.loads(attribute(url, "Policy"))
    check([(s["Sid"], s["Principal"], s["Action"]) for s in policy["Statement"]],
          [("label", {"AWS": "arn:aws:iam::111122223333:root"}, "SQS:SendMessage")], "policy")
    fails("InvalidParameterValue", "Value label for parameter Label is invalid. Reason: Already exists.",
          sqs.add_permission, QueueUrl=url, Label="label", AWSAccountIds=["111122223333"], Actions=["SendMessage"])
    sqs.remove_permission(QueueUrl=url, Label="label")
    fails("InvalidParameterValue", "Value label for parameter Label is invalid. Reason: can't find label.", sqs.remove_permission, QueueUrl=url, Label="label")
    check("Policy" in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"], False, "no policy is left")

    iam = boto3.client("iam", config=CONFIG)
    iam.create_user(UserName="sender")
    key = iam.create_access_key(UserName="sender")["AccessKey"]
    other = boto3.client("sqs", config=CONFIG, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    fails("AccessDenied", None, other.send_message, QueueUrl=url, MessageBody="x")
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/sender"},
                                                     "Action": "sqs:SendMessage", "Resource": attribute(url, "QueueArn")}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(allow)})
    other.send_message(QueueUrl=url, MessageBody="allowed")
    fails("AccessDenied", None, other.receive_message, QueueUrl=url)
    check(bodies(receive(url)), ["allowed"], "sent by the policy's leave")


def encryption():
    kms = boto3.client("kms", config=CONFIG)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    url = create("sealed", KmsMasterKeyId=key, KmsDataKeyReusePeriodSeconds="60")
    sqs.send_message(QueueUrl=url, MessageBody="secret")
    check(bodies(receive(url, VisibilityTimeout=0)), ["secret"], "sealed with a KMS key")
    check(attribute(url, "SqsManagedSseEnabled"), "false", "SqsManagedSseEnabled")
    managed = create("managed", KmsMasterKeyId="alias/aws/sqs")
    sqs.send_message(QueueUrl=managed, MessageBody="secret")
    check(bodies(receive(managed)), ["secret"], "sealed with the key of SQS")
    kms.disable_key(KeyId=key)
    late = create("late", KmsMasterKeyId=key)
    raises(sqs, "KmsDisabled", 400, None, sqs.send_message, QueueUrl=late, MessageBody="x")


for test in (queues, messages, batches, fifo, dead_letters, long_poll, query, permissions, encryption):
    test()
print("ok")
