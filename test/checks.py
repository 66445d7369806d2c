"""What the flows of boto3 hold answers against."""

import sys

from botocore.config import Config
from botocore.exceptions import ClientError

# No retries, so that every error is seen.
CONFIG = Config(retries={"max_attempts": 1}, read_timeout=60)


def check(got, want, what):
    if got != want:
        sys.exit(f"{what}: got {got!r}, want {want!r}")


def fails(code, message, call, **kwargs):
    """The call must fail with this code and, unless it is None, this message."""
    try:
        call(**kwargs)
    except ClientError as e:
        error = e.response["Error"]
        check((error["Code"], error["Message"]), (code, error["Message"] if message is None else message), "error")
        return e.response
    sys.exit(f"no error, want {code} {message}")


def raises(client, name, status, message, call, **kwargs):
    """The call must raise the client's own exception of that name."""
    try:
        call(**kwargs)
    except getattr(client.exceptions, name) as e:
        response = e.response
        check(
            (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]),
            (status, response["Error"]["Message"] if message is None else message), name,
        )
        return response
    sys.exit(f"no error, want {name} {message}")
