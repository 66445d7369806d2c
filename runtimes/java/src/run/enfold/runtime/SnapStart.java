package run.enfold.runtime;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import org.crac.Core;

/** SnapStart: between loading the function and its first event this process is stored, and others go on from there. */
final class SnapStart {
    private static final String SIGNAL = "_ENFOLD_RESTORED";

    /** What logs a throwable. */
    interface Log {
        void log(Throwable t);
    }

    private final MethodHandles.Lookup all; // may do everything

    private SnapStart() throws ReflectiveOperationException {
        all = Memory.trusted();
    }

    /** Runs the hooks before the snapshot, waits to be restored, and runs those after it. */
    static void pause(RuntimeClient client, String signal, Log log) throws IOException {
        SnapStart s = null;
        String stream = null;
        try {
            s = new SnapStart();
            System.clearProperty("sun.misc.unsafe.memory.access"); // how an option reached Unsafe
            Core.getGlobalContext().beforeCheckpoint(null);
            System.gc(); // what is stored need not be large
            stream = client.restoreNext(signal);
        } catch (Throwable t) {
            fail(client, t, log, "init/error", "Runtime.BeforeCheckpointError");
        }
        try {
            if (stream != null) {
                s.setVariable("AWS_LAMBDA_LOG_STREAM_NAME", stream);
            }
            s.reseed();
            Core.getGlobalContext().afterRestore(null);
        } catch (Throwable t) {
            fail(client, t, log, "restore/error", "Runtime.AfterRestoreError");
        }
    }

    /** Where to look for that this process was restored, or null. The function does not see the variable. */
    static String signal() throws Throwable {
        String signal = System.getenv(SIGNAL);
        if (signal != null) {
            new SnapStart().setVariable(SIGNAL, null);
        }
        return signal;
    }

    private static void fail(RuntimeClient client, Throwable t, Log log, String path, String type) throws IOException {
        Fault.cut(t);
        log.log(t);
        System.out.flush();
        client.lastError(path, Fault.document(t).getBytes(StandardCharsets.UTF_8), type);
        System.exit(64);
    }

    /** Sets or, if value is null, removes a variable in what System.getenv and children see. */
    private void setVariable(String name, String value) throws Throwable {
        Class<?> table = Class.forName("java.lang.ProcessEnvironment");
        Class<?> variable = Class.forName("java.lang.ProcessEnvironment$Variable");
        Class<?> of = Class.forName("java.lang.ProcessEnvironment$Value");
        @SuppressWarnings("unchecked")
        Map<Object, Object> known = (Map<Object, Object>) all.findStaticGetter(table, "theEnvironment", java.util.HashMap.class).invoke();
        Object key = all.findStatic(variable, "valueOf", MethodType.methodType(variable, String.class)).invoke(name);
        if (value == null) {
            known.remove(key);
        } else {
            known.put(key, all.findStatic(of, "valueOf", MethodType.methodType(of, String.class)).invoke(value));
        }
    }

    /**
     * Makes the class library's generators of random numbers go on as in no other process. SecureRandom needs none of it: it asks
     * the kernel every time.
     */
    private void reseed() throws Throwable {
        SecureRandom fresh = new SecureRandom();
        set(Random.class, "seedUniquifier", fresh.nextLong());
        set(ThreadLocalRandom.class, "seeder", fresh.nextLong());
        set(SplittableRandom.class, "defaultGen", fresh.nextLong());
        VarHandle seed = all.findVarHandle(Thread.class, "threadLocalRandomSeed", long.class);
        for (Thread t : Thread.getAllStackTraces().keySet()) {
            if ((long) seed.get(t) != 0) { // it has one
                seed.set(t, fresh.nextLong());
            }
        }
        Class<?> holder = Class.forName("java.lang.Math$RandomNumberGeneratorHolder");
        ((Random) all.findStaticGetter(holder, "randomNumberGenerator", Random.class).invoke()).setSeed(fresh.nextLong());
    }

    private void set(Class<?> c, String field, long seed) throws Throwable {
        ((AtomicLong) all.findStaticGetter(c, field, AtomicLong.class).invoke()).set(seed);
    }
}
