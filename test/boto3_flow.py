"""Drives Enfold with the real boto3. Arguments: the deployment package of a Go function, the mark of its environment."""

import io
import json
import sys
import time
import urllib.request
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

package, mark = sys.argv[1:]
with open(package, "rb") as f:
    code = f.read()
config = Config(retries={"max_attempts": 1}, read_timeout=60)
client = boto3.client("lambda", config=config)
logs = boto3.client("logs", config=config)
ROLE = "arn:aws:iam::000000000000:role/lambda-role"
FN = "boto3-flow"


def check(got, want, what):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def fails(code, message, call, **kwargs):
    try:
        call(**kwargs)
    except ClientError as e:
        check((e.response["Error"]["Code"], e.response["Error"]["Message"]), (code, message), "error")
        return e.response
    sys.exit(f"no error, want {code}")


identity = boto3.client("sts", config=config).get_caller_identity()
check(identity["Arn"], "arn:aws:iam::000000000000:root", "identity")

created = client.create_function(
    FunctionName=FN, Runtime="provided.al2023", Handler="bootstrap", Role=ROLE, Code={"ZipFile": code},
    Environment={"Variables": {"GREETING": "hallo", "ENFOLD_TEST_MARK": mark}}, Tags={"k": "v"},
)
check(created["State"], "Pending", "state")
check(created["ResponseMetadata"]["HTTPStatusCode"], 201, "status")
client.get_waiter("function_active_v2").wait(FunctionName=FN, WaiterConfig={"Delay": 1})

answer = client.invoke(FunctionName=FN, Payload=json.dumps({"name": "Grüße"}), LogType="Tail")
payload = json.load(answer["Payload"])
check((payload["hello"], payload["greeting"], answer["ExecutedVersion"]), ("Grüße", "hallo", "$LATEST"), "invoke")
check(answer["ResponseMetadata"]["RequestId"], payload["requestId"], "request id")
answer = client.invoke(FunctionName=FN, InvocationType="DryRun")
check((answer["StatusCode"], answer["Payload"].read()), (204, b""), "dry run")
answer = client.invoke(FunctionName=FN, Payload=b'{"name":"fail"}')
check((answer["FunctionError"], json.load(answer["Payload"])["errorMessage"]), ("Unhandled", "I was told to fail"), "failure")

# Streaming: a function that does not stream answers in one piece.
events = list(client.invoke_with_response_stream(FunctionName=FN, Payload=b'{"name":"stream"}', LogType="Tail")["EventStream"])
body = b"".join(e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e)
check(json.loads(body)["hello"], "stream", "streamed payload")
check("InvokeComplete" in events[-1] and "LogResult" in events[-1]["InvokeComplete"], True, "the end of a stream")

location = client.get_function(FunctionName=FN)["Code"]["Location"]
with urllib.request.urlopen(location) as r:
    check(r.read(), code, "code")

version = client.publish_version(FunctionName=FN)["Version"]
check(version, "1", "version")
client.create_alias(FunctionName=FN, Name="live", FunctionVersion="1")
check(client.invoke(FunctionName=FN, Qualifier="live", Payload=b'{"name":"x"}')["ExecutedVersion"], "1", "alias")

layer = io.BytesIO()
with zipfile.ZipFile(layer, "w") as z:
    z.writestr("layer.txt", "a layer by boto3")
arn = client.publish_layer_version(LayerName="boto3-layer", Content={"ZipFile": layer.getvalue()})["LayerVersionArn"]
client.update_function_configuration(FunctionName=FN, Layers=[arn])
client.get_waiter("function_updated_v2").wait(FunctionName=FN, WaiterConfig={"Delay": 1})
check(json.load(client.invoke(FunctionName=FN, Payload=b'{"name":"x"}')["Payload"])["layer"], "a layer by boto3", "layer")

names = [f["FunctionName"] for page in client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1}) for f in page["Functions"]]
check(FN in names and len(names) == len(set(names)), True, "pages of functions")

# Terraform asks for this after every creation. There is no configuration, which is no error.
response = client.get_function_code_signing_config(FunctionName=FN)
check((response["ResponseMetadata"]["HTTPStatusCode"], "CodeSigningConfigArn" in response, "FunctionName" in response), (200, False, False), "code signing")
check(client.delete_function_code_signing_config(FunctionName=FN)["ResponseMetadata"]["HTTPStatusCode"], 204, "no code signing")

client.put_function_concurrency(FunctionName=FN, ReservedConcurrentExecutions=0)
response = fails("TooManyRequestsException", "Rate Exceeded.", client.invoke, FunctionName=FN)
check((response["Reason"], response["ResponseMetadata"]["HTTPStatusCode"]), ("ReservedFunctionConcurrentInvocationLimitExceeded", 429), "throttling")
client.delete_function_concurrency(FunctionName=FN)
fails("ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere", client.get_function, FunctionName="nowhere")
fails("ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere", client.get_function_code_signing_config, FunctionName="nowhere")
fails("InvalidParameterException", "The specified nextToken is invalid.", logs.describe_log_groups, nextToken="AAAA")

# The log is there within a moment.
group = "/aws/lambda/" + FN
for _ in range(100):
    try:
        found = [e["message"] for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern='"hello from the log, Grüße"') for e in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        found = []
    if found:
        break
    time.sleep(0.1)
check(found, ["hello from the log, Grüße\n"], "log")
stream = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)["logStreams"][0]
check(stream["arn"], f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:log-stream:{stream['logStreamName']}", "stream")
page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
check(bool(page["events"]), True, "events")
for _ in range(10): # until those of the last invocation are there too
    again = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True, nextToken=page["nextForwardToken"])
    if not again["events"]:
        break
    page = again
check((again["events"], again["nextForwardToken"]), ([], page["nextForwardToken"]), "the end of a stream of logs")

client.delete_function(FunctionName=FN)
fails("ResourceNotFoundException", "Function not found: arn:aws:lambda:us-east-1:000000000000:function:" + FN, client.get_function, FunctionName=FN)
print("ok")
