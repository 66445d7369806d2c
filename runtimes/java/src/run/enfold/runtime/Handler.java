package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;

/** A function's handler: bytes in, bytes out. */
interface Handler {
    /** Runs one event. What the function throws comes out as it is. */
    byte[] run(byte[] event, Context context) throws Throwable;

    /**
     * Finds the handler of a name: pkg.Class::method, or pkg.Class if it implements RequestHandler or RequestStreamHandler.
     * A Fault that is not fatal is what every invocation then answers, as on AWS.
     */
    static Handler find(String name, ClassLoader loader) {
        int colons = name.lastIndexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        String method = colons < 0 ? null : name.substring(colons + 2);
        if (className.isEmpty() || method != null && method.isEmpty()) {
            throw Fault.of("Invalid handler: `" + name + "'");
        }
        Class<?> c;
        try {
            c = Class.forName(className, true, loader);
        } catch (ClassNotFoundException e) {
            throw new Fault("Class not found: " + className, e.getClass().getName(), Fault.trace(e), false);
        } catch (NoClassDefFoundError e) {
            throw loading(className, e, false);
        } catch (Throwable e) {
            throw loading(className, e, true);
        }
        Mapping mapping = Mapping.of(loader);
        if (method != null) {
            return byMethod(c, method, mapping);
        }
        if (RequestStreamHandler.class.isAssignableFrom(c)) {
            return stream((RequestStreamHandler) create(c));
        }
        if (RequestHandler.class.isAssignableFrom(c)) {
            return object(c, mapping);
        }
        throw Fault.of("Class does not implement an appropriate handler interface: " + c.getName());
    }

    private static Fault loading(String className, Throwable e, boolean fatal) {
        String message = e.getMessage() == null ? "" : ": " + e.getMessage();
        return new Fault("Error loading class " + className + message, e.getClass().getName(), Fault.trace(e), fatal);
    }

    private static Object create(Class<?> c) {
        Constructor<?> constructor;
        try {
            constructor = c.getConstructor();
        } catch (NoSuchMethodException e) {
            boolean inner = c.getEnclosingClass() != null && !Modifier.isStatic(c.getModifiers());
            throw Fault.of(new Exception("Class " + c.getName()
                    + (inner ? " cannot be instantiated because it is a non-static inner class" : " has no public zero-argument constructor"),
                    inner ? null : e), false);
        }
        try {
            return constructor.newInstance();
        } catch (InvocationTargetException e) {
            throw Fault.of(e.getCause() == null ? e : e.getCause(), true);
        } catch (ReflectiveOperationException e) {
            throw Fault.of(e.getCause() == null ? e : e.getCause(), false);
        }
    }

    private static Handler stream(RequestStreamHandler handler) {
        return (event, context) -> {
            ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
            handler.handleRequest(new ByteArrayInputStream(event), out, context);
            return out.toByteArray();
        };
    }

    @SuppressWarnings("unchecked")
    private static Handler object(Class<?> c, Mapping mapping) {
        TypeVariable<?>[] variables = RequestHandler.class.getTypeParameters();
        Map<TypeVariable<?>, Type> known = Types.bindings(c);
        Type in = known.get(variables[0]);
        Type out = known.get(variables[1]);
        if (in == null || out == null) {
            throw Fault.of("Class " + c.getName() + " does not implement RequestHandler with concrete type parameters");
        }
        RequestHandler<Object, Object> handler = (RequestHandler<Object, Object>) create(c);
        return mapped(in, out, mapping, handler::handleRequest);
    }

    /** The part of a handler between its two JSON ends. */
    interface Body {
        Object call(Object input, Context context) throws Throwable;
    }

    /** Puts JSON around a body. in may be null: the event is not looked at. */
    private static Handler mapped(Type in, Type out, Mapping mapping, Body body) {
        boolean silent = out == void.class || out == Void.class;
        return (event, context) -> {
            Object input;
            try {
                input = in == null ? null : mapping.read(event, in);
            } catch (Throwable t) {
                throw new RuntimeException("An error occurred during JSON parsing", t);
            }
            Object output = body.call(input, context);
            if (silent) {
                return new byte[] {'n', 'u', 'l', 'l'};
            }
            try {
                return mapping.write(output, out);
            } catch (Throwable t) {
                throw new RuntimeException("An error occurred during JSON serialization of response", t);
            }
        };
    }

    /** Of the public methods of a name, the one with most parameters, where a Context at the end counts twice. */
    private static Handler byMethod(Class<?> c, String name, Mapping mapping) {
        List<Method> all = new ArrayList<>();
        try {
            for (Method m : c.getMethods()) {
                if (m.getName().equals(name)) {
                    all.add(m);
                }
            }
        } catch (NoClassDefFoundError e) {
            throw new Fault("Error loading method " + name + " on class " + c.getName(), e.getClass().getName(), Fault.trace(e), false);
        }
        all.sort((a, b) -> a.isBridge() != b.isBridge() ? Boolean.compare(a.isBridge(), b.isBridge()) : weight(b) - weight(a));
        for (Method m : all) {
            Handler h = ofMethod(c, m, mapping);
            if (h != null) {
                return h;
            }
        }
        throw Fault.of("No public method named " + name + " with appropriate method signature found on class " + c.getName());
    }

    private static int weight(Method m) {
        Class<?>[] p = m.getParameterTypes();
        return p.length + (p.length > 0 && p[p.length - 1] == Context.class ? 1 : 0);
    }

    /** A handler of a method, or null if its parameters do not fit: (), (I), (Context), (I, Context), or streams. */
    private static Handler ofMethod(Class<?> c, Method m, Mapping mapping) {
        List<Class<?>> p = List.of(m.getParameterTypes());
        boolean context = !p.isEmpty() && p.get(p.size() - 1) == Context.class;
        List<Class<?>> rest = context ? p.subList(0, p.size() - 1) : p;
        boolean streams = rest.equals(List.of(InputStream.class)) || rest.equals(List.of(OutputStream.class))
                || rest.equals(List.of(InputStream.class, OutputStream.class));
        if (!streams && rest.size() > 1 || rest.contains(Context.class)) {
            return null;
        }
        Object target = Modifier.isStatic(m.getModifiers()) ? null : create(c);
        if (streams) {
            return (event, ctx) -> {
                ByteArrayOutputStream out = new ByteArrayOutputStream(1024);
                List<Object> arguments = new ArrayList<>();
                for (Class<?> k : rest) {
                    arguments.add(k == InputStream.class ? new ByteArrayInputStream(event) : out);
                }
                call(m, target, arguments, context ? ctx : null);
                return out.toByteArray();
            };
        }
        Map<TypeVariable<?>, Type> known = Types.bindings(c);
        Type in = rest.isEmpty() ? null : Types.substitute(m.getGenericParameterTypes()[0], known);
        return mapped(in, Types.substitute(m.getGenericReturnType(), known), mapping, (input, ctx) -> {
            List<Object> arguments = new ArrayList<>();
            if (in != null) {
                arguments.add(input);
            }
            return call(m, target, arguments, context ? ctx : null);
        });
    }

    private static Object call(Method m, Object target, List<Object> arguments, Context context) throws Throwable {
        if (context != null) {
            arguments.add(context);
        }
        try {
            return m.invoke(target, arguments.toArray());
        } catch (InvocationTargetException e) {
            throw e.getCause() == null ? e : e.getCause();
        }
    }

    /** How events become objects: our way, or that of a CustomPojoSerializer that the function brings. */
    interface Mapping {
        Object read(byte[] event, Type type) throws Exception;

        byte[] write(Object value, Type type) throws Exception;

        static Mapping of(ClassLoader loader) {
            Iterator<CustomPojoSerializer> found = ServiceLoader.load(CustomPojoSerializer.class, loader).iterator();
            if (found.hasNext()) {
                CustomPojoSerializer own = found.next();
                if (found.hasNext()) {
                    throw Fault.of("Too many serializers provided inside the META-INF/services folder, only one is allowed");
                }
                return custom(own);
            }
            return new Mapping() {
                @Override
                public Object read(byte[] event, Type type) throws Exception {
                    return Mapper.read(new String(event, StandardCharsets.UTF_8), type);
                }

                @Override
                public byte[] write(Object value, Type type) throws Exception {
                    return Mapper.write(value).getBytes(StandardCharsets.UTF_8);
                }
            };
        }

        private static Mapping custom(CustomPojoSerializer own) {
            return new Mapping() {
                @Override
                public Object read(byte[] event, Type type) {
                    return own.<Object>fromJson(new ByteArrayInputStream(event), type);
                }

                @Override
                public byte[] write(Object value, Type type) {
                    ByteArrayOutputStream out = new ByteArrayOutputStream();
                    own.toJson(value, out, type);
                    return out.toByteArray();
                }
            };
        }
    }
}
