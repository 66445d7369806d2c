// Drives Enfold with the real AWS SDK for JavaScript. Arguments: the folder that has the SDK, the deployment package of a Go
// function, the mark of its environment.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const [sdk, code, mark] = process.argv.slice(2);
const require = createRequire(sdk + "/");
const lambda = require("@aws-sdk/client-lambda");
const logs = require("@aws-sdk/client-cloudwatch-logs");
const sts = require("@aws-sdk/client-sts");

const options = { maxAttempts: 1 };
const client = new lambda.LambdaClient(options);
const send = (name, input) => client.send(new lambda[name + "Command"](input));
const FunctionName = "js-flow";
const text = (bytes) => Buffer.from(bytes ?? []).toString();

const identity = await new sts.STSClient(options).send(new sts.GetCallerIdentityCommand({}));
assert.equal(identity.Arn, "arn:aws:iam::000000000000:root");

const created = await send("CreateFunction", {
  FunctionName, Runtime: "provided.al2023", Handler: "bootstrap", Role: "arn:aws:iam::000000000000:role/lambda-role",
  Code: { ZipFile: readFileSync(code) }, Environment: { Variables: { GREETING: "salut", ENFOLD_TEST_MARK: mark } },
});
assert.equal(created.State, "Pending");
await lambda.waitUntilFunctionActiveV2({ client, maxWaitTime: 30, minDelay: 1 }, { FunctionName });

let answer = await send("Invoke", { FunctionName, Payload: JSON.stringify({ name: "Zoë" }), LogType: "Tail" });
let payload = JSON.parse(text(answer.Payload));
assert.deepEqual([payload.hello, payload.greeting, answer.ExecutedVersion, answer.FunctionError], ["Zoë", "salut", "$LATEST", undefined]);
assert.equal(answer.$metadata.requestId, payload.requestId);
assert.match(Buffer.from(answer.LogResult, "base64").toString(), /^START RequestId: [0-9a-f-]{36} Version: \$LATEST\n[^]*REPORT RequestId: /m);

answer = await send("Invoke", { FunctionName, Payload: '{"name":"fail"}' });
assert.equal(answer.FunctionError, "Unhandled");
assert.equal(JSON.parse(text(answer.Payload)).errorMessage, "I was told to fail");

const streamed = await send("InvokeWithResponseStream", { FunctionName, Payload: '{"name":"stream"}' });
let body = "", complete = false;
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) body += text(event.PayloadChunk.Payload);
  if (event.InvokeComplete) complete = true;
}
assert.equal(JSON.parse(body).hello, "stream");
assert.ok(complete);

const { Code } = await send("GetFunction", { FunctionName });
const downloaded = Buffer.from(await (await fetch(Code.Location)).arrayBuffer());
assert.ok(downloaded.equals(readFileSync(code)));

assert.equal((await send("PublishVersion", { FunctionName })).Version, "1");
await send("CreateAlias", { FunctionName, Name: "live", FunctionVersion: "1" });
assert.equal((await send("Invoke", { FunctionName, Qualifier: "live", Payload: '{"name":"x"}' })).ExecutedVersion, "1");

const names = [];
for await (const page of lambda.paginateListFunctions({ client, pageSize: 1 }, {})) names.push(...page.Functions.map((f) => f.FunctionName));
assert.ok(names.includes(FunctionName) && new Set(names).size === names.length);

await assert.rejects(send("GetFunction", { FunctionName: "nowhere" }), (e) => {
  assert.ok(e instanceof lambda.ResourceNotFoundException);
  assert.equal(e.message, "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere");
  assert.equal(e.Type, "User");
  return true;
});
await send("PutFunctionConcurrency", { FunctionName, ReservedConcurrentExecutions: 0 });
await assert.rejects(send("Invoke", { FunctionName }), (e) => {
  assert.ok(e instanceof lambda.TooManyRequestsException);
  assert.equal(e.Reason, "ReservedFunctionConcurrentInvocationLimitExceeded");
  return true;
});
await send("DeleteFunctionConcurrency", { FunctionName });

const cw = new logs.CloudWatchLogsClient(options);
const logGroupName = "/aws/lambda/" + FunctionName;
let found = [];
for (let i = 0; i < 100 && !found.length; i++, await sleep(100)) {
  try {
    found = (await cw.send(new logs.FilterLogEventsCommand({ logGroupName, filterPattern: "Zoë" }))).events;
  } catch (e) {
    if (!(e instanceof logs.ResourceNotFoundException)) throw e;
  }
}
assert.deepEqual(found.map((e) => e.message), ["hello from the log, Zoë\n"]);
await assert.rejects(cw.send(new logs.FilterLogEventsCommand({ logGroupName, filterPattern: "{ $.a" })), (e) => {
  assert.ok(e instanceof logs.InvalidParameterException);
  assert.equal(e.message, "If a filter pattern starts with '{' it must end with '}'");
  return true;
});

await send("DeleteFunction", { FunctionName });
await assert.rejects(send("GetFunction", { FunctionName }), lambda.ResourceNotFoundException);
console.log("ok");
