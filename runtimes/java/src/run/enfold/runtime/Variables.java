package run.enfold.runtime;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * What the runtime itself reads of the environment. After a configuration has come it is read from there: System.getenv makes its
 * tables when it is first called, which is a third of a millisecond, and many functions never do.
 */
final class Variables {
    private static Map<String, String> known; // null: only System.getenv knows

    private Variables() {}

    /** The value of a variable, or null. */
    static String get(String name) {
        return known == null ? System.getenv(name) : known.get(name);
    }

    /** Takes a configuration: "NAME=value" entries with a zero byte after each. */
    static void know(byte[] config) {
        Map<String, String> all = new HashMap<>();
        int start = 0;
        int equals = -1;
        for (int i = 0; i < config.length; i++) {
            if (config[i] == '=' && equals < 0) {
                equals = i;
            } else if (config[i] == 0) {
                if (equals > start) {
                    all.putIfAbsent(text(config, start, equals), text(config, equals + 1, i));
                }
                start = i + 1;
                equals = -1;
            }
        }
        known = all;
    }

    private static String text(byte[] config, int from, int to) {
        return new String(config, from, to - from, StandardCharsets.UTF_8);
    }
}
