package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.LinkedHashMap;
import java.util.Map;

/** Answers with all that a function is given: event, context, environment. What it is asked to do is in the event's "do". */
public class Conformance implements RequestHandler<Object, Object> {
    @Override
    public Object handleRequest(Object event, Context context) {
        Map<?, ?> asked = event instanceof Map ? (Map<?, ?>) event : Map.of();
        switch (String.valueOf(asked.get("do"))) {
            case "fail":
                throw new IllegalArgumentException(asked.containsKey("message") ? (String) asked.get("message") : "failed on request");
            case "exit":
                System.exit(asked.containsKey("code") ? (Integer) asked.get("code") : 0);
                return null;
            case "sleep":
                sleep(((Number) asked.get("seconds")).doubleValue());
                break;
            case "print":
                System.out.println(asked.get("text"));
                break;
            case "bytes":
                return "x".repeat((Integer) asked.get("count"));
            default:
                break;
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("event", event);
        out.put("context", describe(context));
        out.put("env", System.getenv());
        out.put("cwd", System.getProperty("user.dir"));
        out.put("version", System.getProperty("java.specification.version"));
        return out;
    }

    private static void sleep(double seconds) {
        try {
            Thread.sleep((long) (seconds * 1000));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Map<String, Object> describe(Context c) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("functionName", c.getFunctionName());
        out.put("functionVersion", c.getFunctionVersion());
        out.put("invokedFunctionArn", c.getInvokedFunctionArn());
        out.put("memoryLimitInMB", c.getMemoryLimitInMB());
        out.put("awsRequestId", c.getAwsRequestId());
        out.put("logGroupName", c.getLogGroupName());
        out.put("logStreamName", c.getLogStreamName());
        out.put("custom", c.getClientContext() == null ? null : c.getClientContext().getCustom());
        out.put("remaining", c.getRemainingTimeInMillis());
        return out;
    }
}
