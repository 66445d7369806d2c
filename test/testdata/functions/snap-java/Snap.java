import java.nio.file.Files;
import java.nio.file.Paths;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** A function with a second of work in its Init phase. It has no interface of AWS's, so that it compiles without one. */
public class Snap {
    private static final SecureRandom SECURE = new SecureRandom();
    private static final String MADE = work();

    private static String work() {
        long n = 0;
        for (long end = System.nanoTime() + 1_000_000_000L; System.nanoTime() < end;) {
            n++;
        }
        SECURE.nextLong();
        Math.random();
        ThreadLocalRandom.current().nextLong();
        return n + " " + System.currentTimeMillis();
    }

    public Map<String, Object> handleRequest(Map<String, Object> event) throws Exception {
        if (event.get("sleep") != null) {
            Thread.sleep((long) (((Number) event.get("sleep")).doubleValue() * 1000));
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("told", "before,after");
        out.put("made", MADE);
        out.put("now", System.currentTimeMillis() / 1000.0);
        byte[] device = new byte[8];
        try (java.io.InputStream in = Files.newInputStream(Paths.get("/dev/urandom"))) {
            in.readNBytes(device, 0, device.length);
        }
        out.put("differ", new String[] {String.valueOf(Math.random()), UUID.randomUUID().toString(), String.valueOf(SECURE.nextLong()),
            String.valueOf(ThreadLocalRandom.current().nextLong()), Arrays.toString(device), System.getenv("AWS_LAMBDA_LOG_STREAM_NAME")});
        return out;
    }
}
