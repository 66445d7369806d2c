import { existsSync, readFileSync } from "node:fs";

export const handler = async (event, context) => {
  console.log("hello from the log,", event.name);
  if (event.name === "fail") throw new TypeError("I was told to fail");
  return {
    language: "node",
    hello: event.name,
    greeting: process.env.GREETING ?? "",
    layer: existsSync("/opt/layer.txt") ? readFileSync("/opt/layer.txt", "utf8") : "",
    version: context.functionVersion,
    requestId: context.awsRequestId,
    secret: process.env.ENFOLD_TEST_HOST_SECRET ?? "",
  };
};
