package run.enfold.runtime;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/** A failure of the function's set-up: no such class, no fitting method, a constructor that throws. It has no stack of its own. */
final class Fault extends RuntimeException {
    private static final long serialVersionUID = 1;
    private static final String OURS = Fault.class.getPackage().getName() + ".";

    final String type; // may be null
    final String trace; // may be null
    final boolean fatal; // the process ends

    Fault(String message, String type, String trace, boolean fatal) {
        super(message);
        this.type = type;
        this.trace = trace;
        this.fatal = fatal;
    }

    static Fault of(String message) {
        return new Fault(message, null, null, false);
    }

    static Fault of(Throwable t, boolean fatal) {
        return new Fault(messageOf(t), t.getClass().getName(), trace(t), fatal);
    }

    static String messageOf(Throwable t) {
        String message = t.getLocalizedMessage();
        return message == null ? t.getClass().getName() : message;
    }

    /** The lines for the log. */
    static String report(Throwable t) {
        if (t instanceof Fault) {
            Fault f = (Fault) t;
            if (f.type == null && f.trace == null) {
                return f.getMessage() + "\n";
            }
            return f.getMessage() + ": " + (f.type == null ? "" : f.type) + "\n" + (f.trace == null ? "" : f.trace) + "\n";
        }
        return messageOf(t) + ": " + t.getClass().getName() + "\n" + trace(t) + "\n";
    }

    static String trace(Throwable t) {
        cut(t);
        StringWriter out = new StringWriter();
        t.printStackTrace(new PrintWriter(out));
        return out.toString();
    }

    /** Removes the runtime's own frames, and what called it, from a throwable and all that it carries. */
    static <T extends Throwable> T cut(T t) {
        cut(t, Collections.newSetFromMap(new IdentityHashMap<>()));
        return t;
    }

    private static void cut(Throwable t, Set<Throwable> seen) {
        if (t == null || !seen.add(t) || seen.size() > 1000) {
            return;
        }
        StackTraceElement[] all = t.getStackTrace();
        for (int i = 0; i < all.length; i++) {
            if (all[i].getClassName().startsWith(OURS)) {
                StackTraceElement[] theirs = new StackTraceElement[i];
                System.arraycopy(all, 0, theirs, 0, i);
                t.setStackTrace(theirs);
                break;
            }
        }
        cut(t.getCause(), seen);
        for (Throwable s : t.getSuppressed()) {
            cut(s, seen);
        }
    }

    /** The error document: what the caller of the function gets. */
    static String document(Throwable t) {
        StringBuilder out = new StringBuilder("{\"errorMessage\":");
        Json.quote(out, messageOf(t));
        String type = t instanceof Fault ? ((Fault) t).type : t.getClass().getName();
        if (type != null) {
            out.append(",\"errorType\":");
            Json.quote(out, type);
        }
        if (!(t instanceof Fault)) {
            out.append(",\"stackTrace\":[");
            String comma = "";
            for (StackTraceElement e : cut(t).getStackTrace()) {
                out.append(comma);
                Json.quote(out, e.toString());
                comma = ",";
            }
            out.append(']');
        }
        return out.append('}').toString();
    }

    /** Throws anything, checked or not. */
    @SuppressWarnings("unchecked")
    static <T extends Throwable> RuntimeException rethrow(Throwable t) throws T {
        throw (T) t;
    }
}
