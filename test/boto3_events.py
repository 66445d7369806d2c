"""Drives a queue that feeds a function with the real boto3: batches that fail in part, a concurrency that is not exceeded.
Arguments: the function, the queue to which it reports."""

import json
import sys
import time

import boto3
from checks import CONFIG, check

FUNCTION, PROCESSED = sys.argv[1:]
sqs = boto3.client("sqs", config=CONFIG)
lambda_ = boto3.client("lambda", config=CONFIG)


def patiently(what, is_so):
    deadline = time.monotonic() + 120
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"{what} never came true")
        time.sleep(0.05)


def counts(url):
    a = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"]


def feed(name, **options):
    """A queue that feeds the function."""
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    made = lambda_.create_event_source_mapping(FunctionName=FUNCTION, EventSourceArn=arn, **options)
    check({k: made[k] for k in options}, options, "options of the mapping")
    patiently("the mapping", lambda: lambda_.get_event_source_mapping(UUID=made["UUID"])["State"] == "Enabled")
    return url


def send(url, *bodies):
    out = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": b} for i, b in enumerate(bodies)])
    check("Failed" in out, False, "failed")


def reports(n):
    got = []
    deadline = time.monotonic() + 120
    while len(got) < n:
        check(time.monotonic() < deadline, True, f"reports in time, after {len(got)}")
        for m in sqs.receive_message(QueueUrl=PROCESSED, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", []):
            sqs.delete_message(QueueUrl=PROCESSED, ReceiptHandle=m["ReceiptHandle"])
            got.append(json.loads(m["Body"]))
    return got


work = feed("boto3-work", BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"])
send(work, "good-1", "bad-2", "good-3", "good-4", "good-5")
first = {r["body"]: r for r in reports(5)}
check({b: r["count"] for b, r in first.items()}, {"good-1": "1", "bad-2": "1", "good-3": "1", "good-4": "1", "good-5": "1"}, "the batch")
patiently("one message that is in flight", lambda: counts(work) == ("0", "1"))
sqs.change_message_visibility(QueueUrl=work, ReceiptHandle=first["bad-2"]["handle"], VisibilityTimeout=0)
check([(r["body"], r["count"]) for r in reports(1)], [("bad-2", "2")], "what comes again")
patiently("an empty queue", lambda: counts(work) == ("0", "0"))

few = feed("boto3-few", BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
send(few, *(f"slow-{i}" for i in range(8)))
done = reports(8)
most = max(sum(o["from"] <= r["from"] < o["to"] for o in done) for r in done)
check(most <= 2, True, f"at most two batches under way, and not {most}")
patiently("an empty queue", lambda: counts(few) == ("0", "0"))
print("ok")
