"""Greets: the smallest Lambda function in Python."""


def lambda_handler(event, context):
    return {
        "message": "Hello, %s!" % event.get("name", ""),
        "function": context.function_name,
        "requestId": context.aws_request_id,
    }
