"""Drives IAM with the real boto3: users, groups, roles, policies, keys, and what they come to. No arguments."""

import csv
import io
import json
import time

import boto3
from checks import CONFIG, check, fails, raises

ACCOUNT = "000000000000"
iam = boto3.client("iam", config=CONFIG)


def arn(resource):
    return f"arn:aws:iam::{ACCOUNT}:{resource}"


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **more):
    return document({"Effect": "Allow", "Action": action, "Resource": resource, **more})


def text(doc):
    return json.dumps(doc)


def signed(key, service="lambda"):
    return boto3.client(
        service, config=CONFIG, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
    )


def pages(operation, member, **kwargs):
    """All items, one a page."""
    found = [i for page in iam.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1}, **kwargs) for i in page[member]]
    whole = getattr(iam, operation)(**kwargs)
    check((found, whole["IsTruncated"]), (whole[member], False), f"pages of {operation}")
    return found


# Users: paths, tags, what is there twice and what is not there.
made = iam.create_user(UserName="Alice", Path="/team/blue/", Tags=[{"Key": "Stage", "Value": "dev"}])
user = made["User"]
check((user["Arn"], user["Path"], user["Tags"]), (arn("user/team/blue/Alice"), "/team/blue/", [{"Key": "Stage", "Value": "dev"}]), "a made user")
check((user["UserId"][:4], len(user["UserId"])), ("AIDA", 21), "a user's id")
iam.get_waiter("user_exists").wait(UserName="Alice")
raises(iam, "EntityAlreadyExistsException", 409, "User with name Alice already exists.", iam.create_user, UserName="Alice")
raises(iam, "EntityAlreadyExistsException", 409, "User with name alice already exists.", iam.create_user, UserName="alice")
raises(iam, "NoSuchEntityException", 404, "The user with name nobody cannot be found.", iam.get_user, UserName="nobody")
fails("ValidationError", None, iam.create_user, UserName="no spaces")
for name in ("bob", "carol"):
    iam.create_user(UserName=name)
check([u["UserName"] for u in pages("list_users", "Users")], ["Alice", "bob", "carol"], "users")
check([u["UserName"] for u in iam.list_users(PathPrefix="/team/")["Users"]], ["Alice"], "users below a path")
iam.tag_user(UserName="Alice", Tags=[{"Key": "Stage", "Value": "prod"}, {"Key": "Owner", "Value": "me"}])
iam.untag_user(UserName="Alice", TagKeys=["Owner"])
check(pages("list_user_tags", "Tags", UserName="Alice"), [{"Key": "Stage", "Value": "prod"}], "tags")
raises(
    iam, "InvalidInputException", 400, None, iam.tag_user, UserName="Alice",
    Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}],
)

# Access keys: the secret is told once; two are enough.
key = iam.create_access_key(UserName="Alice")["AccessKey"]
check((key["AccessKeyId"][:4], len(key["AccessKeyId"]), len(key["SecretAccessKey"]), key["Status"]), ("AKIA", 20, 40, "Active"), "a key")
shown = iam.list_access_keys(UserName="Alice")["AccessKeyMetadata"]
check([sorted(k) for k in shown], [["AccessKeyId", "CreateDate", "Status", "UserName"]], "what lists show of a key")
second = iam.create_access_key(UserName="Alice")["AccessKey"]
raises(iam, "LimitExceededException", 409, "Cannot exceed quota for AccessKeysPerUser: 2", iam.create_access_key, UserName="Alice")
iam.delete_access_key(UserName="Alice", AccessKeyId=second["AccessKeyId"])
fails("InvalidClientTokenId", "The security token included in the request is invalid.", signed(second, "sts").get_caller_identity)
raises(
    iam, "NoSuchEntityException", 404, f"The Access Key with id {second['AccessKeyId']} cannot be found.",
    iam.delete_access_key, UserName="Alice", AccessKeyId=second["AccessKeyId"],
)
check(signed(key, "sts").get_caller_identity()["Arn"], user["Arn"], "who the key is")
used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
check((used["UserName"], used["AccessKeyLastUsed"]["ServiceName"], used["AccessKeyLastUsed"]["Region"]), ("Alice", "sts", "us-east-1"), "last use")

# Groups give what they are allowed to their users, at the next request.
iam.create_group(GroupName="readers")
iam.put_group_policy(GroupName="readers", PolicyName="read", PolicyDocument=text(allow("lambda:List*")))
alice = signed(key)
denied = (
    f"User: {user['Arn']} is not authorized to perform: lambda:ListFunctions on resource: * "
    "because no identity-based policy allows the lambda:ListFunctions action"
)
fails("AccessDeniedException", denied, alice.list_functions)
iam.add_user_to_group(GroupName="readers", UserName="Alice")
alice.list_functions()
check([g["GroupName"] for g in pages("list_groups_for_user", "Groups", UserName="Alice")], ["readers"], "groups of a user")
check([u["UserName"] for u in iam.get_group(GroupName="readers")["Users"]], ["Alice"], "users of a group")
raises(iam, "DeleteConflictException", 409, "Cannot delete entity, must remove users from group first.", iam.delete_group, GroupName="readers")
iam.remove_user_from_group(GroupName="readers", UserName="Alice")
fails("AccessDeniedException", denied, alice.list_functions)

# Managed policies have versions, five at most; the default one counts.
policy = iam.create_policy(
    PolicyName="lister", Path="/p/", PolicyDocument=text(allow("lambda:GetFunction")), Description="d", Tags=[{"Key": "k", "Value": "v"}],
)["Policy"]
check((policy["Arn"], policy["DefaultVersionId"], policy["AttachmentCount"], policy["PolicyId"][:4]), (arn("policy/p/lister"), "v1", 0, "ANPA"), "a policy")
raises(
    iam, "EntityAlreadyExistsException", 409, "A policy called lister already exists. Duplicate names are not allowed.",
    iam.create_policy, PolicyName="lister", PolicyDocument=text(allow("lambda:GetFunction")),
)
iam.attach_user_policy(UserName="Alice", PolicyArn=policy["Arn"])
fails("AccessDeniedException", denied, alice.list_functions)
version = iam.create_policy_version(PolicyArn=policy["Arn"], PolicyDocument=text(allow("lambda:ListFunctions")), SetAsDefault=True)["PolicyVersion"]
check((version["VersionId"], version["IsDefaultVersion"]), ("v2", True), "the second version")
alice.list_functions()
read = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v2")["PolicyVersion"]["Document"]
check(read, allow("lambda:ListFunctions"), "a version's document, decoded by boto3")
iam.set_default_policy_version(PolicyArn=policy["Arn"], VersionId="v1")
fails("AccessDeniedException", denied, alice.list_functions)
iam.set_default_policy_version(PolicyArn=policy["Arn"], VersionId="v2")
for _ in range(3):
    iam.create_policy_version(PolicyArn=policy["Arn"], PolicyDocument=text(allow("s3:*")))
raises(
    iam, "LimitExceededException", 409,
    "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
    iam.create_policy_version, PolicyArn=policy["Arn"], PolicyDocument=text(allow("s3:*")),
)
raises(
    iam, "DeleteConflictException", 409, "Cannot delete the default version of a policy.",
    iam.delete_policy_version, PolicyArn=policy["Arn"], VersionId="v2",
)
check([v["VersionId"] for v in pages("list_policy_versions", "Versions", PolicyArn=policy["Arn"])], ["v5", "v4", "v3", "v2", "v1"], "versions")
raises(
    iam, "DeleteConflictException", 409, "Cannot delete a policy attached to entities.", iam.delete_policy, PolicyArn=policy["Arn"],
)
entities = iam.list_entities_for_policy(PolicyArn=policy["Arn"])
check([u["UserName"] for u in entities["PolicyUsers"]], ["Alice"], "whom a policy is attached to")
raises(
    iam, "NoSuchEntityException", 404, f"Policy {arn('policy/none')} does not exist or is not attachable.",
    iam.attach_user_policy, UserName="Alice", PolicyArn=arn("policy/none"),
)
raises(
    iam, "NoSuchEntityException", 404, f"Policy {arn('policy/none')} was not found.", iam.get_policy, PolicyArn=arn("policy/none"),
)
check(iam.get_policy(PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")["Policy"]["IsAttachable"], True, "a policy of AWS's")
check([p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]], ["lister"], "own policies")
everything = [p["Arn"] for page in iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 7}) for p in page["Policies"]]
check((policy["Arn"] in everything, len(everything) == len(set(everything)), len(everything) > 10), (True, True, True), "pages of policies")

# Documents that are none, in IAM's words.
for bad, message in (
    ("{", "Syntax errors in policy."),
    (text({"Version": "2012-10-17", "Statement": []}), None),
    (text({"Version": "2011-01-01", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}), None),
    (text(allow("*", Principal="*")), "Policy document should not specify a principal."),
    (text(allow("nocolon")), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."),
    (text(document({"Effect": "Allow", "Action": "s3:*"})), "Policy statement must contain resources."),
    (text(document({"Effect": "Allow", "Resource": "*"})), "Policy statement must contain actions."),
    (text(allow("s3:*", "bucket")), 'Resource bucket must be in ARN format or "*".'),
    (text(allow("s3:*", Condition={"StringIs": {"aws:username": "x"}})), None),
):
    raises(iam, "MalformedPolicyDocumentException", 400, message, iam.put_user_policy, UserName="Alice", PolicyName="bad", PolicyDocument=bad)
raises(
    iam, "LimitExceededException", 409, "Maximum policy size of 2048 bytes exceeded for user Alice", iam.put_user_policy,
    UserName="Alice", PolicyName="long", PolicyDocument=text(allow(["s3:GetObject"] * 200)),
)
raises(
    iam, "LimitExceededException", 409, "Cannot exceed quota for PolicySize: 6144", iam.create_policy,
    PolicyName="long", PolicyDocument=text(allow([f"s3:GetObject{i}" for i in range(500)])),
)

# Inline policies.
iam.put_user_policy(UserName="Alice", PolicyName="own", PolicyDocument=text(allow("iam:GetUser", arn("user/*"))))
check(pages("list_user_policies", "PolicyNames", UserName="Alice"), ["own"], "inline policies")
check(iam.get_user_policy(UserName="Alice", PolicyName="own")["PolicyDocument"], allow("iam:GetUser", arn("user/*")), "an inline policy")
raises(
    iam, "NoSuchEntityException", 404, "The user policy with name none cannot be found.", iam.get_user_policy,
    UserName="Alice", PolicyName="none",
)
check(signed(key, "iam").get_user()["User"]["UserName"], "Alice", "oneself")

# A boundary: what it does not allow is denied, whatever else allows it.
edge = iam.create_policy(PolicyName="edge", PolicyDocument=text(allow("iam:*")))["Policy"]["Arn"]
iam.put_user_permissions_boundary(UserName="Alice", PermissionsBoundary=edge)
check(
    iam.get_user(UserName="Alice")["User"]["PermissionsBoundary"],
    {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": edge}, "a boundary",
)
fails(
    "AccessDeniedException", denied.replace("no identity-based policy", "no permissions boundary"), alice.list_functions,
)
simulated = iam.simulate_principal_policy(PolicySourceArn=user["Arn"], ActionNames=["lambda:ListFunctions", "iam:GetUser"])["EvaluationResults"]
check(
    [(r["EvalActionName"], r["EvalDecision"], r.get("PermissionsBoundaryDecisionDetail")) for r in simulated],
    [("lambda:ListFunctions", "implicitDeny", {"AllowedByPermissionsBoundary": False}), ("iam:GetUser", "implicitDeny", {"AllowedByPermissionsBoundary": True})],
    "a simulation within a boundary",
)
raises(iam, "DeleteConflictException", 409, None, iam.delete_policy, PolicyArn=edge)
iam.delete_user_permissions_boundary(UserName="Alice")
raises(
    iam, "NoSuchEntityException", 404, None, iam.put_user_permissions_boundary, UserName="Alice", PermissionsBoundary=arn("policy/none"),
)
alice.list_functions()

# Simulation tells what decided.
result = iam.simulate_principal_policy(
    PolicySourceArn=user["Arn"], ActionNames=["iam:GetUser"], ResourceArns=[user["Arn"], arn("role/x")],
)["EvaluationResults"]
check([(r["EvalResourceName"], r["EvalDecision"]) for r in result], [(user["Arn"], "allowed"), (arn("role/x"), "implicitDeny")], "a simulation")
check(result[0]["MatchedStatements"][0]["SourcePolicyId"], "user_Alice_own", "the statement that allows")
result = iam.simulate_custom_policy(
    PolicyInputList=[text(document(
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:Delete*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:username": "${aws:PrincipalTag/owner}"}}},
    ))],
    ActionNames=["s3:GetObject", "s3:DeleteObject"],
    ContextEntries=[{"ContextKeyName": "aws:username", "ContextKeyValues": ["x"], "ContextKeyType": "string"}],
)["EvaluationResults"]
check([r["EvalDecision"] for r in result][0], "allowed", "a simulated custom policy")
check(iam.get_context_keys_for_principal_policy(PolicySourceArn=user["Arn"])["ContextKeyNames"], [], "context keys")
raises(
    iam, "NoSuchEntityException", 404, None, iam.simulate_principal_policy, PolicySourceArn=arn("user/nobody"), ActionNames=["s3:GetObject"],
)

# Roles.
trust = document({"Effect": "Allow", "Principal": {"AWS": user["Arn"]}, "Action": "sts:AssumeRole"})
role = iam.create_role(RoleName="worker", Path="/r/", AssumeRolePolicyDocument=text(trust), MaxSessionDuration=7200, Description="works")["Role"]
check((role["Arn"], role["RoleId"][:4], role["AssumeRolePolicyDocument"]), (arn("role/r/worker"), "AROA", trust), "a role")
iam.get_waiter("role_exists").wait(RoleName="worker")
raises(iam, "EntityAlreadyExistsException", 409, "Role with name worker already exists.", iam.create_role, RoleName="worker", AssumeRolePolicyDocument=text(trust))
raises(
    iam, "MalformedPolicyDocumentException", 400, "Has prohibited field Resource", iam.create_role, RoleName="bad",
    AssumeRolePolicyDocument=text(allow("sts:AssumeRole", Principal={"AWS": "*"})),
)
raises(
    iam, "MalformedPolicyDocumentException", 400, f'Invalid principal in policy: "AWS":"{arn("user/nobody")}"', iam.create_role, RoleName="bad",
    AssumeRolePolicyDocument=text(document({"Effect": "Allow", "Principal": {"AWS": arn("user/nobody")}, "Action": "sts:AssumeRole"})),
)
iam.attach_role_policy(RoleName="worker", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
iam.put_role_policy(RoleName="worker", PolicyName="p", PolicyDocument=text(allow("lambda:*")))
raises(iam, "DeleteConflictException", 409, "Cannot delete entity, must detach all policies first.", iam.delete_role, RoleName="worker")
check(
    pages("list_attached_role_policies", "AttachedPolicies", RoleName="worker"),
    [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}], "policies of a role",
)
iam.update_role(RoleName="worker", MaxSessionDuration=3600)
iam.tag_role(RoleName="worker", Tags=[{"Key": "k", "Value": "v"}])
got = iam.get_role(RoleName="worker")["Role"]
check((got["MaxSessionDuration"], got["Tags"], got["RoleLastUsed"]), (3600, [{"Key": "k", "Value": "v"}], {}), "a role as it is now")
check([r["RoleName"] for r in pages("list_roles", "Roles", PathPrefix="/r/")], ["worker"], "roles")
slr = iam.create_service_linked_role(AWSServiceName="elasticmapreduce.amazonaws.com")["Role"]
check(slr["Path"], "/aws-service-role/elasticmapreduce.amazonaws.com/", "a service-linked role")
raises(iam, "UnmodifiableEntityException", 400, None, iam.delete_role, RoleName=slr["RoleName"])

# The whole account in one answer, by pages too.
details = iam.get_account_authorization_details()
check([u["UserName"] for u in details["UserDetailList"]], ["Alice", "bob", "carol"], "details of users")
mine = details["UserDetailList"][0]
check(
    (mine["UserPolicyList"], mine["AttachedManagedPolicies"], mine["GroupList"]),
    ([{"PolicyName": "own", "PolicyDocument": allow("iam:GetUser", arn("user/*"))}], [{"PolicyName": "lister", "PolicyArn": policy["Arn"]}], []), "a user's details",
)
worker = next(r for r in details["RoleDetailList"] if r["RoleName"] == "worker")
check((worker["AssumeRolePolicyDocument"], worker["RolePolicyList"][0]["PolicyDocument"]), (trust, allow("lambda:*")), "a role's details")
versions = next(p for p in details["Policies"] if p["PolicyName"] == "lister")["PolicyVersionList"]
check([(v["VersionId"], v["IsDefaultVersion"]) for v in versions if v["IsDefaultVersion"]], [("v2", True)], "a policy's details")
paged = [
    (member, item["Arn"]) for page in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2})
    for member in ("GroupDetailList", "RoleDetailList", "UserDetailList", "Policies") for item in page[member]
]
whole = [(member, item["Arn"]) for member in ("GroupDetailList", "RoleDetailList", "UserDetailList", "Policies") for item in details[member]]
check((sorted(paged), len(set(paged))), (sorted(whole), len(whole)), "pages of details")
only = iam.get_account_authorization_details(Filter=["Role"])
check((only["UserDetailList"], len(only["RoleDetailList"]) >= 3), ([], True), "filtered details")

# The credential report.
raises(iam, "CredentialReportNotPresentException", 410, None, iam.get_credential_report)
check(iam.generate_credential_report()["State"], "STARTED", "a report's state")
while iam.generate_credential_report()["State"] != "COMPLETE":
    time.sleep(0.1)
report = list(csv.DictReader(io.StringIO(iam.get_credential_report()["Content"].decode())))
check([r["user"] for r in report], ["<root_account>", "Alice", "bob", "carol"], "who is in the report")
check((report[0]["password_enabled"], report[0]["password_last_changed"]), ("not_supported", "not_supported"), "root in the report")
check(
    (report[1]["arn"], report[1]["access_key_1_active"], report[1]["access_key_1_last_used_region"], report[1]["access_key_2_active"]),
    (user["Arn"], "true", "us-east-1", "false"), "a user in the report",
)

# The account.
iam.create_account_alias(AccountAlias="an-alias")
check(iam.list_account_aliases()["AccountAliases"], ["an-alias"], "aliases")
iam.delete_account_alias(AccountAlias="an-alias")
summary = iam.get_account_summary()["SummaryMap"]
check((summary["Users"], summary["Groups"], summary["Policies"], summary["AccessKeysPerUserQuota"]), (3, 1, 2, 2), "the summary")

# A key that is switched off is refused by the very next request of every protocol, and works again when it is switched on.
iam.update_access_key(UserName="Alice", AccessKeyId=key["AccessKeyId"], Status="Inactive")
invalid = "The security token included in the request is invalid."
fails("UnrecognizedClientException", invalid, alice.list_functions)
fails("UnrecognizedClientException", invalid, signed(key, "kms").list_keys)
fails("InvalidClientTokenId", invalid, signed(key, "iam").get_user)
fails("InvalidClientTokenId", invalid, signed(key, "sts").get_caller_identity)
iam.update_access_key(UserName="Alice", AccessKeyId=key["AccessKeyId"], Status="Active")
alice.list_functions()

# Renaming keeps the identity, its keys and policies.
iam.update_user(UserName="Alice", NewUserName="Alina", NewPath="/")
me = signed(key, "sts").get_caller_identity()
check((me["Arn"], me["UserId"]), (arn("user/Alina"), user["UserId"]), "a renamed user")

# Nothing is deleted that something hangs on.
for message, undo in (
    ("Cannot delete entity, must delete access keys first.", lambda: iam.delete_access_key(UserName="Alina", AccessKeyId=key["AccessKeyId"])),
    ("Cannot delete entity, must detach all policies first.", lambda: iam.detach_user_policy(UserName="Alina", PolicyArn=policy["Arn"])),
    ("Cannot delete entity, must delete policies first.", lambda: iam.delete_user_policy(UserName="Alina", PolicyName="own")),
):
    raises(iam, "DeleteConflictException", 409, message, iam.delete_user, UserName="Alina")
    undo()
iam.delete_user(UserName="Alina")
raises(iam, "DeleteConflictException", 409, None, iam.delete_policy, PolicyArn=policy["Arn"])
for v in ("v1", "v3", "v4", "v5"):
    iam.delete_policy_version(PolicyArn=policy["Arn"], VersionId=v)
iam.delete_policy(PolicyArn=policy["Arn"])
iam.delete_policy(PolicyArn=edge)
# The trust policy still names the user that was, by its id, and nobody who takes its name.
again = iam.create_user(UserName="Alice", Path="/team/blue/")["User"]
check(again["Arn"], user["Arn"], "the ARN of the second Alice")
impostor = iam.create_access_key(UserName="Alice")["AccessKey"]
fails(
    "AccessDenied", f"User: {again['Arn']} is not authorized to perform: sts:AssumeRole on resource: {role['Arn']}",
    signed(impostor, "sts").assume_role, RoleArn=role["Arn"], RoleSessionName="again",
)
check(
    iam.get_role(RoleName="worker")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"AWS": user["UserId"]},
    "a trust policy after its principal was deleted",
)
print("ok")
