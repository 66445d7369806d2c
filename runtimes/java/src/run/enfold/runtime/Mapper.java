package run.enfold.runtime;

import java.io.File;
import java.lang.reflect.Array;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.Currency;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.LinkedList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.TimeZone;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Turns JSON into objects and back, by the rules that AWS's Java runtimes use: JavaBeans names, unknown members ignored, null
 * members not written, an empty string for an object is null, a single value may stand for an array.
 */
final class Mapper {
    private Mapper() {}

    // ---- JSON to objects

    static Object read(String json, Type type) throws Exception {
        return bind(Json.parse(json), type, false);
    }

    private static Json.Failure cannot(Object tree, Class<?> c) {
        String what = tree instanceof Map ? "Object value (token `JsonToken.START_OBJECT`)"
                : tree instanceof List ? "Array value (token `JsonToken.START_ARRAY`)"
                : tree instanceof String ? "String \"" + shorten((String) tree) + "\""
                : tree instanceof Boolean ? "Boolean value (token `JsonToken.VALUE_" + tree.toString().toUpperCase(Locale.ROOT) + "`)"
                : "Number value (" + shorten(String.valueOf(tree)) + ")";
        return new Json.Failure("Cannot deserialize value of type `" + c.getTypeName() + "` from " + what);
    }

    private static String shorten(String s) {
        return s.length() > 80 ? s.substring(0, 80) + "…" : s;
    }

    private static Object bind(Object tree, Type type, boolean event) throws Exception {
        if (type instanceof GenericArrayType) {
            return array(tree, ((GenericArrayType) type).getGenericComponentType(), event);
        }
        Class<?> c = Types.raw(type);
        if (Optional.class == c) {
            return Optional.ofNullable(bind(tree, Types.argument(type, Optional.class, 0), event));
        }
        if (tree == null) {
            return c.isPrimitive() ? Array.get(Array.newInstance(c, 1), 0) : emptyOptional(c);
        }
        if (c == Object.class || c == java.io.Serializable.class) {
            return untyped(tree);
        }
        if (c.isArray() && c != byte[].class && c != char[].class) {
            return array(tree, c.getComponentType(), event);
        }
        if (Collection.class.isAssignableFrom(c) || c == Iterable.class) {
            return collection(tree, type, event);
        }
        if (Map.class.isAssignableFrom(c)) {
            return map(tree, type, event);
        }
        if (tree instanceof List && ((List<?>) tree).size() == 1 && !Times.handles(c)) {
            return bind(((List<?>) tree).get(0), type, event);
        }
        if (tree instanceof List && ((List<?>) tree).isEmpty() && !c.isPrimitive()) {
            return null;
        }
        return scalarOrBean(tree, type, c, event);
    }

    private static Object scalarOrBean(Object tree, Type type, Class<?> c, boolean event) throws Exception {
        if (Times.handles(c) && !c.isEnum()) {
            return Times.read(tree, c, event);
        }
        if (c.isEnum()) {
            return enumValue(tree, c);
        }
        if (c == String.class || c == CharSequence.class) {
            return text(tree, c);
        }
        if (c.isPrimitive() || Number.class.isAssignableFrom(c) || c == Boolean.class || c == Character.class) {
            return primitive(tree, c);
        }
        if (tree instanceof String) {
            Object known = fromText((String) tree, c);
            if (known != null) {
                return known;
            }
            if (((String) tree).isEmpty()) {
                return null;
            }
        }
        Object simple = optionalOrAtomic(tree, c);
        if (simple != null) {
            return simple;
        }
        if (!(tree instanceof Map)) {
            throw cannot(tree, c);
        }
        return bean((Map<?, ?>) tree, type);
    }

    private static Object emptyOptional(Class<?> c) {
        return c == OptionalInt.class ? OptionalInt.empty()
                : c == OptionalLong.class ? OptionalLong.empty() : c == OptionalDouble.class ? OptionalDouble.empty() : null;
    }

    private static Object optionalOrAtomic(Object tree, Class<?> c) {
        if (c == OptionalInt.class) {
            return OptionalInt.of((Integer) primitive(tree, int.class));
        }
        if (c == OptionalLong.class) {
            return OptionalLong.of((Long) primitive(tree, long.class));
        }
        if (c == OptionalDouble.class) {
            return OptionalDouble.of((Double) primitive(tree, double.class));
        }
        return c == AtomicBoolean.class ? new AtomicBoolean((Boolean) primitive(tree, boolean.class)) : null;
    }

    /** What Object becomes: LinkedHashMap, ArrayList, String, Integer or the next that is large enough, Double, Boolean. */
    private static Object untyped(Object tree) {
        if (tree instanceof Map) {
            Map<String, Object> out = new LinkedHashMap<>();
            ((Map<?, ?>) tree).forEach((k, v) -> out.put((String) k, untyped(v)));
            return out;
        }
        if (tree instanceof List) {
            List<Object> out = new ArrayList<>();
            ((List<?>) tree).forEach(v -> out.add(untyped(v)));
            return out;
        }
        if (tree instanceof Long && (Long) tree == ((Long) tree).intValue()) {
            return ((Long) tree).intValue();
        }
        return tree instanceof BigDecimal ? (Object) ((BigDecimal) tree).doubleValue() : tree;
    }

    private static Object array(Object tree, Type part, boolean event) throws Exception {
        List<?> in = tree instanceof List ? (List<?>) tree : Collections.singletonList(tree);
        Object out = Array.newInstance(Types.raw(part), in.size());
        for (int i = 0; i < in.size(); i++) {
            Array.set(out, i, bind(in.get(i), part, event));
        }
        return out;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object collection(Object tree, Type type, boolean event) throws Exception {
        Class<?> c = Types.raw(type);
        if (tree instanceof String && ((String) tree).isEmpty()) {
            return null;
        }
        List<?> in = tree instanceof List ? (List<?>) tree : Collections.singletonList(tree);
        Type part = Types.argument(type, Iterable.class, 0);
        Collection<Object> out;
        if (!c.isInterface() && !Modifier.isAbstract(c.getModifiers())) {
            out = EnumSet.class.isAssignableFrom(c) ? (Collection) EnumSet.noneOf((Class) Types.raw(part))
                    : (Collection<Object>) Bean.of(c).create();
        } else if (c.isAssignableFrom(ArrayList.class)) {
            out = new ArrayList<>(in.size());
        } else if (EnumSet.class == c) {
            out = (Collection) EnumSet.noneOf((Class) Types.raw(part));
        } else {
            out = firstFitting(c, new LinkedHashSet<>(), new TreeSet<>(), new LinkedList<>(), new ArrayDeque<>());
        }
        for (Object v : in) {
            out.add(bind(v, part, event));
        }
        return out;
    }

    @SafeVarargs
    private static <T> T firstFitting(Class<?> c, T... all) {
        for (T t : all) {
            if (c.isInstance(t)) {
                return t;
            }
        }
        throw new Json.Failure("Cannot construct instance of `" + c.getName() + "`");
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object map(Object tree, Type type, boolean event) throws Exception {
        Class<?> c = Types.raw(type);
        if (!(tree instanceof Map)) {
            if (tree instanceof String && ((String) tree).isEmpty()) {
                return null;
            }
            throw cannot(tree, c);
        }
        Type key = Types.argument(type, Map.class, 0);
        Type value = Types.argument(type, Map.class, 1);
        Map<Object, Object> out;
        if (c == EnumMap.class) {
            out = new EnumMap(Types.raw(key));
        } else if (!c.isInterface() && !Modifier.isAbstract(c.getModifiers())) {
            out = (Map<Object, Object>) Bean.of(c).create();
        } else {
            out = firstFitting(c, new LinkedHashMap<>(), new TreeMap<>(), new ConcurrentHashMap<>(), new ConcurrentSkipListMap<>());
        }
        for (Map.Entry<?, ?> e : ((Map<?, ?>) tree).entrySet()) {
            Object k = key == Object.class ? e.getKey() : bind(e.getKey(), key, event);
            Object v = bind(e.getValue(), value, event);
            if (v != null || !(out instanceof ConcurrentMap)) {
                out.put(k, v);
            }
        }
        return out;
    }

    private static Object enumValue(Object tree, Class<?> c) {
        Object[] all = c.getEnumConstants();
        if (tree instanceof Long && (Long) tree >= 0 && (Long) tree < all.length) {
            return all[((Long) tree).intValue()];
        }
        if (!(tree instanceof String)) {
            throw cannot(tree, c);
        }
        for (Object e : all) {
            if (((Enum<?>) e).name().equals(tree)) {
                return e;
            }
        }
        return null;
    }

    private static String text(Object tree, Class<?> c) {
        if (tree instanceof Map || tree instanceof List) {
            throw cannot(tree, c);
        }
        return tree.toString();
    }

    private static Object primitive(Object tree, Class<?> c) {
        if (tree instanceof String) {
            return fromWord(((String) tree).trim(), c);
        }
        if (c == boolean.class || c == Boolean.class) {
            if (tree instanceof Boolean) {
                return tree;
            }
            if (tree instanceof Long) {
                return (Long) tree != 0;
            }
        } else if (tree instanceof Number) {
            return number((Number) tree, c);
        }
        throw cannot(tree, c);
    }

    private static Object fromWord(String s, Class<?> c) {
        if (c == char.class || c == Character.class) {
            if (s.length() == 1) {
                return s.charAt(0);
            }
            return s.isEmpty() && c == char.class ? (Object) '\0' : null;
        }
        if (s.isEmpty() || s.equals("null")) {
            return c.isPrimitive() ? Array.get(Array.newInstance(c, 1), 0) : null;
        }
        if (c == boolean.class || c == Boolean.class) {
            if (s.equalsIgnoreCase("true") || s.equalsIgnoreCase("false")) {
                return Boolean.valueOf(s);
            }
            throw cannot(s, c);
        }
        try {
            if (c == double.class || c == Double.class) {
                return Double.valueOf(s);
            }
            return s.length() > 1000 ? null : number(new BigDecimal(s), c);
        } catch (NumberFormatException e) {
            throw cannot(s, c);
        }
    }

    private static Object number(Number n, Class<?> c) {
        if (c == double.class || c == Double.class) {
            return n.doubleValue();
        }
        if (c == float.class || c == Float.class) {
            return n.floatValue();
        }
        if (c == BigDecimal.class) {
            return n instanceof BigDecimal ? n : new BigDecimal(n.toString());
        }
        if (c == Number.class) {
            return untyped(n);
        }
        BigInteger whole = whole(n, c);
        if (c == BigInteger.class) {
            return whole;
        }
        try {
            if (c == int.class || c == Integer.class) {
                return whole.intValueExact();
            }
            if (c == long.class || c == Long.class) {
                return whole.longValueExact();
            }
            if (c == short.class || c == Short.class) {
                return whole.shortValueExact();
            }
            if (c == byte.class || c == Byte.class) {
                return whole.intValueExact() == (whole.intValueExact() & 0xff) ? (Object) (byte) whole.intValueExact() : whole.byteValueExact();
            }
            if (c == char.class || c == Character.class) {
                return (char) whole.intValueExact();
            }
            if (c == AtomicInteger.class) {
                return new AtomicInteger(whole.intValueExact());
            }
            if (c == AtomicLong.class) {
                return new AtomicLong(whole.longValueExact());
            }
        } catch (ArithmeticException e) {
            throw new Json.Failure("Numeric value (" + shorten(n.toString()) + ") out of range of " + c.getTypeName());
        }
        throw cannot(n, c);
    }

    private static BigInteger whole(Number n, Class<?> c) {
        if (n instanceof BigInteger) {
            return (BigInteger) n;
        }
        if (n instanceof Long) {
            return BigInteger.valueOf((Long) n);
        }
        BigDecimal d = (BigDecimal) n;
        if (d.precision() - (long) d.scale() > 1000) { // 1e999999999 would fill the memory
            throw new Json.Failure("Numeric value (" + shorten(n.toString()) + ") out of range of " + c.getTypeName());
        }
        return d.toBigInteger();
    }

    /** What is written as a string. Null if c is nothing of the kind. */
    private static Object fromText(String s, Class<?> c) throws Exception {
        switch (c.getName()) {
            case "[B":
                return Base64.getMimeDecoder().decode(s);
            case "[C":
                return s.toCharArray();
            case "java.nio.ByteBuffer":
                return ByteBuffer.wrap(Base64.getMimeDecoder().decode(s));
            case "java.lang.StringBuilder":
                return new StringBuilder(s);
            case "java.lang.StringBuffer":
                return new StringBuffer(s);
            case "java.util.UUID":
                return s.isEmpty() ? null : UUID.fromString(s);
            case "java.net.URI":
                return java.net.URI.create(s);
            case "java.net.URL":
                return s.isEmpty() ? null : new java.net.URL(s);
            case "java.util.Locale":
                return Locale.forLanguageTag(s.replace('_', '-'));
            case "java.util.Currency":
                return s.isEmpty() ? null : Currency.getInstance(s);
            case "java.util.TimeZone":
                return TimeZone.getTimeZone(s);
            case "java.util.regex.Pattern":
                return java.util.regex.Pattern.compile(s);
            case "java.nio.charset.Charset":
                return s.isEmpty() ? null : Charset.forName(s);
            case "java.io.File":
                return new File(s);
            case "java.nio.file.Path":
                return Paths.get(s);
            default:
                return null;
        }
    }

    private static Object bean(Map<?, ?> tree, Type type) throws Exception {
        Class<?> c = Types.raw(type);
        Bean bean = Bean.of(c);
        boolean event = Events.isEvent(c);
        Map<java.lang.reflect.TypeVariable<?>, Type> known = Types.bindings(type);
        if (bean.components() != null) {
            List<Object> arguments = new ArrayList<>();
            for (Object[] part : bean.components()) {
                arguments.add(bind(tree.get(part[0]), Types.substitute((Type) part[1], known), event));
            }
            return bean.create(arguments.toArray());
        }
        Object out = bean.create();
        for (Map.Entry<?, ?> e : tree.entrySet()) {
            Bean.Property p = bean.property((String) e.getKey());
            if (p == null || p.type() == null) {
                continue;
            }
            Object value = bind(e.getValue(), Types.substitute(p.type(), known), event);
            p.set(out, value);
        }
        return out;
    }

    // ---- objects to JSON

    static String write(Object value) throws Exception {
        StringBuilder out = new StringBuilder();
        write(out, value, 0);
        return out.toString();
    }

    private static void write(StringBuilder out, Object v, int depth) throws Exception {
        if (depth > Json.MAX_DEPTH) {
            throw new Json.Failure("Document nesting depth (" + depth + ") exceeds the maximum allowed (" + Json.MAX_DEPTH + ")");
        }
        if (v == null) {
            out.append("null");
        } else if (v instanceof CharSequence || v instanceof Character) {
            Json.quote(out, v.toString());
        } else if (v instanceof Number || v instanceof Boolean || v instanceof AtomicBoolean) {
            boolean special = v instanceof Double && !Double.isFinite((Double) v) || v instanceof Float && !Float.isFinite((Float) v);
            out.append(special ? "\"" + v + "\"" : v.toString());
        } else if (v instanceof Map) {
            writeMap(out, (Map<?, ?>) v, depth);
        } else if (v instanceof Iterable && !(v instanceof Path)) {
            writeAll(out, (Iterable<?>) v, depth);
        } else if (v.getClass().isArray()) {
            writeArray(out, v, depth);
        } else if (v instanceof Enum) {
            Json.quote(out, ((Enum<?>) v).name());
        } else if (Times.handles(v.getClass())) {
            Times.write(out, v);
        } else if (!writeWrapped(out, v, depth)) {
            writeBean(out, v, depth);
        }
    }

    private static boolean writeWrapped(StringBuilder out, Object v, int depth) throws Exception {
        if (v instanceof Optional) {
            write(out, ((Optional<?>) v).orElse(null), depth);
        } else if (v instanceof OptionalInt) {
            write(out, ((OptionalInt) v).isPresent() ? (Object) ((OptionalInt) v).getAsInt() : null, depth);
        } else if (v instanceof OptionalLong) {
            write(out, ((OptionalLong) v).isPresent() ? (Object) ((OptionalLong) v).getAsLong() : null, depth);
        } else if (v instanceof OptionalDouble) {
            write(out, ((OptionalDouble) v).isPresent() ? (Object) ((OptionalDouble) v).getAsDouble() : null, depth);
        } else if (v instanceof ByteBuffer) {
            ByteBuffer b = ((ByteBuffer) v).duplicate();
            byte[] bytes = new byte[b.remaining()];
            b.get(bytes);
            write(out, bytes, depth);
        } else if (v instanceof Class) {
            Json.quote(out, ((Class<?>) v).getName());
        } else if (v instanceof TimeZone) {
            Json.quote(out, ((TimeZone) v).getID());
        } else if (v instanceof UUID || v instanceof java.net.URI || v instanceof java.net.URL || v instanceof Locale
                || v instanceof Currency || v instanceof java.util.regex.Pattern || v instanceof Charset || v instanceof File
                || v instanceof Path) {
            Json.quote(out, v.toString());
        } else {
            return false;
        }
        return true;
    }

    private static void writeMap(StringBuilder out, Map<?, ?> map, int depth) throws Exception {
        out.append('{');
        String comma = "";
        for (Map.Entry<?, ?> e : map.entrySet()) {
            if (e.getKey() == null) {
                throw new Json.Failure("Null key for a Map not allowed in JSON (use a converting NullKeySerializer?)");
            }
            if (e.getValue() == null) {
                continue;
            }
            Object key = e.getKey();
            out.append(comma);
            Json.quote(out, key instanceof Enum ? ((Enum<?>) key).name() : key.toString());
            out.append(':');
            write(out, e.getValue(), depth + 1);
            comma = ",";
        }
        out.append('}');
    }

    private static void writeAll(StringBuilder out, Iterable<?> all, int depth) throws Exception {
        out.append('[');
        String comma = "";
        for (Object v : all) {
            out.append(comma);
            write(out, v, depth + 1);
            comma = ",";
        }
        out.append(']');
    }

    private static void writeArray(StringBuilder out, Object array, int depth) throws Exception {
        if (array instanceof byte[]) {
            out.append('"').append(Base64.getEncoder().encodeToString((byte[]) array)).append('"');
            return;
        }
        if (array instanceof char[]) {
            Json.quote(out, new String((char[]) array));
            return;
        }
        List<Object> all = new ArrayList<>();
        for (int i = 0; i < Array.getLength(array); i++) {
            all.add(Array.get(array, i));
        }
        writeAll(out, all, depth);
    }

    private static void writeBean(StringBuilder out, Object v, int depth) throws Exception {
        out.append('{');
        String comma = "";
        Class<?> c = v.getClass();
        boolean event = Events.isEvent(c);
        for (Bean.Property p : Bean.of(c).properties()) {
            Object value = p.readable() ? p.get(v) : null;
            if (value == null) {
                continue;
            }
            if (value == v) {
                throw new Json.Failure("Direct self-reference leading to cycle");
            }
            out.append(comma);
            Json.quote(out, event ? Events.written(c, p.name) : p.name);
            out.append(':');
            write(out, value, depth + 1);
            comma = ",";
        }
        out.append('}');
    }
}
