package org.crac;

import java.util.ArrayList;
import java.util.List;

/**
 * Where functions register for SnapStart. These few classes are the part of the org.crac library that AWS documents; the function's own
 * copy of the library is not loaded.
 *
 * <p>See https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-java.html.
 */
public class Core {
    private static final Context<Resource> GLOBAL = new Global();

    private Core() {}

    public static Context<Resource> getGlobalContext() {
        return GLOBAL;
    }

    /** Only the platform makes snapshots. */
    public static void checkpointRestore() throws CheckpointException, RestoreException {
        throw new UnsupportedOperationException("Lambda makes the snapshot");
    }

    private static final class Global extends Context<Resource> {
        private final List<Resource> resources = new ArrayList<>();

        @Override
        public synchronized void register(Resource resource) {
            resources.add(resource);
        }

        private synchronized List<Resource> copy() {
            return new ArrayList<>(resources);
        }

        /** Those registered last are told first. */
        @Override
        public void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
            List<Resource> all = copy();
            List<Exception> thrown = new ArrayList<>();
            for (int i = all.size() - 1; i >= 0; i--) {
                try {
                    all.get(i).beforeCheckpoint(this);
                } catch (Exception e) {
                    thrown.add(e);
                }
            }
            if (!thrown.isEmpty()) {
                throw with(new CheckpointException(thrown.get(0).toString()), thrown);
            }
        }

        /** Those registered first are told first. */
        @Override
        public void afterRestore(Context<? extends Resource> context) throws RestoreException {
            List<Exception> thrown = new ArrayList<>();
            for (Resource r : copy()) {
                try {
                    r.afterRestore(this);
                } catch (Exception e) {
                    thrown.add(e);
                }
            }
            if (!thrown.isEmpty()) {
                throw with(new RestoreException(thrown.get(0).toString()), thrown);
            }
        }

        private static <E extends Exception> E with(E e, List<Exception> thrown) {
            e.initCause(thrown.get(0));
            for (Exception t : thrown.subList(1, thrown.size())) {
                e.addSuppressed(t);
            }
            return e;
        }
    }
}
