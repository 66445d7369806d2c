package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;

/** The function's logger: text as it comes, or a JSON object for each message. */
final class Logger implements LambdaLogger {
    private static final DateTimeFormatter STAMP = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC);

    private final boolean json;
    private final LogLevel least;
    private final OutputStream framed;
    private volatile RuntimeClient.Response event;

    /** Its arguments may be null: what the environment says about logs. */
    Logger(String format, String level, String fd) {
        json = "JSON".equalsIgnoreCase(format);
        least = level(level);
        framed = openFramed(fd);
    }

    private static LogLevel level(String name) {
        try {
            return name == null || name.isEmpty() ? LogLevel.UNDEFINED : LogLevel.fromString(name);
        } catch (IllegalArgumentException e) {
            return LogLevel.UNDEFINED;
        }
    }

    private static OutputStream openFramed(String fd) {
        try {
            return fd != null && fd.matches("\\d{1,6}") ? new FileOutputStream("/proc/self/fd/" + fd) : null;
        } catch (IOException e) {
            return null;
        }
    }

    void setEvent(RuntimeClient.Response event) {
        this.event = event;
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(String message, LogLevel level) {
        if (level != LogLevel.UNDEFINED && level.compareTo(least) < 0) {
            return;
        }
        String line = String.valueOf(message);
        if (json) {
            line = object(line, level);
        } else if (level != LogLevel.UNDEFINED) {
            RuntimeClient.Response now = event;
            line = "[" + level + "] " + (now == null ? "" : now.id() + " ") + line;
        }
        write(line.getBytes(StandardCharsets.UTF_8), level);
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        if (level == LogLevel.UNDEFINED || level.compareTo(least) >= 0) {
            write(message, level);
        }
    }

    private String object(String message, LogLevel level) {
        RuntimeClient.Response now = event;
        StringBuilder out = new StringBuilder("{\"timestamp\":\"").append(STAMP.format(Instant.now())).append("\",\"level\":\"").append(level);
        out.append("\",\"message\":");
        Json.quote(out, message);
        if (now != null) {
            out.append(",\"AWSRequestId\":");
            Json.quote(out, now.id());
            if (now.header("lambda-runtime-aws-tenant-id") != null) {
                out.append(",\"tenantId\":");
                Json.quote(out, now.header("lambda-runtime-aws-tenant-id"));
            }
        }
        return out.append('}').toString();
    }

    /**
     * A record as standard output carries it: one line, whose own newlines are carriage returns. The platform turns them back, so
     * that a record is one log event.
     */
    private static byte[] oneLine(byte[] record) {
        int end = record.length > 0 && record[record.length - 1] == '\n' ? record.length - 1 : record.length;
        byte[] out = new byte[end + 1];
        int n = 0;
        for (int i = 0; i < end; i++) {
            if (record[i] == '\r' && i + 1 < end && record[i + 1] == '\n') {
                continue;
            }
            out[n++] = record[i] == '\n' ? (byte) '\r' : record[i];
        }
        out[n++] = '\n';
        return n == out.length ? out : Arrays.copyOf(out, n);
    }

    private synchronized void write(byte[] line, LogLevel level) {
        if (framed == null) {
            byte[] out = oneLine(line);
            System.out.write(out, 0, out.length);
            System.out.flush();
            return;
        }
        ByteBuffer out = ByteBuffer.allocate(16 + line.length);
        out.putInt((json ? 0xa55a0002 : 0xa55a0003) | level.ordinal() << 2).putInt(line.length);
        out.putLong(System.currentTimeMillis() * 1000).put(line);
        try {
            framed.write(out.array());
        } catch (IOException e) {
            // a log that cannot be written is lost
        }
    }
}
