// A runtime of the Lambda Runtime API on node:http, as one writes it: the stock agent, with one connection, kept.
import http from 'node:http';

const { handler } = await import(`${process.env.LAMBDA_TASK_ROOT}/index.mjs`);
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const base = '/2018-06-01/runtime/invocation/';

function request(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const sent = http.request({ host, port, agent, method, path, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

for (;;) {
  const event = await request('GET', `${base}next`);
  const awsRequestId = event.headers['lambda-runtime-aws-request-id'];
  const context = { functionName: process.env.AWS_LAMBDA_FUNCTION_NAME, awsRequestId };
  const answer = await handler(JSON.parse(event.body), context);
  await request('POST', `${base}${awsRequestId}/response`, JSON.stringify(answer));
}
