import json
import os
import random
import time
import urllib.request
import uuid

from snapshot_restore_py import register_after_restore, register_before_snapshot

made = time.time()
random.seed(1)
told = []


@register_before_snapshot
def before():
    told.append("before")


@register_after_restore
def after():
    told.append("after")
    if os.path.exists(os.path.join(os.environ["LAMBDA_TASK_ROOT"], "fail-after-restore")):
        raise RuntimeError("no luck")


def credentials():
    request = urllib.request.Request(
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    )
    return json.load(urllib.request.urlopen(request))


credentials()  # those of the sandbox that is stored


def handler(event, context):
    time.sleep(event.get("sleep", 0))  # so that another invocation needs another sandbox
    return {
        "told": ",".join(told), "made": str(made), "now": time.time(), "credentials": credentials(),
        "differ": [str(random.random()), str(uuid.uuid4()), os.urandom(8).hex(), context.log_stream_name],
    }
