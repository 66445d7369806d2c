package run.enfold.runtime;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * A client of the Lambda Runtime API on one keep-alive connection. It writes HTTP by hand, so that the answer of one event and
 * the request for the next go out together, and so that no HTTP client need be loaded at start.
 */
final class RuntimeClient {
    private static final String PREFIX = " /2018-06-01/runtime/";
    private static final int MAX_HEAD = 1 << 20;

    /** A status, headers with lower-case names, and a body. */
    static final class Response {
        int status;
        final Map<String, String> headers = new HashMap<>();
        byte[] body;

        String header(String name) {
            return headers.get(name);
        }

        String id() {
            return headers.get("lambda-runtime-aws-request-id");
        }
    }

    final String endpoint;
    private Socket socket;
    private final byte[] buffer = new byte[64 << 10];
    private int at;
    private int end;

    RuntimeClient(String endpoint) {
        this.endpoint = endpoint;
    }

    /** Waits for an event. */
    Response next() throws IOException {
        try {
            send(nextRequest());
            return event(receive());
        } catch (IOException e) {
            close(); // the platform closed the connection: once more on a new one
            send(nextRequest());
            return event(receive());
        }
    }

    /** Posts the answer of an event and waits for the next. errorType is null if the function succeeded. */
    Response answerAndNext(String id, byte[] body, String errorType) throws IOException {
        try {
            send(post("invocation/" + id + (errorType == null ? "/response" : "/error"), body, errorType), nextRequest());
            Response said = receive();
            if (said.status / 100 != 2) {
                System.err.println("Failed to post invocation response. Http response code: " + said.status + ".");
            }
            return event(receive());
        } catch (IOException e) {
            close(); // an answer that the platform refuses, such as one that is too large, ends the connection
            return next();
        }
    }

    /** Posts the last error of this process. */
    void lastError(String path, byte[] body, String errorType) throws IOException {
        send(post(path, body, errorType));
        receive();
    }

    /**
     * Waits to be restored, if this process is to be stored. Returns the name of the log stream, or null. The platform cuts the
     * connection when it begins to store, because none survives that. signal is a path that exists as soon as this process is a
     * restored one; it then asks once more.
     */
    String restoreNext(String signal) throws IOException, InterruptedException {
        while (true) {
            try {
                send(("GET" + PREFIX + "restore/next HTTP/1.1\r\nHost: " + endpoint + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
                Response r = receive();
                if (r.status != 200) {
                    throw new IllegalStateException("the Runtime API answered " + r.status + " to restore/next");
                }
                return r.header("enfold-log-stream");
            } catch (IOException e) {
                close();
                if (signal == null) {
                    throw e;
                }
            }
            File restored = new File(signal);
            for (int i = 0; i < 5000 && !restored.exists(); i++) {
                Thread.sleep(1);
            }
        }
    }

    private byte[] nextRequest() {
        return ("GET" + PREFIX + "invocation/next HTTP/1.1\r\nHost: " + endpoint + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII);
    }

    private byte[] post(String path, byte[] body, String errorType) {
        String head = "POST" + PREFIX + path + " HTTP/1.1\r\nHost: " + endpoint + "\r\nContent-Type: application/json\r\n"
                + (errorType == null ? "" : "Lambda-Runtime-Function-Error-Type: " + errorType + "\r\n")
                + "Content-Length: " + body.length + "\r\n\r\n";
        byte[] bytes = head.getBytes(StandardCharsets.US_ASCII);
        byte[] out = new byte[bytes.length + body.length];
        System.arraycopy(bytes, 0, out, 0, bytes.length);
        System.arraycopy(body, 0, out, bytes.length, body.length);
        return out;
    }

    private static Response event(Response r) {
        if (r.status != 200 || r.id() == null) {
            throw new IllegalStateException("the Runtime API answered " + r.status);
        }
        return r;
    }

    private void send(byte[]... parts) throws IOException {
        if (socket == null) {
            connect();
        }
        int size = 0;
        for (byte[] p : parts) {
            size += p.length;
        }
        byte[] all = new byte[size];
        int n = 0;
        for (byte[] p : parts) {
            System.arraycopy(p, 0, all, n, p.length);
            n += p.length;
        }
        socket.getOutputStream().write(all);
    }

    void connect() throws IOException {
        int colon = endpoint.lastIndexOf(':');
        socket = new Socket(endpoint.substring(0, colon).replaceAll("[\\[\\]]", ""), Integer.parseInt(endpoint.substring(colon + 1)));
        socket.setTcpNoDelay(true);
        at = 0;
        end = 0;
    }

    void close() {
        try {
            if (socket != null) {
                socket.close();
            }
        } catch (IOException e) {
            // it is gone either way
        }
        socket = null;
    }

    private int read() throws IOException {
        if (at == end) {
            at = 0;
            end = Math.max(0, socket.getInputStream().read(buffer));
            if (end == 0) {
                throw new EOFException("the Runtime API closed the connection");
            }
        }
        return buffer[at++] & 0xff;
    }

    private String line() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int c = read(); c != '\n'; c = read()) {
            if (c != '\r') {
                out.write(c);
            }
            if (out.size() > MAX_HEAD) {
                throw new IllegalStateException("the Runtime API sent a line without end");
            }
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    private void read(byte[] into, int from, int length) throws IOException {
        int buffered = Math.min(length, end - at);
        System.arraycopy(buffer, at, into, from, buffered);
        at += buffered;
        InputStream in = socket.getInputStream();
        if (in.readNBytes(into, from + buffered, length - buffered) < length - buffered) {
            throw new EOFException("the Runtime API closed the connection");
        }
    }

    private Response receive() throws IOException {
        Response r = new Response();
        String[] first = line().split(" ", 3);
        if (first.length < 2) {
            throw new IOException("not an HTTP response");
        }
        r.status = Integer.parseInt(first[1]);
        for (String l = line(); !l.isEmpty(); l = line()) {
            int colon = l.indexOf(':');
            if (colon > 0) {
                r.headers.put(l.substring(0, colon).toLowerCase(Locale.ROOT), l.substring(colon + 1).trim());
            }
        }
        if ("chunked".equalsIgnoreCase(r.header("transfer-encoding"))) {
            r.body = chunks();
        } else {
            r.body = new byte[Integer.parseInt(r.headers.getOrDefault("content-length", "0"))];
            read(r.body, 0, r.body.length);
        }
        return r;
    }

    private byte[] chunks() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        while (true) {
            int size = Integer.parseInt(line().split(";")[0].trim(), 16);
            if (size == 0) {
                while (!line().isEmpty()) {
                    continue;
                }
                return out.toByteArray();
            }
            byte[] chunk = new byte[size];
            read(chunk, 0, size);
            out.write(chunk);
            line();
        }
    }
}
