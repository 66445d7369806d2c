"""Decrypts its own variable, as the code does that the console offers for encrypted variables."""

import os
from base64 import b64decode

import boto3
from botocore.exceptions import ClientError

kms = boto3.client("kms")


def handler(event, context):
    try:
        secret = kms.decrypt(
            CiphertextBlob=b64decode(os.environ["SECRET"]),
            EncryptionContext={"LambdaFunctionName": os.environ["AWS_LAMBDA_FUNCTION_NAME"]},
        )["Plaintext"].decode()
    except ClientError as e:
        return {"code": e.response["Error"]["Code"], "message": e.response["Error"].get("Message", "")}
    return {"secret": secret}
