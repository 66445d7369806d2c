"""Drives STS with the real boto3: roles, sessions, what limits them and what ends them. No arguments."""

import datetime
import json
import sys
import time

import boto3
from checks import CONFIG, check, fails, raises

ACCOUNT = "000000000000"
iam = boto3.client("iam", config=CONFIG)
sts = boto3.client("sts", config=CONFIG)
LIST = "lambda:ListFunctions"


def arn(resource, service="iam"):
    return f"arn:aws:{service}::{ACCOUNT}:{resource}"


def allow(action, resource="*", **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]})


def trust(principal, action="sts:AssumeRole", **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": action, **more}]})


def client(service, credentials):
    return boto3.client(
        service, config=CONFIG, aws_access_key_id=credentials["AccessKeyId"], aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
    )


def denied(who, why, action=LIST, on="*"):
    return f"User: {who} is not authorized to perform: {action} on resource: {on} {why}"


NO_IDENTITY = f"because no identity-based policy allows the {LIST} action"
NO_SESSION = f"because no session policy allows the {LIST} action"


def may_list(credentials):
    client("lambda", credentials).list_functions()


def may_not_list(credentials, who, why):
    fails("AccessDeniedException", denied(who, why), client("lambda", credentials).list_functions)


iam.create_user(UserName="alice", Tags=[{"Key": "team", "Value": "blue"}])
alice_key = iam.create_access_key(UserName="alice")["AccessKey"]
alice = client("sts", alice_key)
ALICE = arn("user/alice")

# A role by its trust policy, with an external id.
role = iam.create_role(
    RoleName="reader", Path="/deep/", MaxSessionDuration=7200,
    AssumeRolePolicyDocument=trust({"AWS": ALICE}, Condition={"StringEquals": {"sts:ExternalId": "eleven"}}),
)["Role"]
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=allow("lambda:*"))
assume = {"RoleArn": role["Arn"], "RoleSessionName": "job"}
refused = f"User: {ALICE} is not authorized to perform: sts:AssumeRole on resource: {role['Arn']}"
fails("AccessDenied", refused, alice.assume_role, **assume)
fails("AccessDenied", refused, alice.assume_role, ExternalId="twelve", **assume)
fails("AccessDenied", f"User: {ALICE} is not authorized to perform: sts:AssumeRole on resource: {arn('role/none')}", alice.assume_role, RoleArn=arn("role/none"), RoleSessionName="job")
assume["ExternalId"] = "eleven"
iam.create_role(RoleName="open", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
whole = {"RoleArn": arn("role/open"), "RoleSessionName": "job"}
fails("AccessDenied", "Roles may not be assumed by root accounts.", sts.assume_role, **whole)
# An account that is trusted decides itself who of it may.
fails("AccessDenied", f"User: {ALICE} is not authorized to perform: sts:AssumeRole on resource: {arn('role/open')}", alice.assume_role, **whole)
iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=allow("sts:AssumeRole", arn("role/open")))
alice.assume_role(**whole)
iam.delete_user_policy(UserName="alice", PolicyName="p")
before = datetime.datetime.now(datetime.timezone.utc)
answer = alice.assume_role(**assume)
first = answer["Credentials"]
JOB = arn("assumed-role/reader/job", "sts")
check(answer["AssumedRoleUser"], {"AssumedRoleId": role["RoleId"] + ":job", "Arn": JOB}, "the assumed role")
check(("PackedPolicySize" in answer, first["AccessKeyId"][:4]), (False, "ASIA"), "the session")
left = (first["Expiration"] - before).total_seconds()
check(3590 < left < 3700, True, f"an hour ({left})")
me = client("sts", first).get_caller_identity()
check((me["Arn"], me["UserId"], me["Account"]), (JOB, role["RoleId"] + ":job", ACCOUNT), "who the session is")
may_list(first)
check(sts.get_access_key_info(AccessKeyId=first["AccessKeyId"])["Account"], ACCOUNT, "whose the key is")
check(sts.get_access_key_info(AccessKeyId=alice_key["AccessKeyId"])["Account"], ACCOUNT, "whose the user's key is")

# How long it may last.
check(
    6000 < (alice.assume_role(DurationSeconds=7200, **assume)["Credentials"]["Expiration"] - before).total_seconds() < 7300, True, "two hours",
)
fails("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", alice.assume_role, DurationSeconds=7201, **assume)
fails("ValidationError", None, alice.assume_role, DurationSeconds=43201, **assume)
fails("ValidationError", None, alice.assume_role, **{**assume, "RoleSessionName": "no spaces"})

# Session policies take away and never give.
narrow = alice.assume_role(Policy=allow("s3:*"), **assume)
check(0 < narrow["PackedPolicySize"] <= 100, True, "the packed size")
may_not_list(narrow["Credentials"], JOB, NO_SESSION)
may_list(alice.assume_role(Policy=allow(LIST), **assume)["Credentials"])
fails(
    "AccessDenied", f"User: {JOB} is not authorized to perform: iam:ListUsers on resource: {arn('user/')} because no identity-based policy allows the iam:ListUsers action",
    client("iam", alice.assume_role(Policy=allow("*"), **assume)["Credentials"]).list_users,
)
read_only = alice.assume_role(PolicyArns=[{"arn": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}], **assume)
may_not_list(read_only["Credentials"], JOB, NO_SESSION)
raises(alice, "MalformedPolicyDocumentException", 400, None, alice.assume_role, Policy="{", **assume)
raises(alice, "PackedPolicyTooLargeException", 400, None, alice.assume_role, Policy=allow(["s3:GetObject"] * 200), **assume)

# Session tags need a permission of their own, and are the principal's tags then.
fails("AccessDenied", f"User: {ALICE} is not authorized to perform: sts:TagSession on resource: {role['Arn']}", alice.assume_role, Tags=[{"Key": "team", "Value": "blue"}], **assume)
iam.update_assume_role_policy(RoleName="reader", PolicyDocument=trust({"AWS": ALICE}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]))
del assume["ExternalId"]
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=allow(["lambda:*", "sts:*"], Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}}))
may_not_list(first, JOB, NO_IDENTITY)
tagged = alice.assume_role(Tags=[{"Key": "team", "Value": "blue"}], TransitiveTagKeys=["team"], SourceIdentity="alice", **assume)
check(tagged["SourceIdentity"], "alice", "the source identity")
may_list(tagged["Credentials"])
may_not_list(alice.assume_role(Tags=[{"Key": "team", "Value": "red"}], **assume)["Credentials"], JOB, NO_IDENTITY)
fails("ValidationError", None, alice.assume_role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}], **assume)

# Roles by roles: transitive tags and the source identity go along, and an hour is the longest.
def trusts(*actions):
    return trust({"AWS": role["Arn"]}, list(actions), Condition={"StringEquals": {"aws:SourceIdentity": "alice", "aws:PrincipalTag/team": "blue"}})


iam.create_role(RoleName="second", MaxSessionDuration=7200, AssumeRolePolicyDocument=trusts("sts:AssumeRole"))
iam.put_role_policy(RoleName="second", PolicyName="p", PolicyDocument=allow("lambda:*", Condition={"StringEquals": {"aws:PrincipalTag/team": "blue"}}))
chain = client("sts", tagged["Credentials"])
second = {"RoleArn": arn("role/second"), "RoleSessionName": "deeper"}
# What goes along needs the same permissions as what is sent.
refusal = f"User: {tagged['AssumedRoleUser']['Arn']} is not authorized to perform: %s on resource: {second['RoleArn']}"
fails("AccessDenied", refusal % "sts:TagSession", chain.assume_role, **second)
iam.update_assume_role_policy(RoleName="second", PolicyDocument=trusts("sts:AssumeRole", "sts:TagSession"))
fails("AccessDenied", refusal % "sts:SetSourceIdentity", chain.assume_role, **second)
iam.update_assume_role_policy(RoleName="second", PolicyDocument=trusts("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"))
may_list(chain.assume_role(DurationSeconds=3600, **second)["Credentials"])
fails("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.", chain.assume_role, DurationSeconds=3601, **second)
fails("AccessDenied", None, chain.assume_role, Tags=[{"Key": "team", "Value": "red"}], **second)
fails("AccessDenied", None, chain.assume_role, SourceIdentity="bob", **second)
fails("AccessDenied", None, alice.assume_role, **second)

# GetSessionToken: oneself, without IAM.
own = alice.get_session_token()["Credentials"]
check(client("sts", own).get_caller_identity()["Arn"], ALICE, "the user's own session")
may_not_list(own, ALICE, NO_IDENTITY)
iam.put_user_policy(UserName="alice", PolicyName="p", PolicyDocument=allow(["lambda:*", "iam:*", "sts:*"]))
may_list(own)
client("iam", alice_key).get_user()
fails("AccessDenied", None, client("iam", own).get_user)
fails("AccessDenied", None, client("sts", own).get_session_token)
fails("AccessDenied", None, client("sts", own).get_federation_token, Name="somebody", Policy=allow("*"))
client("sts", own).assume_role(**assume)
root = sts.get_session_token(DurationSeconds=7200)["Credentials"]
check((root["Expiration"] - before).total_seconds() < 3700, True, "an hour at most for root")

# GetFederationToken: what the user may and the policy says.
fed = alice.get_federation_token(Name="bob", Policy=allow(LIST), Tags=[{"Key": "cost", "Value": "42"}])
check(fed["FederatedUser"], {"FederatedUserId": f"{ACCOUNT}:bob", "Arn": arn("federated-user/bob", "sts")}, "the federated user")
may_list(fed["Credentials"])
bob = client("lambda", fed["Credentials"])
fails("AccessDeniedException", None, bob.get_account_settings)
fails("AccessDenied", None, client("iam", fed["Credentials"]).list_users)
may_not_list(alice.get_federation_token(Name="bob")["Credentials"], arn("federated-user/bob", "sts"), NO_SESSION)
fails("AccessDenied", None, chain.get_federation_token, Name="somebody")
fails("AccessDenied", None, chain.get_session_token)

# Revoking as the console does: what was issued before some moment is denied, what is issued after it is not.
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=allow("lambda:*"))
may_list(first)
moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
iam.put_role_policy(RoleName="reader", PolicyName="AWSRevokeOlderSessions", PolicyDocument=json.dumps({
    "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")}},
    }],
}))
may_not_list(first, JOB, "with an explicit deny in an identity-based policy")
while datetime.datetime.now(datetime.timezone.utc) < moment:
    time.sleep(0.1)
may_list(alice.assume_role(**assume)["Credentials"])
may_not_list(first, JOB, "with an explicit deny in an identity-based policy")

# A user's sessions end with the user, a role's with the role, also if there is another of that name.
iam.delete_user_policy(UserName="alice", PolicyName="p")
may_not_list(own, ALICE, NO_IDENTITY)
last = alice.assume_role(**assume)["Credentials"]
may_list(last)
for name in ("p", "AWSRevokeOlderSessions"):
    iam.delete_role_policy(RoleName="reader", PolicyName=name)
iam.delete_role(RoleName="reader")
iam.create_role(RoleName="reader", Path="/deep/", AssumeRolePolicyDocument=trust({"AWS": ALICE}))
iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=allow("lambda:*"))
gone = ("UnrecognizedClientException", "The security token included in the request is invalid.")
fails(*gone, client("lambda", last).list_functions)
iam.delete_access_key(UserName="alice", AccessKeyId=alice_key["AccessKeyId"])
iam.delete_user(UserName="alice")
fails(*gone, client("lambda", own).list_functions)
print("ok")
