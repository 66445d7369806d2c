package fn;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The functions of the tests, a nested class each. */
public class App {
    public static class Point {
        private int x;
        private List<Point> inner;
        public String open;

        public int getX() {
            return x;
        }

        public void setX(int x) {
            this.x = x;
        }

        public List<Point> getInner() {
            return inner;
        }

        public void setInner(List<Point> inner) {
            this.inner = inner;
        }
    }

    public static class Pojo implements RequestHandler<Point, Point> {
        @Override
        public Point handleRequest(Point p, Context context) {
            p.setX(p.getX() + 1);
            return p;
        }

        public String other(Map<String, Integer> m, Context context) {
            return "other " + m + " " + (m.isEmpty() ? "" : m.values().iterator().next().getClass().getSimpleName());
        }
    }

    /** The type parameters come by way of a generic ancestor. */
    abstract static class Base<T> implements RequestHandler<List<T>, Map<String, T>> {
        @Override
        public Map<String, T> handleRequest(List<T> in, Context context) {
            Map<String, T> out = new LinkedHashMap<>();
            for (T t : in) {
                out.put("p" + out.size(), t);
            }
            return out;
        }
    }

    public static class Generic extends Base<Point> {
        @Override
        public Map<String, Point> handleRequest(List<Point> in, Context context) {
            in.get(0).setX(99);
            return super.handleRequest(in, context);
        }
    }

    public static class Text implements RequestHandler<String, String> {
        @Override
        public String handleRequest(String s, Context context) {
            return s + "☃";
        }
    }

    public static class Echo implements RequestHandler<Object, Object> {
        @Override
        public Object handleRequest(Object o, Context context) {
            return o;
        }
    }

    public static class Stream implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            in.transferTo(out);
        }
    }

    public static class Members implements RequestHandler<Object, List<Object>> {
        @Override
        public List<Object> handleRequest(Object o, Context c) {
            ClientContext cc = c.getClientContext();
            int left = c.getRemainingTimeInMillis();
            return new ArrayList<>(Arrays.asList(
                    c.getAwsRequestId(), c.getFunctionName(), c.getFunctionVersion(), c.getMemoryLimitInMB(), c.getLogGroupName(),
                    c.getLogStreamName(), c.getInvokedFunctionArn(), c.getTenantId(), left > 0 && left <= 5000,
                    cc == null ? null : cc.getClient().getInstallationId() + cc.getCustom() + cc.getEnvironment(),
                    c.getIdentity() == null ? null : c.getIdentity().getIdentityId() + c.getIdentity().getIdentityPoolId(),
                    System.getProperty("com.amazonaws.xray.traceHeader"), System.getenv("AWS_EXECUTION_ENV")));
        }
    }

    public static class Fails implements RequestHandler<String, String> {
        @Override
        public String handleRequest(String s, Context context) {
            switch (s) {
                case "stack":
                    throw new StackOverflowError("as thrown");
                case "heap":
                    throw new OutOfMemoryError("as thrown");
                case "none":
                    throw new IllegalStateException();
                case "exit":
                    System.exit(3);
                    return null;
                default:
                    throw new IllegalArgumentException("bad " + s);
            }
        }
    }

    public static class Checked {
        public String run(String s) throws Exception {
            throw new IOException("checked");
        }
    }

    public static class NoConstructor implements RequestHandler<String, String> {
        public NoConstructor(int n) {}

        @Override
        public String handleRequest(String s, Context context) {
            return s;
        }
    }

    public static class ThrowsAtStart implements RequestHandler<String, String> {
        public ThrowsAtStart() {
            throw new IllegalStateException("at start");
        }

        @Override
        public String handleRequest(String s, Context context) {
            return s;
        }
    }

    public static class StaticFails implements RequestHandler<String, String> {
        static final int N = Integer.parseInt("not a number");

        @Override
        public String handleRequest(String s, Context context) {
            return s;
        }
    }

    public static class Overloads {
        public String run() {
            return "()";
        }

        public String run(Map<String, String> m) {
            return "(map)";
        }

        public String run(Integer i, Context c) {
            return "(int, context)";
        }

        public static int statically(int i) {
            return i + 1;
        }

        public void nothing(String s) {}

        public void streams(InputStream in, OutputStream out, Context c) throws IOException {
            out.write(("streams " + new String(in.readAllBytes())).getBytes());
        }

        public void outOnly(OutputStream out) throws IOException {
            out.write("out".getBytes());
        }

        public String two(String a, String b) {
            return "never";
        }
    }

    public static class Unserializable implements RequestHandler<String, Object> {
        public Unserializable getSelf() {
            return this;
        }

        @Override
        public Object handleRequest(String s, Context context) {
            return this;
        }
    }

    public static class Logs implements RequestHandler<String, String> {
        @Override
        public String handleRequest(String s, Context c) {
            System.out.println("printed é");
            System.out.print("unfinished ");
            c.getLogger().log("by logger");
            c.getLogger().log("two\r\nlines\n");
            c.getLogger().log("bytes\nof it".getBytes());
            c.getLogger().log("");
            c.getLogger().log("level debug", LogLevel.DEBUG);
            c.getLogger().log("level warn", LogLevel.WARN);
            LambdaRuntime.getLogger().log("by runtime");
            System.err.println("to stderr");
            return null;
        }
    }

    public static class Plain {}

    public static class Big implements RequestHandler<Object, Integer> {
        @Override
        public Integer handleRequest(Object event, Context context) {
            return System.getenv("BIG").length();
        }
    }
}
