"""One order, three functions. Which one this is, its name says."""
import json
import os


def handler(event, context):
    for record in event["Records"]:
        order = json.loads(record["Sns"]["Message"])
        if os.environ.get("BROKEN"):
            raise RuntimeError("the carrier does not answer")
        print(f"{context.function_name} has order {order['id']}")
