"""Tags of log groups by the real boto3, and what policies make of them. No arguments."""

import json

import boto3
from checks import CONFIG, check, fails, raises

logs = boto3.client("logs", config=CONFIG)
iam = boto3.client("iam", config=CONFIG)
USER = "arn:aws:iam::000000000000:user/blue"
NONE = "The specified log group does not exist."


def arn(group):
    return f"arn:aws:logs:{logs.meta.region_name}:000000000000:log-group:{group}"


def tags(group):
    """Both ops must say the same."""
    by_arn, by_name = logs.list_tags_for_resource(resourceArn=arn(group))["tags"], logs.list_tags_log_group(logGroupName=group)["tags"]
    check(by_arn, by_name, "tags by ARN and by name")
    return by_arn


def denied(action, on, why, call, **kwargs):
    fails("AccessDeniedException", f"User: {USER} is not authorized to perform: logs:{action} on resource: {on} {why}", call, **kwargs)


# As Terraform does it: create with tags, describe, list the tags by the ARN without what is behind the name.
logs.create_log_group(logGroupName="/app/blue", tags={"team": "blue", "Größe": "XL"})
logs.create_log_group(logGroupName="/app/red", tags={"team": "red"})
logs.create_log_group(logGroupName="/app/plain")
described = logs.describe_log_groups(logGroupNamePrefix="/app/blue")["logGroups"][0]
check((described["arn"], described["logGroupArn"]), (arn("/app/blue") + ":*", arn("/app/blue")), "ARNs")
check(logs.list_tags_for_resource(resourceArn=described["logGroupArn"])["tags"], {"team": "blue", "Größe": "XL"}, "tags of a new group")
check(tags("/app/plain"), {}, "no tags")

logs.tag_resource(resourceArn=arn("/app/blue"), tags={"Größe": "", "stage": "dev"})
logs.tag_log_group(logGroupName="/app/blue", tags={"stage": "prod", "x": "1"})
check(tags("/app/blue"), {"team": "blue", "Größe": "", "stage": "prod", "x": "1"}, "tags")
logs.untag_resource(resourceArn=arn("/app/blue"), tagKeys=["Größe", "nothing"])
logs.untag_log_group(logGroupName="/app/blue", tags=["x"])
check(tags("/app/blue"), {"team": "blue", "stage": "prod"}, "fewer tags")
check(tags("/app/red"), {"team": "red"}, "tags of another group")

# Limits and errors.
many = {f"k{i}": "v" for i in range(49)}
logs.tag_resource(resourceArn=arn("/app/red"), tags=many)
response = raises(
    logs, "TooManyTagsException", 400, "A resource can have no more than 50 tags.", logs.tag_resource, resourceArn=arn("/app/red"), tags={"k": "v"},
)
check(response["resourceName"], arn("/app/red"), "whose tags are too many")
logs.untag_resource(resourceArn=arn("/app/red"), tagKeys=list(many))
for call, named in (
    (logs.tag_resource, {"resourceArn": arn("/app/red")}), (logs.tag_log_group, {"logGroupName": "/app/red"}), (logs.create_log_group, {"logGroupName": "/app/no"}),
):
    for bad in ({"k" * 129: "v"}, {"k": "v" * 257}, {"aws:k": "v"}, {"k?": "v"}, {f"k{i}": "v" for i in range(51)}):
        raises(logs, "InvalidParameterException", 400, None, call, tags=bad, **named)
check(tags("/app/red"), {"team": "red"}, "tags after what was refused")
raises(logs, "ResourceNotFoundException", 400, NONE, logs.tag_resource, resourceArn=arn("/app/no"), tags={"k": "v"})
raises(logs, "ResourceNotFoundException", 400, NONE, logs.untag_resource, resourceArn=arn("/app/no"), tagKeys=["k"])
raises(logs, "ResourceNotFoundException", 400, NONE, logs.list_tags_for_resource, resourceArn=arn("/app/no"))
raises(logs, "ResourceNotFoundException", 400, NONE, logs.tag_log_group, logGroupName="/app/no", tags={"k": "v"})
raises(logs, "ResourceNotFoundException", 400, NONE, logs.untag_log_group, logGroupName="/app/no", tags=["k"])
raises(logs, "ResourceNotFoundException", 400, NONE, logs.list_tags_log_group, logGroupName="/app/no")
for bad in ("/app/red", arn("/app/red") + ":log-stream:s", described["arn"]):
    fails("ValidationException", "Invalid resourceArn", logs.list_tags_for_resource, resourceArn=bad)

# A team that works on its own groups and makes more, but does not change whose a group is.
iam.create_user(UserName="blue")
policy = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "logs:*", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}},
    {
        "Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:TagResource"], "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestTag/team": "blue"}, "Null": {"aws:ResourceTag/team": "true"}},
    },
    {"Effect": "Deny", "Action": "logs:Untag*", "Resource": "*", "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "team"}}},
]}
iam.put_user_policy(UserName="blue", PolicyName="own", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="blue")["AccessKey"]
blue = boto3.client("logs", config=CONFIG, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
NOBODY = "because no identity-based policy allows the logs:{} action"
DENY = "with an explicit deny in an identity-based policy"

blue.create_log_group(logGroupName="/app/sky", tags={"team": "blue"})
for bad in ({"tags": {"team": "red"}}, {}):
    denied("CreateLogGroup", arn("/app/sea") + ":log-stream:", NOBODY.format("CreateLogGroup"), blue.create_log_group, logGroupName="/app/sea", **bad)
blue.tag_resource(resourceArn=arn("/app/sky"), tags={"stage": "dev", "x": "1"})
blue.tag_log_group(logGroupName="/app/sky", tags={"y": "2"})
blue.untag_resource(resourceArn=arn("/app/sky"), tagKeys=["x"])
blue.untag_log_group(logGroupName="/app/sky", tags=["y"])
check(blue.list_tags_for_resource(resourceArn=arn("/app/sky"))["tags"], {"team": "blue", "stage": "dev"}, "own tags")
check(blue.list_tags_log_group(logGroupName="/app/sky")["tags"], {"team": "blue", "stage": "dev"}, "own tags by name")
denied("UntagResource", arn("/app/sky"), DENY, blue.untag_resource, resourceArn=arn("/app/sky"), tagKeys=["stage", "team"])
denied("UntagLogGroup", arn("/app/sky") + ":log-stream:", DENY, blue.untag_log_group, logGroupName="/app/sky", tags=["team"])
for other in ("/app/red", "/app/plain", "/app/no"):
    denied("ListTagsForResource", arn(other), NOBODY.format("ListTagsForResource"), blue.list_tags_for_resource, resourceArn=arn(other))
    denied("ListTagsLogGroup", arn(other) + ":log-stream:", NOBODY.format("ListTagsLogGroup"), blue.list_tags_log_group, logGroupName=other)
    denied("DeleteLogGroup", arn(other) + ":log-stream:", NOBODY.format("DeleteLogGroup"), blue.delete_log_group, logGroupName=other)
denied("TagResource", arn("/app/red"), NOBODY.format("TagResource"), blue.tag_resource, resourceArn=arn("/app/red"), tags={"team": "blue"})

# What a policy says about a group follows its tags at once.
logs.tag_resource(resourceArn=arn("/app/red"), tags={"team": "blue"})
blue.delete_log_group(logGroupName="/app/red")
logs.create_log_group(logGroupName="/app/red")
check(tags("/app/red"), {}, "tags of a group made anew")
print("ok")
