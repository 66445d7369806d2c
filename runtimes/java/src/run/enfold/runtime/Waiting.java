package run.enfold.runtime;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;

/**
 * Booting before it is known for which function: wait for its configuration, then be as if started with it.
 *
 * <p>The configuration is the process's environment, "NAME=value" entries with a zero byte after each, on standard input until its
 * end. What does not depend on it is done before it comes: an invocation is waiting from then on. Nothing here may call
 * System.getenv before, which keeps what it first saw.
 */
final class Waiting {
    // How often functions are loaded anew, and how many events each then gets. What a function does for the first time is a long way
    // through the class library, which is interpreted until it was taken often.
    private static final int ROUNDS = 12;
    private static final int EVENTS = 6;
    private static final String[] NAMES = {
        Rehearsal.class.getName() + "$OfStreams", Rehearsal.class.getName() + "$OfMaps", Rehearsal.class.getName() + "$OfObjects",
        Rehearsal.class.getName() + "$OfFields::run",
    };
    private static final String BODY = "{\"text\":\"x\",\"list\":[1,2.5,{}],\"count\":1,\"size\":1,\"share\":1.5,\"fresh\":true,\"names\":{\"a\":\"b\"}}";
    private static final String EVENT = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 0\r\n"
            + "Lambda-Runtime-Deadline-Ms: 1\r\nContent-Length: " + BODY.length() + "\r\n\r\n" + BODY;
    private static final String ACCEPTED = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

    /** What System.getenv loads and what cannot be rehearsed. */
    private static final String[] CLASSES = {
        "java.lang.ProcessEnvironment", "java.lang.ProcessEnvironment$ExternalData", "java.lang.ProcessEnvironment$Variable",
        "java.lang.ProcessEnvironment$Value", "java.lang.ProcessEnvironment$StringEnvironment", "java.lang.Process",
        "java.lang.ProcessImpl", "java.lang.ProcessImpl$LaunchMechanism",
    };

    private Waiting() {}

    /** Waits, then replaces the environment. Returns a client that is connected already, or null. opt is the layers' directory. */
    static RuntimeClient await(String opt) throws Throwable {
        Memory memory = new Memory();
        Environment environment = new Environment(memory);
        Variables.know(environment.content()); // System.getenv keeps what it first saw
        rehearse(opt);
        environment.replace(environment.content());
        RuntimeClient client = connectAhead(environment.get("AWS_LAMBDA_RUNTIME_API"));
        OutputStream booted = new FileOutputStream(FileDescriptor.out);
        InputStream in = new FileInputStream(FileDescriptor.in);
        System.gc(); // so that no collection is due while the function loads
        booted.write(0);
        byte[] config = readAll(in);
        if (config.length == 0) {
            Runtime.getRuntime().halt(0); // nobody is left to send a configuration
        }
        environment.replace(config);
        Variables.know(config);
        memory.emptyInput();
        System.clearProperty("sun.misc.unsafe.memory.access"); // how an option reached Unsafe
        return client;
    }

    private static byte[] readAll(InputStream in) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] part = new byte[1 << 14];
        for (int n = in.read(part); n > 0; n = in.read(part)) {
            out.write(part, 0, n);
        }
        return out.toByteArray();
    }

    /** A connected client, or null: the client then connects when it needs to. */
    private static RuntimeClient connectAhead(String endpoint) {
        if (endpoint == null || endpoint.isEmpty()) {
            return null;
        }
        RuntimeClient client = new RuntimeClient(endpoint);
        try {
            client.connect();
            return client;
        } catch (IOException e) {
            return null;
        }
    }

    /** Loads and runs functions of ours, so that all classes that a function needs are loaded, and compiled what runs many times. */
    private static void rehearse(String opt) throws Exception {
        String jar = new File(System.getProperty("java.class.path")).getAbsolutePath();
        URL[] path = {new URL("file", null, new File(jar).getParent() + "/"), new URL("file", null, jar)};
        try (URLClassLoader apart = new URLClassLoader(path, ClassLoader.getPlatformClassLoader())) {
            apart.findResource(new File(jar).getName()); // from the directory
        }
        for (String name : CLASSES) {
            Class.forName(name, false, null);
        }
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Thread api = new Thread(() -> serve(server), "enfold");
            api.setDaemon(true);
            api.start();
            RuntimeClient client = new RuntimeClient("127.0.0.1:" + server.getLocalPort());
            RuntimeClient.Response event = client.next();
            for (int round = 0; round < ROUNDS; round++) {
                Main.classPath(new File(jar).getParent(), opt);
                try (Anew loader = new Anew(path, ClassLoader.getSystemClassLoader())) {
                    Main main = new Main(client, new Logger(null, null, null), loader);
                    main.shareLogger();
                    for (String name : NAMES) {
                        Handler handler = Handler.find(name, loader);
                        for (int i = 0; i < EVENTS; i++) {
                            event = main.answer(handler, event);
                        }
                    }
                }
                Bean.forget();
            }
            client.close();
            api.join();
        }
    }

    /** Has the same event for whoever asks. */
    private static void serve(ServerSocket server) {
        try (Socket socket = server.accept()) {
            socket.setTcpNoDelay(true);
            byte[] buffer = new byte[1 << 12];
            for (int n = socket.getInputStream().read(buffer); n > 0; n = socket.getInputStream().read(buffer)) {
                String request = new String(buffer, 0, n, StandardCharsets.ISO_8859_1);
                String answer = (request.startsWith("POST") ? ACCEPTED : "") + (request.contains("GET /") ? EVENT : "");
                socket.getOutputStream().write(answer.getBytes(StandardCharsets.ISO_8859_1));
            }
        } catch (IOException e) {
            // the rehearsal is over
        }
    }
}
