package run.enfold.runtime;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.lang.reflect.Method;

/**
 * What a process may do with itself and Java does not offer: its own memory, and its descriptor 0. All by sun.misc.Unsafe, which
 * needs no option of the virtual machine by which functions would be let into the class library too. By reflection, because the
 * compiler's warning of that class cannot be turned off.
 */
final class Memory {
    private final Object unsafe;
    private final Method getLong;
    private final Method copy;
    private final long bytes; // where an array's first element is
    private final long longs;
    private final int emptyInput;
    private final MethodHandle dup2;
    private final MethodHandle close;

    Memory() throws Throwable {
        Class<?> c = Class.forName("sun.misc.Unsafe");
        Field the = c.getDeclaredField("theUnsafe");
        the.setAccessible(true);
        unsafe = the.get(null);
        getLong = c.getMethod("getLong", long.class);
        copy = c.getMethod("copyMemory", Object.class, long.class, Object.class, long.class, long.class);
        Method base = c.getMethod("arrayBaseOffset", Class.class);
        bytes = ((Number) base.invoke(unsafe, byte[].class)).longValue();
        longs = ((Number) base.invoke(unsafe, long[].class)).longValue();
        MethodHandles.Lookup all = trusted(c, unsafe);
        Class<?> descriptors = Class.forName("sun.nio.ch.InheritedChannel");
        dup2 = all.findStatic(descriptors, "dup2", MethodType.methodType(void.class, int.class, int.class));
        MethodHandle open = all.findStatic(descriptors, "open0", MethodType.methodType(int.class, String.class, int.class));
        close = all.findStatic(descriptors, "close0", MethodType.methodType(void.class, int.class));
        emptyInput = (int) open.invokeExact("/dev/null", 0 /* O_RDONLY */);
        replace((int) open.invokeExact("/dev/null", 0), emptyInput); // so that this has been done once
    }

    /** A lookup that may do everything. */
    static MethodHandles.Lookup trusted() throws ReflectiveOperationException {
        Class<?> c = Class.forName("sun.misc.Unsafe");
        Field the = c.getDeclaredField("theUnsafe");
        the.setAccessible(true);
        return trusted(c, the.get(null));
    }

    private static MethodHandles.Lookup trusted(Class<?> c, Object unsafe) throws ReflectiveOperationException {
        Field f = MethodHandles.Lookup.class.getDeclaredField("IMPL_LOOKUP");
        Object base = c.getMethod("staticFieldBase", Field.class).invoke(unsafe, f);
        long offset = (long) c.getMethod("staticFieldOffset", Field.class).invoke(unsafe, f);
        return (MethodHandles.Lookup) c.getMethod("getObject", Object.class, long.class).invoke(unsafe, base, offset);
    }

    long read(long address) throws ReflectiveOperationException {
        return (long) getLong.invoke(unsafe, address);
    }

    byte[] read(long address, int size) throws ReflectiveOperationException {
        byte[] out = new byte[size];
        copy.invoke(unsafe, null, address, out, bytes, (long) size);
        return out;
    }

    void write(long address, byte[] data) throws ReflectiveOperationException {
        copy.invoke(unsafe, data, bytes, null, address, (long) data.length);
    }

    void write(long address, long[] data) throws ReflectiveOperationException {
        copy.invoke(unsafe, data, longs, null, address, 8L * data.length);
    }

    /** Makes /dev/null the process's standard input. To close System.in would put a /dev/null there that cannot be read. Once. */
    void emptyInput() throws Throwable {
        replace(emptyInput, 0);
    }

    private void replace(int from, int to) throws Throwable {
        dup2.invokeExact(from, to);
        close.invokeExact(from);
    }
}
