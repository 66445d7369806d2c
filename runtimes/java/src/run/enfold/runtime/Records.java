package run.enfold.runtime;

import java.lang.reflect.Method;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.List;

/** Records by reflection: this code is compiled for Java 11, which has none. */
final class Records {
    private Records() {}

    /** {name, generic type, class} of each component, or null if the class is not a record. */
    static List<Object[]> components(Class<?> type) {
        if (type.getSuperclass() == null || !type.getSuperclass().getName().equals("java.lang.Record")) {
            return null;
        }
        try {
            List<Object[]> out = new ArrayList<>();
            for (Object c : (Object[]) Class.class.getMethod("getRecordComponents").invoke(type)) {
                Class<?> k = c.getClass();
                Method generic = k.getMethod("getGenericType");
                out.add(new Object[] {k.getMethod("getName").invoke(c), (Type) generic.invoke(c), k.getMethod("getType").invoke(c)});
            }
            return out;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }
}
