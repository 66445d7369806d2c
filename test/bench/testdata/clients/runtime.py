"""A runtime of the Lambda Runtime API on http.client, as one writes it: one connection, kept."""

import http.client
import json
import os
import sys
from types import SimpleNamespace

sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])

from lambda_function import lambda_handler

BASE = "/2018-06-01/runtime/invocation/"


def main():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        connection.request("GET", BASE + "next")
        response = connection.getresponse()
        event = json.loads(response.read())
        request_id = response.getheader("Lambda-Runtime-Aws-Request-Id")
        context = SimpleNamespace(function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"], aws_request_id=request_id)
        body = json.dumps(lambda_handler(event, context)).encode("utf-8")
        connection.request("POST", BASE + request_id + "/response", body, {"Content-Type": "application/json"})
        connection.getresponse().read()


main()
