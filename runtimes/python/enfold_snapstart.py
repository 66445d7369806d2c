"""SnapStart: between loading the function and its first event this process is stored, and others go on from there."""

import gc
import os
import sys

BEFORE_ERROR = "Runtime.BeforeSnapshotError"
AFTER_ERROR = "Runtime.AfterRestoreError"


def pause(client, signal, error):
    """Run the hooks before the snapshot, wait to be restored, and run those after it. signal is a path that exists in what was
    restored, or "". error makes the error document of an exception, logs it, and answers its bytes."""
    hooks = sys.modules.get("snapshot_restore_py")  # ours, or what the function brought
    try:
        before = list(hooks.get_before_snapshot()) if hooks else []
        for func, args, kwargs in reversed(before):
            func(*args, **kwargs)
        gc.collect()  # what is stored need not be large
        stream = client.restore_next(signal)
    except Exception as e:
        client.post_init_error(error(e), BEFORE_ERROR)
        sys.exit(64)
    try:
        be_unique(stream)
        after = list(hooks.get_after_restore()) if hooks else []
        for func, args, kwargs in after:
            func(*args, **kwargs)
    except Exception as e:
        client.post_restore_error(error(e), AFTER_ERROR)
        sys.exit(65)


def be_unique(stream):
    """Be no copy of what else was restored: its own log stream, its own random numbers."""
    if stream:
        os.environ["AWS_LAMBDA_LOG_STREAM_NAME"] = stream
    random = sys.modules.get("random")
    if random:
        random.seed()
    tempfile = sys.modules.get("tempfile")
    if tempfile:
        tempfile._name_sequence = None
    ssl = sys.modules.get("_ssl")
    if ssl:
        ssl.RAND_add(os.urandom(64), 64.0)
