// Answers with all that a function is given: event, context, environment. What it is asked to do is in event.do.
export const handler = async (event, context) => {
  switch (event?.do) {
    case 'fail':
      throw new RangeError(event.message ?? 'failed on request');
    case 'exit':
      process.exit(event.code ?? 0);
    // falls through: process.exit does not return
    case 'sleep':
      await new Promise((r) => setTimeout(r, event.seconds * 1000));
      break;
    case 'print':
      console.log(event.text);
      break;
    case 'bytes':
      return 'x'.repeat(event.count);
  }
  return {
    event,
    context: {
      functionName: context.functionName,
      functionVersion: context.functionVersion,
      invokedFunctionArn: context.invokedFunctionArn,
      memoryLimitInMB: context.memoryLimitInMB,
      awsRequestId: context.awsRequestId,
      logGroupName: context.logGroupName,
      logStreamName: context.logStreamName,
      tenantId: context.tenantId ?? null,
      custom: context.clientContext?.custom ?? null,
      remaining: context.getRemainingTimeInMillis(),
    },
    env: process.env,
    cwd: process.cwd(),
    version: process.versions.node.split('.')[0],
  };
};

/** The same as a stream, with the HTTP answer that event.prelude describes. */
export const stream = awslambda.streamifyResponse(async (event, out) => {
  if (event.prelude) out = awslambda.HttpResponseStream.from(out, event.prelude);
  for (const piece of event.pieces ?? []) {
    out.write(piece);
    await new Promise((r) => setTimeout(r, event.pause ?? 0));
  }
  if (event.do === 'fail') throw new RangeError(event.message ?? 'failed on request');
  out.end();
});
