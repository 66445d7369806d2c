#!/usr/bin/env bash
# An order goes to a topic and from there to three functions. One of them fails twice, and the order lands in its dead-letter
# queue. The function is mended, and `enfold dlq redrive` sends the order back through it.
#
# Needs the AWS CLI and Python on this machine, a server, and its environment: eval "$(enfold env)". It takes a good minute, because that
# is how long Lambda waits before it tries again.
set -euo pipefail
cd "$(dirname "$0")"

# Version 1 of the AWS CLI overlooks AWS_ENDPOINT_URL for SQS.
aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" --output text "$@"; }
say() { printf '\n%s\n' "$*"; }
patiently() { # runs a command until it succeeds
  for _ in $(seq 300); do "$@" && return; sleep 0.5; done
  echo "this never came true: $*" >&2
  return 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m zipfile -c "$work/code.zip" index.py
runtime=$(python3 -c 'import sys; print("python3.%d" % sys.version_info.minor)')

say "A role, a topic, a dead-letter queue"
role=$(aws iam create-role --role-name orders --query Role.Arn --assume-role-policy-document '{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}')
topic=$(aws sns create-topic --name orders --query TopicArn)
url=$(aws sqs create-queue --queue-name orders-dead --query QueueUrl)
dead=$(aws sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn --query Attributes.QueueArn)
aws iam put-role-policy --role-name orders --policy-name dead-letters --policy-document '{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "'"$dead"'"}]}'

say "Three functions that the topic may invoke; shipping is broken"
for fn in invoice shipping thanks; do
  arn=$(aws lambda create-function --function-name "$fn" --runtime "$runtime" --handler index.handler --role "$role" \
    --zip-file "fileb://$work/code.zip" --dead-letter-config "TargetArn=$dead" --query FunctionArn)
  aws lambda wait function-active-v2 --function-name "$fn"
  aws lambda put-function-event-invoke-config --function-name "$fn" --maximum-retry-attempts 1 > "$work/out"
  aws lambda add-permission --function-name "$fn" --statement-id topic --action lambda:InvokeFunction \
    --principal sns.amazonaws.com --source-arn "$topic" > "$work/out"
  aws sns subscribe --topic-arn "$topic" --protocol lambda --notification-endpoint "$arn" > "$work/out"
done
aws lambda update-function-configuration --function-name shipping --environment 'Variables={BROKEN=yes}' > "$work/out"
aws lambda wait function-updated-v2 --function-name shipping

say "An order"
aws sns publish --topic-arn "$topic" --message '{"id": 4711}'
has_order() { enfold logs "$1" 2> "$work/err" | grep -q "$1 has order 4711"; }
patiently has_order invoice
patiently has_order thanks
echo "invoice and thanks have it; shipping fails, and is tried again in a minute"

dead_letters() { test "$(aws sqs get-queue-attributes --queue-url "$url" --attribute-names ApproximateNumberOfMessages \
  --query Attributes.ApproximateNumberOfMessages)" = 1; }
patiently dead_letters
say "It failed twice:"
enfold dlq show orders-dead

say "Shipping is mended, and the order goes back to it"
aws lambda update-function-configuration --function-name shipping --environment 'Variables={}' > "$work/out"
aws lambda wait function-updated-v2 --function-name shipping
enfold dlq redrive orders-dead
patiently has_order shipping
echo "shipping has it too"
