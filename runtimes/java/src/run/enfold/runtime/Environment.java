package run.enfold.runtime;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;

/**
 * The environment of this process where the kernel put it: above the first thread's stack, an array of pointers to the strings
 * that follow it. Everybody reads it there: System.getenv, once, when it is first called; native code; children; /proc.
 */
final class Environment {
    private final Memory memory;
    private final long pointers; // address of the first
    private final int slots; // how many there are, without the null at their end
    private final long strings;
    private final int room; // bytes

    Environment(Memory memory) throws IOException, ReflectiveOperationException {
        this.memory = memory;
        String stat = new String(Files.readAllBytes(Paths.get("/proc/self/stat")), StandardCharsets.ISO_8859_1);
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" "); // from the third
        long stack = Long.parseUnsignedLong(fields[28 - 3]);
        strings = Long.parseUnsignedLong(fields[50 - 3]);
        room = (int) (Long.parseUnsignedLong(fields[51 - 3]) - strings);
        if (stack == 0 || strings == 0 || room <= 0) {
            throw new IllegalStateException("the kernel does not say where the environment is");
        }
        long at = stack + 8 * (memory.read(stack) + 2); // behind the number of arguments, the arguments and a null
        pointers = at;
        if (memory.read(pointers) != strings) {
            throw new IllegalStateException("the environment is not where it should be");
        }
        while (memory.read(at) != 0) {
            at += 8;
        }
        slots = (int) ((at - pointers) / 8);
    }

    byte[] content() throws ReflectiveOperationException {
        return memory.read(strings, room);
    }

    String get(String name) throws ReflectiveOperationException {
        for (String entry : new String(content(), StandardCharsets.UTF_8).split("\0")) {
            if (entry.startsWith(name + "=")) {
                return entry.substring(name.length() + 1);
            }
        }
        return null;
    }

    /** Replaces all of it by entries with a zero byte after each. */
    void replace(byte[] entries) throws ReflectiveOperationException {
        byte[] text = new byte[room];
        long[] addresses = new long[slots + 1];
        if (entries.length > room) {
            throw new IllegalStateException("the configuration has more bytes than there is room for");
        }
        System.arraycopy(entries, 0, text, 0, entries.length);
        int n = 0;
        int start = 0;
        for (int i = 0; i < entries.length; i++) {
            if (entries[i] != 0) {
                continue;
            }
            if (n == slots) {
                throw new IllegalStateException("the configuration has more variables than there is room for");
            }
            addresses[n++] = strings + start;
            start = i + 1;
        }
        memory.write(strings, text);
        memory.write(pointers, addresses);
    }
}
