"""Sleeps, and answers how long that took: no sandbox is free again while others still start."""

import time


def lambda_handler(event, context):
    begun = time.monotonic()
    time.sleep(event["seconds"])
    return time.monotonic() - begun
