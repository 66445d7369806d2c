package snap;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import org.crac.Core;
import org.crac.Resource;

/** Functions with hooks of SnapStart. */
public class Hooks implements RequestHandler<Object, Object> {
    final List<String> seen = new ArrayList<>();

    static class Named implements Resource {
        final List<String> seen;
        final String name;

        Named(List<String> seen, String name) {
            this.seen = seen;
            this.name = name;
        }

        @Override
        public void beforeCheckpoint(org.crac.Context<? extends Resource> context) throws Exception {
            seen.add("before " + name);
        }

        @Override
        public void afterRestore(org.crac.Context<? extends Resource> context) throws Exception {
            seen.add("after " + name + " in " + System.getenv("AWS_LAMBDA_LOG_STREAM_NAME"));
        }
    }

    public Hooks() {
        Core.getGlobalContext().register(new Named(seen, "1"));
        Core.getGlobalContext().register(new Named(seen, "2"));
    }

    @Override
    public Object handleRequest(Object event, Context context) {
        List<String> out = new ArrayList<>(seen);
        out.add(context.getLogStreamName());
        out.add(System.getenv("_ENFOLD_RESTORED"));
        return out;
    }

    /** Fails where the environment says. */
    public static class Failing extends Hooks {
        public Failing() {
            Core.getGlobalContext().register(new Named(seen, "3") {
                @Override
                public void beforeCheckpoint(org.crac.Context<? extends Resource> context) throws Exception {
                    if ("before".equals(System.getenv("FAIL"))) {
                        throw new IllegalStateException("no luck");
                    }
                }

                @Override
                public void afterRestore(org.crac.Context<? extends Resource> context) throws Exception {
                    if ("after".equals(System.getenv("FAIL"))) {
                        throw new IllegalStateException("no luck");
                    }
                }
            });
        }
    }

    /** Says what is random, with seeds that are those of every such process. */
    public static class Twin extends Hooks {
        public Twin() {
            Math.random();
            ThreadLocalRandom.current().nextLong();
            Core.getGlobalContext().register(new Named(seen, "twin") {
                @Override
                public void beforeCheckpoint(org.crac.Context<? extends Resource> context) throws Exception {
                    Seeds.same();
                }
            });
        }

        @Override
        public Object handleRequest(Object event, Context context) {
            return "twin " + Math.random() + " " + ThreadLocalRandom.current().nextLong() + " " + new SplittableRandom().nextLong() + " "
                    + Seeds.next() + " " + UUID.randomUUID();
        }
    }
}
