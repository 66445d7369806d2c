import os


def handler(event, context):
    print("hello from the log,", event["name"])
    if event["name"] == "fail":
        raise ValueError("I was told to fail")
    layer = ""
    if os.path.exists("/opt/layer.txt"):
        with open("/opt/layer.txt") as f:
            layer = f.read()
    return {
        "language": "python",
        "hello": event["name"],
        "greeting": os.environ.get("GREETING", ""),
        "layer": layer,
        "version": context.function_version,
        "requestId": context.aws_request_id,
        "secret": os.environ.get("ENFOLD_TEST_HOST_SECRET", ""),
    }
