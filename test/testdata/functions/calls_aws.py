"""Calls AWS with the boto3 of its package, as every function does: no endpoint, no key, no region in the code."""

import os
import socket
import urllib.error
import urllib.request

import boto3
from botocore.exceptions import ClientError

clients = {}


def call(service, operation, **arguments):
    if service not in clients:
        clients[service] = boto3.client(service)
    try:
        answer = getattr(clients[service], operation)(**arguments)
    except ClientError as e:
        error = e.response["Error"]
        return {"status": e.response["ResponseMetadata"]["HTTPStatusCode"], "code": error["Code"], "message": error["Message"]}
    answer["status"] = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    return answer


def get(path):
    """The status of a plain GET at the endpoint, and the beginning of the answer."""
    try:
        with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + path, timeout=5) as answer:
            return {"status": answer.status, "body": answer.read(200).decode()}
    except urllib.error.HTTPError as e:
        return {"status": e.code, "body": e.read(200).decode()}


def connect(host, port):
    """Why there is no way to an address, or nothing if there is."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as e:
        return {"refused": str(e)}
    return {}


def handler(event, context):
    return {"call": call, "get": get, "connect": connect}[event.pop("do")](**event)
