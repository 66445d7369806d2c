package example;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;

/** Greets: the smallest Lambda function in Java. */
public class Hello implements RequestHandler<Hello.Event, Hello.Greeting> {
    public static class Event {
        public String name = "";
    }

    public static class Greeting {
        public String message;
        public String function;
        public String requestId;
    }

    @Override
    public Greeting handleRequest(Event event, Context context) {
        Greeting g = new Greeting();
        g.message = "Hello, " + event.name + "!";
        g.function = context.getFunctionName();
        g.requestId = context.getAwsRequestId();
        return g;
    }
}
