package seen;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import java.util.TreeMap;

/** Tells all that a function can see of how its process was started. */
public class Seen implements RequestHandler<Object, Map<String, Object>> {
    private static final Throwable AT_START = new Throwable();

    @Override
    public Map<String, Object> handleRequest(Object event, Context context) {
        try {
            return look();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private Map<String, Object> look() throws Exception {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("env", new TreeMap<>(System.getenv()));
        out.put("one", System.getenv("CUSTOM"));
        out.put("child", child(new ProcessBuilder("/usr/bin/env", "-0")));
        ProcessBuilder changed = new ProcessBuilder("/usr/bin/env", "-0");
        changed.environment().put("ADDED", "1");
        out.put("changed child", child(changed));
        out.put("stdin", Files.readSymbolicLink(Paths.get("/proc/self/fd/0")).toString());
        out.put("read", System.in.read());
        out.put("child reads", child(new ProcessBuilder("/bin/sh", "-c", "cat && echo end").redirectInput(ProcessBuilder.Redirect.INHERIT)));
        out.put("properties", new TreeMap<>(System.getProperties()));
        out.put("loaders", getClass().getClassLoader().getClass() + " " + getClass().getClassLoader().getParent().getClass() + " "
                + (Thread.currentThread().getContextClassLoader() == getClass().getClassLoader()));
        out.put("open", Object.class.getModule().isOpen("sun.nio.ch", getClass().getModule()));
        out.put("zone", TimeZone.getDefault().getID());
        List<String> frames = new ArrayList<>();
        for (StackTraceElement e : AT_START.getStackTrace()) {
            frames.add(e.toString());
        }
        out.put("start", frames);
        out.put("thread", Thread.currentThread().getName() + " " + new Thread().getName());
        return out;
    }

    private static Object child(ProcessBuilder builder) throws Exception {
        Process p = builder.redirectErrorStream(true).start();
        String[] lines = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8).split("\0");
        p.waitFor();
        java.util.Arrays.sort(lines);
        return lines;
    }
}
