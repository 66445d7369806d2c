package snap;

import java.lang.reflect.Field;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;

/** Gives the class library's generators of random numbers the same seeds in every process, as a snapshot does. */
final class Seeds {
    private Seeds() {}

    static void same() throws Exception {
        Class<?> holder = Class.forName("java.lang.Math$RandomNumberGeneratorHolder");
        ((Random) get(holder, "randomNumberGenerator")).setSeed(1);
        ((AtomicLong) get(SplittableRandom.class, "defaultGen")).set(1);
        ((AtomicLong) get(Random.class, "seedUniquifier")).set(1);
        Field seed = Thread.class.getDeclaredField("threadLocalRandomSeed");
        seed.setAccessible(true);
        seed.setLong(Thread.currentThread(), 1);
    }

    /** What the next Random would be seeded with, the time apart. */
    static long next() {
        try {
            return ((AtomicLong) get(Random.class, "seedUniquifier")).get();
        } catch (Exception e) {
            return 0;
        }
    }

    private static Object get(Class<?> c, String field) throws Exception {
        Field f = c.getDeclaredField(field);
        f.setAccessible(true);
        return f.get(null);
    }
}
