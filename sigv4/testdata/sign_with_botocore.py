"""Signs requests as boto3 and the AWS CLI do and writes them to botocore.json, for TestBotocore.

    pip install botocore==1.43.11 && python3 sign_with_botocore.py > botocore.json
"""
import datetime
import json
import sys
from unittest import mock

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NOW = datetime.datetime(2024, 2, 29, 23, 59, 59)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "http://127.0.0.1:4566"

REQUESTS = [
    # name, signer, service, region, method, path, params, headers, body, token
    ("list functions", auth.SigV4Auth, "lambda", "eu-central-1", "GET", "/2015-03-31/functions/", {"MaxItems": "10"}, {}, "", None),
    ("invoke", auth.SigV4Auth, "lambda", "us-east-1", "POST", "/2015-03-31/functions/my-function/invocations", {}, {"X-Amz-Log-Type": "Tail", "X-Amz-Client-Context": "e30="}, '{"key": "v\u00e4lue"}', None),
    ("invoke by arn", auth.SigV4Auth, "lambda", "us-east-1", "POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af%3A%24LATEST/invocations", {"Qualifier": "$LATEST"}, {}, "{}", "session+token/=="),
    ("tags", auth.SigV4Auth, "lambda", "us-east-1", "DELETE", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", {"tagKeys": "a b"}, {}, "", None),
    ("query", auth.SigV4Auth, "sts", "us-east-1", "POST", "/", {}, {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "Action=GetCallerIdentity&Version=2011-06-15", None),
    ("json", auth.SigV4Auth, "logs", "ap-south-1", "POST", "/", {}, {"X-Amz-Target": "Logs_20140328.FilterLogEvents", "Content-Type": "application/x-amz-json-1.1"}, '{"logGroupName": "/aws/lambda/f"}', None),
    ("dots and slashes", auth.SigV4Auth, "execute-api", "us-east-1", "GET", "/a//b/../c/./d%20e/", {"z": "1", "A": "2", "a": "~*'()"}, {}, "", None),
    ("s3 put", auth.S3SigV4Auth, "s3", "us-east-1", "PUT", "/bucket/a//b/../c%20d%2B%C3%A9", {}, {"X-Amz-Meta-X": "  a   b "}, "body", None),
    ("s3 list", auth.S3SigV4Auth, "s3", "us-east-1", "GET", "/bucket", {"list-type": "2", "prefix": "a/b c", "delimiter": "/"}, {}, "", None),
    ("presigned", auth.SigV4QueryAuth, "sts", "us-east-1", "GET", "/", {"Action": "GetCallerIdentity", "Version": "2011-06-15"}, {}, "", "session+token/=="),
    ("s3 presigned", auth.S3SigV4QueryAuth, "s3", "us-east-1", "GET", "/bucket/key%20x", {"response-content-type": "text/plain"}, {}, "", None),
]


def sign(name, signer, service, region, method, path, params, headers, body, token):
    request = AWSRequest(method=method, url=HOST + path, params=params, headers=headers, data=body.encode())
    request.context["client_config"] = None
    if body:
        request.headers["Content-Length"] = str(len(body.encode()))
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW, create=True), mock.patch(
        "botocore.compat.get_current_datetime", return_value=NOW, create=True
    ):
        signer(Credentials("AKIDEXAMPLE", SECRET, token), service, region).add_auth(request)
    prepared = request.prepare()
    return {
        "name": name, "service": service, "region": region, "token": token or "", "method": method, "url": prepared.url,
        "header": {k: v.decode() if isinstance(v, bytes) else v for k, v in prepared.headers.items()}, "body": body,
    }


out = [sign(*r) for r in REQUESTS]
for r in out:
    assert "20240229T235959Z" in r["url"] + r["header"].get("X-Amz-Date", ""), "the clock was not held: " + r["name"]
json.dump(out, sys.stdout, indent=1)
print()
