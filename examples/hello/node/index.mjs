// Greets: the smallest Lambda function in JavaScript.
export const handler = async (event, context) => ({
  message: `Hello, ${event.name ?? ''}!`,
  function: context.functionName,
  requestId: context.awsRequestId,
});
