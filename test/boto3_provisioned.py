"""Drives provisioned concurrency, reserved concurrency and throttling with the real boto3.

Arguments: the runtime of this host's Python, the mark of the functions' environment, and "first" or "again", which comes after a
crash of the server. A function of that server grows by one sandbox in ten seconds, and an account has 500 invocations at once.
"""

import concurrent.futures
import io
import json
import os
import re
import sys
import time
import urllib.request
import zipfile

import boto3
from checks import CONFIG, check, fails, raises

runtime, mark, phase = sys.argv[1:]
client = boto3.client("lambda", config=CONFIG.merge(CONFIG.__class__(max_pool_connections=20)))
ROLE = "arn:aws:iam::000000000000:role/lambda-role"
FN = "provisioned"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:" + FN
CODE = """
import os, time
if os.environ.get("BROKEN"):
    raise RuntimeError("no luck")
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return {"type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "version": context.function_version}
"""


def package():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("index.py", CODE)
    return out.getvalue()


def create(name, **variables):
    """A function with its version 1."""
    client.create_function(
        FunctionName=name, Runtime=runtime, Handler="index.handler", Role=ROLE, Code={"ZipFile": package()}, Timeout=60, Publish=True,
        Environment={"Variables": {"ENFOLD_TEST_MARK": mark, **variables}},
    )
    for qualifier in "$LATEST", "1":
        client.get_waiter("function_active_v2").wait(FunctionName=name, Qualifier=qualifier, WaiterConfig={"Delay": 1})


def invoke(qualifier="$LATEST", name=FN, sleep=0):
    answer = client.invoke(FunctionName=name, Qualifier=qualifier, Payload=json.dumps({"sleep": sleep}))
    payload = json.load(answer["Payload"])
    check("FunctionError" in answer, False, f"{name}:{qualifier} answers {payload}")
    return payload


def at_once(n, **kwargs):
    """Invokes n times at once. The answers, and the Reasons of those that are throttled."""
    def one():
        try:
            return invoke(**kwargs)["type"]
        except client.exceptions.TooManyRequestsException as e:
            check((e.response["Error"]["Message"], e.response["ResponseMetadata"]["HTTPStatusCode"]), ("Rate Exceeded.", 429), "throttling")
            return e.response["Reason"]
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return [f.result() for f in [pool.submit(one) for _ in range(n)]]


def eventually(what, is_):
    for _ in range(600):
        if is_():
            return
        time.sleep(0.1)
    sys.exit(f"not in a minute: {what}")


def provision(n, qualifier="live", name=FN):
    out = client.put_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=n)
    check(out.pop("ResponseMetadata")["HTTPStatusCode"], 202, "status")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", out.pop("LastModified")) is not None, True, "LastModified")
    check(out, {
        "RequestedProvisionedConcurrentExecutions": n, "AvailableProvisionedConcurrentExecutions": 0,
        "AllocatedProvisionedConcurrentExecutions": 0, "Status": "IN_PROGRESS",
    }, "put")


def state(qualifier="live", name=FN):
    return client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)


def ready(n, qualifier="live"):
    eventually(f"{qualifier} is ready", lambda: state(qualifier)["Status"] == "READY")
    out = state(qualifier)
    check((out["RequestedProvisionedConcurrentExecutions"], out["AllocatedProvisionedConcurrentExecutions"],
           out["AvailableProvisionedConcurrentExecutions"], "StatusReason" in out), (n, n, n, False), "what is allocated")


def metric(name):
    """The sum of a metric over all functions."""
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_enfold/metrics") as r:
        lines = r.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("enfold_lambda_" + name + "{"))


def unreserved():
    return client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]


if phase == "again":
    # What was provisioned is made again by a server that starts.
    ready(2)
    check(invoke("live"), {"type": "provisioned-concurrency", "version": "2"}, "after a restart")
    check(unreserved(), 498, "the account's concurrency after a restart")
    out = client.delete_provisioned_concurrency_config(FunctionName=FN, Qualifier="live")
    check(out["ResponseMetadata"]["HTTPStatusCode"], 204, "status")
    raises(client, "ProvisionedConcurrencyConfigNotFoundException", 404, "No Provisioned Concurrency Config found for this function",
           client.get_provisioned_concurrency_config, FunctionName=FN, Qualifier="live")
    eventually("an invocation on demand", lambda: invoke("live")["type"] == "on-demand")
    check(unreserved(), 500, "the account's concurrency")
    for name in FN, "broken", "growing":
        client.delete_function(FunctionName=name)
    fails("ResourceNotFoundException", f"Function not found: {ARN}", client.list_provisioned_concurrency_configs, FunctionName=FN)
    print("ok")
    sys.exit()

# A function's rate of growth.
create("growing")
got = at_once(8, name="growing", sleep=3)
check("ConcurrentInvocationLimitExceeded" in got and "on-demand" in got, True, f"a burst that may grow by one in ten seconds: {got}")

check(client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"], 500, "the account's concurrency")
create(FN)
client.create_alias(FunctionName=FN, Name="live", FunctionVersion="1")
fails("InvalidParameterValueException", "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
      client.put_provisioned_concurrency_config, FunctionName=FN, Qualifier="$LATEST", ProvisionedConcurrentExecutions=1)
fails("ResourceNotFoundException", f"Cannot find alias arn: {ARN}:none",
      client.put_provisioned_concurrency_config, FunctionName=FN, Qualifier="none", ProvisionedConcurrentExecutions=1)
fails("InvalidParameterValueException", "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
      "below its minimum value of [100].", client.put_provisioned_concurrency_config, FunctionName=FN, Qualifier="live", ProvisionedConcurrentExecutions=401)
check(client.list_provisioned_concurrency_configs(FunctionName=FN)["ProvisionedConcurrencyConfigs"], [], "none yet")
provision(1)
ready(1)
check(unreserved(), 499, "the account's concurrency")
check(invoke("live"), {"type": "provisioned-concurrency", "version": "1"}, "the alias")
check(invoke("1"), {"type": "provisioned-concurrency", "version": "1"}, "its version")
raises(client, "ResourceConflictException", 409, "Version is pointed by a Provisioned Concurrency alias",
       client.put_provisioned_concurrency_config, FunctionName=FN, Qualifier="1", ProvisionedConcurrentExecutions=1)

# Beyond it invocations spill over.
eventually("one that spills over", lambda: sorted(set(at_once(2, qualifier="live", sleep=1))) == ["on-demand", "provisioned-concurrency"])
check(metric("provisioned_concurrency_spillover_invocations_total") >= 1, True, "spillover metric")
check(metric("provisioned_concurrency_invocations_total") >= 3, True, "provisioned metric")
check((metric("provisioned_concurrent_executions"), metric("provisioned_concurrency_utilization")), (0, 0), "what is in use")

# Reserved concurrency holds it.
message = " ReservedConcurrentExecutions  0 should not be lower than function's total provisioned concurrency [1]."
fails("InvalidParameterValueException", message, client.put_function_concurrency, FunctionName=FN, ReservedConcurrentExecutions=0)
client.put_function_concurrency(FunctionName=FN, ReservedConcurrentExecutions=1)
message = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
fails("InvalidParameterValueException", message,
      client.put_provisioned_concurrency_config, FunctionName=FN, Qualifier="live", ProvisionedConcurrentExecutions=2)
response = raises(client, "TooManyRequestsException", 429, "Rate Exceeded.", invoke)
check(response["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded", "$LATEST, with all that is reserved provisioned")
check(invoke("live")["type"], "provisioned-concurrency", "the alias")
time.sleep(1)  # the rate of invocations is back
eventually("one of two is throttled", lambda: sorted(at_once(2, qualifier="live", sleep=1)) == [
    "ReservedFunctionConcurrentInvocationLimitExceeded", "provisioned-concurrency"])
client.delete_function_concurrency(FunctionName=FN)

# The alias takes it along.
client.update_function_configuration(FunctionName=FN, Description="second")
client.get_waiter("function_updated_v2").wait(FunctionName=FN, WaiterConfig={"Delay": 1})
check(client.publish_version(FunctionName=FN)["Version"], "2", "version")
provision(2)
client.update_alias(FunctionName=FN, Name="live", FunctionVersion="2")
ready(2)
check(invoke("live"), {"type": "provisioned-concurrency", "version": "2"}, "the alias, moved")
listed = client.list_provisioned_concurrency_configs(FunctionName=FN)["ProvisionedConcurrencyConfigs"]
check([(c["FunctionArn"], c["RequestedProvisionedConcurrentExecutions"], c["Status"]) for c in listed], [(ARN + ":live", 2, "READY")], "the list")

# A function that cannot begin.
create("broken", BROKEN="yes")
provision(1, "1", "broken")
eventually("the allocation fails", lambda: state("1", "broken")["Status"] == "FAILED")
out = state("1", "broken")
check((out["StatusReason"], out["AllocatedProvisionedConcurrentExecutions"]), ("FUNCTION_ERROR_INIT_FAILURE", 0), "why")
client.delete_provisioned_concurrency_config(FunctionName="broken", Qualifier="1")
print("ok")
