import java.util.Map;

/** A function with one second of work in its Init phase. */
public class Slow {
    private static final long DONE = work();

    private static long work() {
        long n = 0;
        for (long end = System.nanoTime() + 1_000_000_000L; System.nanoTime() < end;) {
            n++;
        }
        return n;
    }

    public String handleRequest(Map<String, Object> event) {
        return DONE > 0 ? "done" : "";
    }
}
