package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import java.io.BufferedOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOError;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The managed Java runtime: loads a handler and runs it once per event of the Lambda Runtime API. Conventions are those of AWS's
 * java11 to java25 runtimes.
 */
public final class Main {
    private static final String BAD_CODE = "Runtime.BadFunctionCode";
    private static final String USER_ERROR = "Runtime.UserException";

    private final RuntimeClient client;
    private final Logger logger;
    private final ClassLoader loader;

    Main(RuntimeClient client, Logger logger, ClassLoader loader) {
        this.client = client;
        this.logger = logger;
        this.loader = loader;
    }

    /** The argument is the directory of the layers. */
    public static void main(String[] args) throws Throwable {
        System.setOut(stream(FileDescriptor.out));
        System.setErr(stream(FileDescriptor.err));
        RuntimeClient client = System.clearProperty("run.enfold.wait") == null ? null : Waiting.await(args[0]);
        String endpoint = Variables.get("AWS_LAMBDA_RUNTIME_API");
        if (client == null || !client.endpoint.equals(endpoint)) {
            client = new RuntimeClient(endpoint);
        }
        Logger logger = new Logger(Variables.get("AWS_LAMBDA_LOG_FORMAT"), Variables.get("AWS_LAMBDA_LOG_LEVEL"),
                Variables.get("_LAMBDA_TELEMETRY_LOG_FD"));
        // The system class loader is the parent, so that function and runtime share the interfaces of aws-lambda-java-core.
        ClassLoader loader = new URLClassLoader(classPath(Variables.get("LAMBDA_TASK_ROOT"), args[0]), ClassLoader.getSystemClassLoader());
        Thread.currentThread().setContextClassLoader(loader);
        new Main(client, logger, loader).run();
    }

    private static PrintStream stream(FileDescriptor fd) {
        return new PrintStream(new BufferedOutputStream(new FileOutputStream(fd), 8192), true, StandardCharsets.UTF_8);
    }

    /** The function's own classes, its lib/*.jar, and the lib/*.jar of its layers. */
    static URL[] classPath(String task, String opt) throws MalformedURLException {
        List<URL> out = new ArrayList<>();
        out.add(new URL("file", null, task + "/"));
        for (String dir : new String[] {task + "/lib", opt + "/java/lib"}) {
            String[] names = new File(dir).list((d, name) -> name.endsWith(".jar"));
            if (names == null) {
                continue;
            }
            Arrays.sort(names);
            for (String name : names) {
                out.add(new URL("file", null, dir + "/" + name));
            }
        }
        return out.toArray(new URL[0]);
    }

    private void run() throws Throwable {
        shareLogger();
        boolean snapStart = "snap-start".equals(Variables.get("AWS_LAMBDA_INITIALIZATION_TYPE"));
        String signal = snapStart ? SnapStart.signal() : null;
        Handler handler = load();
        if (snapStart) {
            SnapStart.pause(client, signal, this::log);
        }
        RuntimeClient.Response event = client.next();
        while (true) {
            event = answer(handler, event);
        }
    }

    /** Gives functions the logger by the field of AWS's interfaces that is for it. */
    void shareLogger() throws ReflectiveOperationException {
        Field shared = LambdaRuntime.class.getDeclaredField("logger");
        shared.setAccessible(true);
        shared.set(null, logger);
    }

    /** Finds the handler. A fault that is not fatal becomes the answer to every event; a fatal one ends the process. */
    private Handler load() throws IOException {
        try {
            return Handler.find(Variables.get("_HANDLER"), loader);
        } catch (Fault f) {
            if (!f.fatal) {
                return (event, context) -> {
                    throw f;
                };
            }
            log(f);
            client.lastError("init/error", Fault.document(f).getBytes(StandardCharsets.UTF_8), BAD_CODE);
            System.exit(1);
            return null;
        }
    }

    /** Runs one event, posts the answer and returns the next event. */
    RuntimeClient.Response answer(Handler handler, RuntimeClient.Response event) throws IOException {
        String trace = event.header("lambda-runtime-trace-id");
        if (trace != null) {
            System.setProperty("com.amazonaws.xray.traceHeader", trace);
        } else {
            System.clearProperty("com.amazonaws.xray.traceHeader");
        }
        logger.setEvent(event);
        byte[] body;
        String type = null;
        try {
            Invocation context = new Invocation(event, logger);
            shareRequestId(event.id());
            body = handler.run(event.body, context);
        } catch (Throwable t) {
            Fault.cut(t);
            log(t);
            body = Fault.document(t).getBytes(StandardCharsets.UTF_8);
            type = t instanceof Fault ? BAD_CODE : USER_ERROR;
            if (t instanceof VirtualMachineError || t instanceof IOError || t instanceof Fault && ((Fault) t).fatal) {
                client.lastError("invocation/" + event.id() + "/error", body, type);
                System.exit(1);
            }
        }
        Thread.interrupted(); // a function may have left it set
        System.out.flush();
        System.err.flush();
        return client.answerAndNext(event.id(), body, type);
    }

    private void log(Throwable t) {
        logger.log(Fault.report(t), "JSON".equalsIgnoreCase(Variables.get("AWS_LAMBDA_LOG_FORMAT"))
                ? com.amazonaws.services.lambda.runtime.logging.LogLevel.ERROR
                : com.amazonaws.services.lambda.runtime.logging.LogLevel.UNDEFINED);
    }

    /** Puts the request id where AWS's Log4j appender looks for it, if the function has that appender. */
    private void shareRequestId(String id) {
        if (!LambdaRuntimeInternal.getUseLog4jAppender()) {
            return;
        }
        try {
            Method put = loader.loadClass("org.apache.logging.log4j.ThreadContext").getMethod("put", String.class, String.class);
            put.invoke(null, "AWSRequestId", id);
        } catch (ReflectiveOperationException e) {
            System.err.println("Customer using log4j appender but unable to load org.apache.logging.log4j.ThreadContext. Customer cannot see RequestId in log4j log lines.");
        }
    }
}
