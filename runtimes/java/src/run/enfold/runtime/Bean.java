package run.enfold.runtime;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The properties of a class: public fields, public getters, setters of any visibility, or the components of a record. Names are
 * those of JavaBeans: getURL is "URL", getName is "name". Properties are in the order of the fields behind them, then by name.
 */
final class Bean {
    /** One property. Either end may be missing. */
    static final class Property {
        final String name;
        Field field;
        Method getter;
        Method setter;
        boolean known; // only a place in the order if false

        Property(String name) {
            this.name = name;
        }

        boolean readable() {
            return getter != null || field != null;
        }

        Type type() {
            if (setter != null) {
                return setter.getGenericParameterTypes()[0];
            }
            return field != null ? field.getGenericType() : null;
        }

        Type readType() {
            return getter != null ? getter.getGenericReturnType() : field.getGenericType();
        }

        Object get(Object bean) throws Exception {
            return getter != null ? call(() -> getter.invoke(bean)) : field.get(bean);
        }

        void set(Object bean, Object value) throws Exception {
            if (setter != null) {
                call(() -> setter.invoke(bean, value));
            } else {
                field.set(bean, value);
            }
        }
    }

    private interface Call {
        Object run() throws Exception;
    }

    private static Object call(Call c) throws Exception {
        try {
            return c.run();
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }

    private static final Map<Class<?>, Bean> CACHE = new ConcurrentHashMap<>();

    private final Class<?> type;
    private final Map<String, Property> properties = new LinkedHashMap<>();
    private final Map<String, Property> loose = new LinkedHashMap<>(); // of event classes: by name without case and marks
    private final List<Object[]> components; // name, type of a record's; null for others
    private Constructor<?> constructor;

    static Bean of(Class<?> type) {
        return CACHE.computeIfAbsent(type, Bean::new);
    }

    /** Lets go of all classes. */
    static void forget() {
        CACHE.clear();
    }

    private Bean(Class<?> type) {
        this.type = type;
        this.components = Records.components(type);
        if (Events.isEvent(type)) {
            addFields(type, true);
            for (Property p : properties.values()) {
                loose.put(Events.loose(p.name), p);
            }
        } else {
            addFields(type, false);
            addMethods(type);
        }
        properties.values().removeIf(p -> !p.known);
        constructor = findConstructor();
    }

    List<Property> properties() {
        return new ArrayList<>(properties.values());
    }

    /** The property of a JSON name, or null. */
    Property property(String name) {
        Property p = properties.get(name);
        return p != null || loose.isEmpty() ? p : loose.get(Events.loose(name));
    }

    private void addFields(Class<?> c, boolean hidden) {
        if (c == null || c == Object.class) {
            return;
        }
        addFields(c.getSuperclass(), hidden);
        for (Field f : c.getDeclaredFields()) {
            int m = f.getModifiers();
            if (Modifier.isStatic(m) || Modifier.isTransient(m) || f.isSynthetic()) {
                continue;
            }
            Property p = properties.computeIfAbsent(f.getName(), Property::new);
            if (hidden || Modifier.isPublic(m)) {
                if (open(f)) {
                    p.field = f;
                    p.known = true;
                }
            }
        }
    }

    private void addMethods(Class<?> c) {
        Map<String, List<Method>> setters = new LinkedHashMap<>();
        for (Method m : allMethods(c)) {
            int mod = m.getModifiers();
            if (Modifier.isStatic(mod) || m.isBridge() || m.isSynthetic() || m.getDeclaringClass() == Object.class) {
                continue;
            }
            String getter = getterName(m);
            if (getter != null && Modifier.isPublic(mod) && open(m)) {
                Property p = properties.computeIfAbsent(getter, Property::new);
                if (p.getter == null || p.getter.getName().startsWith("is")) {
                    p.getter = m;
                }
                p.known = true;
            } else if (m.getName().startsWith("set") && m.getName().length() > 3 && m.getParameterCount() == 1 && open(m)) {
                setters.computeIfAbsent(decapitalize(m.getName().substring(3)), k -> new ArrayList<>()).add(m);
            }
        }
        setters.forEach((name, all) -> {
            Property p = properties.computeIfAbsent(name, Property::new);
            p.setter = best(all, p);
            p.known = true;
        });
    }

    /** Methods of a class and its ancestors, overridden ones once, in an order that does not depend on the machine. */
    private static List<Method> allMethods(Class<?> c) {
        Map<String, Method> out = new LinkedHashMap<>();
        for (Class<?> k = c; k != null && k != Object.class; k = k.getSuperclass()) {
            for (Method m : k.getDeclaredMethods()) {
                if (!m.isBridge()) {
                    out.putIfAbsent(m.getName() + Arrays.toString(m.getParameterTypes()), m);
                }
            }
        }
        for (Method m : c.getMethods()) { // default methods of interfaces
            out.putIfAbsent(m.getName() + Arrays.toString(m.getParameterTypes()), m);
        }
        List<Method> methods = new ArrayList<>(out.values());
        methods.sort(Comparator.comparing(Method::getName).thenComparing(Method::toString));
        return methods;
    }

    private String getterName(Method m) {
        String name = m.getName();
        Class<?> result = m.getReturnType();
        if (m.getParameterCount() > 0 || result == void.class) {
            return null;
        }
        if (components != null && components.stream().anyMatch(c -> c[0].equals(name))) {
            return name;
        }
        if (name.startsWith("get") && name.length() > 3 && !name.equals("getClass") && !name.equals("getDeclaringClass")) {
            return decapitalize(name.substring(3));
        }
        if (name.startsWith("is") && name.length() > 2 && (result == boolean.class || result == Boolean.class)) {
            return decapitalize(name.substring(2));
        }
        return null;
    }

    /** Of overloaded setters the one that takes what the getter gives, or the one that takes the field's type. */
    private Method best(List<Method> setters, Property p) {
        for (Method m : setters) {
            if (p.getter != null && m.getParameterTypes()[0] == p.getter.getReturnType()) {
                return m;
            }
        }
        for (Class<?> c = type; c != null; c = c.getSuperclass()) {
            try {
                Class<?> wanted = c.getDeclaredField(p.name).getType();
                for (Method m : setters) {
                    if (m.getParameterTypes()[0] == wanted) {
                        return m;
                    }
                }
            } catch (NoSuchFieldException e) {
                continue;
            }
        }
        return setters.get(0);
    }

    /** The rule of JavaBeans: two capitals at the start stay. */
    static String decapitalize(String name) {
        if (name.length() > 1 && Character.isUpperCase(name.charAt(0)) && Character.isUpperCase(name.charAt(1))) {
            return name;
        }
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    private static boolean open(AccessibleObject o) {
        try {
            o.setAccessible(true);
            return true;
        } catch (RuntimeException e) { // a class of the JDK
            return false;
        }
    }

    private Constructor<?> findConstructor() {
        try {
            Constructor<?> c;
            if (components != null) {
                c = type.getDeclaredConstructor(components.stream().map(x -> Types.raw((Type) x[2])).toArray(Class<?>[]::new));
            } else {
                c = type.getDeclaredConstructor();
            }
            return !Modifier.isAbstract(type.getModifiers()) && open(c) ? c : null;
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    /** The components of a record with their types, or null. */
    List<Object[]> components() {
        return components == null ? null : Collections.unmodifiableList(components);
    }

    /** Makes an object. arguments are those of a record. */
    Object create(Object... arguments) throws Exception {
        if (constructor != null) {
            return call(() -> constructor.newInstance(arguments));
        }
        if (Events.isEvent(type)) {
            return Events.allocate(type); // the classes of S3 events have no setters
        }
        throw new Json.Failure("Cannot construct instance of `" + type.getName()
                + "` (no Creators, like default constructor, exist): cannot deserialize from Object value (no delegate- or"
                + " property-based Creator)");
    }
}
