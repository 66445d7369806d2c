"""Answers with all that a function is given: event, context, environment. What it is asked to do is in event["do"]."""

import os
import sys
import time


def lambda_handler(event, context):
    do = event.get("do") if isinstance(event, dict) else None
    if do == "fail":
        raise ValueError(event.get("message", "failed on request"))
    if do == "exit":
        sys.exit(int(event.get("code", 0)))
    if do == "sleep":
        time.sleep(float(event["seconds"]))
    if do == "print":
        print(event["text"])
    if do == "bytes":
        return "x" * int(event["count"])
    client = context.client_context
    return {
        "event": event,
        "context": {
            "functionName": context.function_name,
            "functionVersion": context.function_version,
            "invokedFunctionArn": context.invoked_function_arn,
            "memoryLimitInMB": context.memory_limit_in_mb,
            "awsRequestId": context.aws_request_id,
            "logGroupName": context.log_group_name,
            "logStreamName": context.log_stream_name,
            "tenantId": getattr(context, "tenant_id", None),
            "custom": client.custom if client else None,
            "remaining": context.get_remaining_time_in_millis(),
        },
        "env": dict(os.environ),
        "cwd": os.getcwd(),
        "version": "%d.%d" % sys.version_info[:2],
    }
