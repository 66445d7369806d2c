package run.enfold.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.Deque;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/** Tests of the JSON mapper. Prints what fails and exits with 1. The arguments are a seed and how many random cases to run. */
public class MapperTest {
    enum Color { RED, GREEN { @Override public String toString() { return "g"; } } }

    public static class All {
        public byte by;
        public short sh;
        public int in;
        public long lo;
        public float fl;
        public double dou;
        public boolean bo;
        public char ch;
        public Byte boxedByte;
        public Integer boxed;
        public BigDecimal decimal;
        public BigInteger big;
        public Number number;
        public AtomicLong atomic;
        public String string;
        public byte[] bytes;
        public ByteBuffer buffer;
        public int[] ints;
        public String[][] strings;
        public List<Map<String, Set<Integer>>> nested;
        public Deque<Long> deque;
        public Collection<? extends Number> numbers;
        public SortedMap<Integer, String> sorted;
        public EnumMap<Color, String> colors;
        public Color color;
        public UUID uuid;
        public Optional<String> optional;
        public OptionalInt optionalInt;
        public Object any;
        public Instant instant;
        public LocalDate date;
        public LocalTime time;
        public LocalDateTime dateTime;
        public OffsetDateTime offset;
        public ZonedDateTime zoned;
        public Duration duration;
        public Date old;
    }

    public static class Bean<T> {
        private T value;
        private String URL;
        private boolean on;
        private String hidden = "hidden";
        private Bean<T> next;
        protected int order;

        public T getValue() { return value; }
        public void setValue(T value) { this.value = value; }
        public String getURL() { return URL; }
        public void setURL(String u) { URL = u; }
        public boolean isOn() { return on; }
        void setOn(boolean on) { this.on = on; }
        public Bean<T> getNext() { return next; }
        public Bean<T> setNext(Bean<T> n) { next = n; return this; }
        public int getOrder() { return order; }
        public void setOrder(String s) { order = -1; }
        public void setOrder(int n) { order = n; }
    }

    public static class Holder extends Bean<List<Color>> {}

    public static class NoConstructor {
        public NoConstructor(String s) {}
    }

    static int failures;

    static void check(String what, Object got, Object want) {
        if (!String.valueOf(want).equals(String.valueOf(got))) {
            failures++;
            System.out.println(what + ":\n got  " + got + "\n want " + want);
        }
    }

    static <T> T read(String json, Class<T> c) throws Exception {
        return c.cast(Mapper.read(json, c));
    }

    /** Reads and writes. */
    static String round(String json, java.lang.reflect.Type type) throws Exception {
        return Mapper.write(Mapper.read(json, type));
    }

    static void same(String json, Class<?> c) throws Exception {
        check("round trip as " + c.getSimpleName(), round(json, c), json);
    }

    static void fails(String json, Class<?> c, String message) {
        try {
            Object got = Mapper.read(json, c);
            check("reading " + json + " as " + c.getName(), got, "a failure: " + message);
        } catch (Exception e) {
            if (!String.valueOf(e.getMessage()).contains(message)) {
                check("failure of " + json, e, message);
            }
        }
    }

    static final String ZEROES = "{\"by\":0,\"sh\":0,\"in\":0,\"lo\":0,\"fl\":0.0,\"dou\":0.0,\"bo\":false,\"ch\":\"\\u0000\"";

    /** One member of All, everything else as it is by default. */
    static void member(String in, String out) throws Exception {
        String got = round("{" + in + "}", All.class);
        check(in, got, ZEROES + (out.isEmpty() ? "" : "," + out) + "}");
    }

    static void members() throws Exception {
        check("numbers", round("{\"by\":-1,\"sh\":2,\"in\":\"3\",\"lo\":4.9,\"fl\":1.5,\"dou\":1e3,\"bo\":\"true\",\"ch\":\"x\"}", All.class),
                "{\"by\":-1,\"sh\":2,\"in\":3,\"lo\":4,\"fl\":1.5,\"dou\":1000.0,\"bo\":true,\"ch\":\"x\"}");
        member("\"boxed\":null", "");
        member("\"decimal\":1.10", "\"decimal\":1.10");
        member("\"big\":123456789012345678901234567890", "\"big\":123456789012345678901234567890");
        member("\"number\":7", "\"number\":7");
        member("\"atomic\":7", "\"atomic\":7");
        member("\"string\":12.5", "\"string\":\"12.5\"");
        member("\"bytes\":\"AAH/\"", "\"bytes\":\"AAH/\"");
        member("\"buffer\":\"AAH/\"", "\"buffer\":\"AAH/\"");
        member("\"ints\":[1,\"2\"]", "\"ints\":[1,2]");
        member("\"ints\":3", "\"ints\":[3]");
        member("\"strings\":[[\"a\"],[]]", "\"strings\":[[\"a\"],[]]");
        member("\"nested\":[{\"a\":[1,1,2]}]", "\"nested\":[{\"a\":[1,2]}]");
        member("\"deque\":[1,2]", "\"deque\":[1,2]");
        member("\"numbers\":[1,2.5]", "\"numbers\":[1,2.5]");
        member("\"sorted\":{\"2\":\"b\",\"1\":\"a\"}", "\"sorted\":{\"1\":\"a\",\"2\":\"b\"}");
        member("\"colors\":{\"GREEN\":\"g\"}", "\"colors\":{\"GREEN\":\"g\"}");
        member("\"color\":\"GREEN\"", "\"color\":\"GREEN\"");
        member("\"color\":0", "\"color\":\"RED\"");
        member("\"color\":\"MAUVE\"", "");
        member("\"uuid\":\"8476a536-e9f4-11e8-9739-2dfe598c3fcd\"", "\"uuid\":\"8476a536-e9f4-11e8-9739-2dfe598c3fcd\"");
        member("\"optional\":\"x\"", "\"optional\":\"x\"");
        member("\"optional\":null", "\"optional\":null");
        member("\"optionalInt\":3", "\"optionalInt\":3");
        member("\"any\":{\"a\":[1,2.0,null,\"x\",true,9999999999]}", "\"any\":{\"a\":[1,2.0,null,\"x\",true,9999999999]}");
        member("\"unknown\":{\"a\":1}", "");
        member("\"instant\":\"2024-02-03T04:05:06.5Z\"", "\"instant\":1706933106.500000000");
        member("\"instant\":1706933106.5", "\"instant\":1706933106.500000000");
        member("\"date\":\"2024-02-03\"", "\"date\":[2024,2,3]");
        member("\"date\":[2024,2,3]", "\"date\":[2024,2,3]");
        member("\"time\":\"04:05\"", "\"time\":[4,5]");
        member("\"dateTime\":\"2024-02-03T04:05:06.000000007\"", "\"dateTime\":[2024,2,3,4,5,6,7]");
        member("\"offset\":\"2024-02-03T04:05:06+01:00\"", "\"offset\":1706929506.000000000");
        member("\"zoned\":\"2024-02-03T04:05:06Z[UTC]\"", "\"zoned\":1706933106.000000000");
        member("\"duration\":\"PT1.5S\"", "\"duration\":1.500000000");
        member("\"old\":\"2024-02-03T04:05:06.007Z\"", "\"old\":1706933106007");
        member("\"old\":1706933106007", "\"old\":1706933106007");
    }

    static void beans() throws Exception {
        same("{\"value\":[\"RED\"],\"on\":true,\"next\":{\"value\":[\"GREEN\"],\"URL\":\"u\",\"on\":false,\"order\":0},\"order\":5}", Holder.class);
        Holder h = read("{\"value\":[\"RED\"],\"next\":{\"value\":[\"GREEN\"]},\"hidden\":\"set\",\"order\":3}", Holder.class);
        check("element type by way of the ancestor", ((Object) h.getValue().get(0)).getClass(), Color.class);
        check("element type of the nested bean", h.getNext().getValue().get(0) == Color.GREEN, true);
        check("a private field without setter", ((Bean<?>) h).hidden, "hidden");
        check("the overload of the getter's type", h.getOrder(), 3);
        fails("{}", NoConstructor.class, "Cannot construct instance of `run.enfold.runtime.MapperTest$NoConstructor` (no Creators");
        check("an empty string for an object", Mapper.read("\"\"", Holder.class), null);
        check("one in brackets", read("[{\"order\":4}]", Holder.class).getOrder(), 4);
        fails("[1,2]", Holder.class, "Cannot deserialize value of type `run.enfold.runtime.MapperTest$Holder` from Array value");
        fails("3", Holder.class, "from Number value (3)");
        fails("{\"a\":1}", String.class, "Cannot deserialize value of type `java.lang.String` from Object value (token `JsonToken.START_OBJECT`)");
        fails("\"x\"", Integer.class, "Cannot deserialize value of type `java.lang.Integer` from String \"x\"");
        fails("3000000000", Integer.class, "out of range of java.lang.Integer");
        fails("1e999999999", BigInteger.class, "out of range");
        fails("1e999999999", Integer.class, "out of range");
        fails("1e999999999", Instant.class, "out of range");
        check("a large exponent as double", Mapper.read("1e999999999", Double.class), "Infinity");
        Map<String, Object> self = new HashMap<>();
        self.put("self", self);
        try {
            Mapper.write(self);
            check("a circle", "written", "refused");
        } catch (Json.Failure e) {
            check("a circle is refused for its depth", e.getMessage().contains("depth"), true);
        }
    }

    static void texts() throws Exception {
        for (String bad : new String[] {
            "{", "[", "\"", "[1,]", "{\"a\"}", "{\"a\":1,}", "01", "1.", ".5", "-", "+1", "1e", "tru", "nul", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "1 2",
            "{a:1}", "'a'", "[1 2]", "NaN", "\"\\ud83", "--1", "\u0000", "[".repeat(501), "{\"a\":".repeat(501), "[".repeat(1 << 20), "9".repeat(2000),
        }) {
            try {
                Object got = Json.parse(bad);
                check("parsing " + bad, got, "a failure");
            } catch (Json.Failure e) {
                continue;
            }
        }
        check("empty", Json.parse("  "), null);
        check("escapes", Json.parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\""), "\"\\/\b\f\n\r\té😀");
        check("the last of equal keys", Json.parse("{\"a\":1,\"a\":2}"), "{a=2}");
        check("depth", Json.parse("[".repeat(500) + "]".repeat(500)) != null, true);
    }

    static Object tree(Random r, int depth) {
        switch (r.nextInt(depth > 5 ? 6 : 8)) {
            case 0:
                return r.nextBoolean();
            case 1:
                return r.nextInt();
            case 2:
                return r.nextLong() | 1L << 40;
            case 3:
                return r.nextGaussian() * Math.pow(10, r.nextInt(40) - 20);
            case 4:
                return new BigInteger(70 + r.nextInt(100), r).setBit(69);
            case 5:
                return text(r);
            case 6:
                List<Object> list = new ArrayList<>();
                for (int i = r.nextInt(5); i > 0; i--) {
                    list.add(tree(r, depth + 1));
                }
                return list;
            default:
                Map<String, Object> map = new LinkedHashMap<>();
                for (int i = r.nextInt(5); i > 0; i--) {
                    map.put(text(r), tree(r, depth + 1));
                }
                return map;
        }
    }

    static String text(Random r) {
        StringBuilder s = new StringBuilder();
        for (int i = r.nextInt(12); i > 0; i--) {
            int c = r.nextInt(4) == 0 ? r.nextInt(0x11000) : r.nextInt(128);
            s.appendCodePoint(c >= 0xd800 && c < 0xe000 ? 'x' : c);
        }
        return s.toString();
    }

    /** What is written reads back equal; what is damaged fails as Json.Failure or is read, and nothing else happens. */
    static void random(long seed, int n) throws Exception {
        Random r = new Random(seed);
        for (int i = 0; i < n && failures < 5; i++) {
            Object want = tree(r, 0);
            String json = Mapper.write(want);
            check("seed " + seed + " case " + i, Mapper.read(json, Object.class), want);
            StringBuilder broken = new StringBuilder(json);
            for (int k = r.nextInt(4) + 1; k > 0 && broken.length() > 0; k--) {
                int at = r.nextInt(broken.length());
                if (r.nextBoolean()) {
                    broken.deleteCharAt(at);
                } else {
                    String marks = "{}[]\",:0-.eE\\utfn\u0000é";
                    broken.setCharAt(at, marks.charAt(r.nextInt(marks.length())));
                }
            }
            for (Class<?> c : new Class<?>[] {Object.class, All.class, Holder.class, TreeMap.class}) {
                try {
                    Mapper.read(broken.toString(), c);
                } catch (Json.Failure e) {
                    continue;
                } catch (Exception e) {
                    check("seed " + seed + " case " + i + " reading " + broken, e, "a Json.Failure");
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        texts();
        members();
        beans();
        random(Long.parseLong(args[0]), Integer.parseInt(args[1]));
        System.exit(failures > 0 ? 1 : 0);
    }
}
