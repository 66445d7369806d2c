package run.enfold.runtime;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The environment of this process where the kernel put it: above the first thread's stack, an array of pointers to the strings
 * that follow it. Everybody reads it there: System.getenv, once, when it is first called; native code; children; /proc.
 */
final class Environment {
    private static final int FILE_LIMIT = 1 << 18; // bytes, of a file of /proc: our environment is a third of that
    private static final int STACK_LIMIT = 1 << 20; // bytes, of the end of the stack
    private static final int AT_RANDOM = 25;
    private static final int AT_EXECFN = 31;

    private final Memory memory;
    private long pointers; // address of the first
    private int slots; // how many there are, without the null at their end
    private long strings;
    private int room; // bytes

    Environment(Memory memory) throws IOException, ReflectiveOperationException {
        this.memory = memory;
        if (!ask()) {
            find();
        }
    }

    /** Asks the kernel where it is, and says whether it does tell: Linux does, gVisor has zeros there. */
    private boolean ask() throws IOException, ReflectiveOperationException {
        String stat = text(file("stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).trim().split(" "); // from the third
        if (fields.length <= 51 - 3) {
            return false;
        }
        long stack = Long.parseUnsignedLong(fields[28 - 3]);
        strings = Long.parseUnsignedLong(fields[50 - 3]);
        room = (int) (Long.parseUnsignedLong(fields[51 - 3]) - strings);
        if (stack == 0 || strings == 0 || room <= 0) {
            return false;
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
        return true;
    }

    /** Looks for it at the end of the stack: first the strings as /proc has them, then, below, the pointers that these must have. */
    private void find() throws IOException, ReflectiveOperationException {
        byte[] entries = file("environ");
        long[] range = stack();
        if (entries.length == 0 || entries[entries.length - 1] != 0 || range == null) {
            throw new IllegalStateException("the kernel does not say where the environment is");
        }
        long from = Math.max(range[0], range[1] - STACK_LIMIT);
        String top = text(memory.read(from, (int) (range[1] - from)));
        int at = top.lastIndexOf(text(entries));
        if (at < 0) {
            throw new IllegalStateException("the environment is not at the end of the stack");
        }
        strings = from + at;
        room = entries.length;
        String array = text(array(entries));
        do {
            at = top.lastIndexOf(array, at - 1);
        } while (at > 0 && at % 8 != 0); // pages begin at multiples of 8
        if (at < 0) {
            throw new IllegalStateException("no pointers to the environment are on the stack");
        }
        pointers = from + at + 8; // behind the null that ends the arguments
    }

    /** What is in memory where the pointers to entries are, with the null before them and the one behind. Sets slots. */
    private byte[] array(byte[] entries) {
        slots = 0;
        for (byte b : entries) {
            slots += b == 0 ? 1 : 0;
        }
        ByteBuffer out = ByteBuffer.allocate(8 * (slots + 2)).order(ByteOrder.nativeOrder());
        out.putLong(0);
        int start = 0;
        for (int i = 0; i < entries.length; i++) {
            if (entries[i] == 0) {
                out.putLong(strings + start);
                start = i + 1;
            }
        }
        return out.array(); // it ends in zeros
    }

    /** Where the stack begins and ends that the program was started with, or null. */
    private static long[] stack() throws IOException {
        long inside = 0;
        ByteBuffer auxiliary = ByteBuffer.wrap(file("auxv")).order(ByteOrder.nativeOrder());
        while (auxiliary.remaining() >= 16) {
            long key = auxiliary.getLong();
            long value = auxiliary.getLong();
            if (key == AT_EXECFN || key == AT_RANDOM && inside == 0) {
                inside = value;
            }
        }
        for (String line : text(file("maps")).split("\n")) {
            String[] fields = line.split("[- ]", 4); // start, end, permissions
            if (fields.length < 4 || !fields[2].startsWith("rw")) {
                continue;
            }
            long start = Long.parseUnsignedLong(fields[0], 16);
            long end = Long.parseUnsignedLong(fields[1], 16);
            if (start <= inside && inside < end) {
                return new long[] {start, end};
            }
        }
        return null;
    }

    /** A file of /proc, in as few reads as the kernel allows: gVisor makes it anew for each. */
    private static byte[] file(String name) throws IOException {
        byte[] out = new byte[FILE_LIMIT];
        int size = 0;
        try (InputStream in = new FileInputStream("/proc/self/" + name)) {
            for (int n = in.read(out); n > 0; n = in.read(out, size, out.length - size)) {
                size += n;
            }
        }
        if (size == out.length) {
            throw new IllegalStateException("/proc/self/" + name + " has " + size + " bytes and more");
        }
        return Arrays.copyOf(out, size);
    }

    /** Bytes as a String, in which one can search. */
    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
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
