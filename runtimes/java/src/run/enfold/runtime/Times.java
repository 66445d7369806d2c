package run.enfold.runtime;

import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.Year;
import java.time.YearMonth;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Calendar;
import java.util.Date;
import java.util.List;

/** Times in JSON, as AWS's runtime has them: points in time are seconds with nine decimals, dates are arrays of numbers. */
final class Times {
    private Times() {}

    static boolean handles(Class<?> c) {
        return c.getName().startsWith("java.time.") || Date.class.isAssignableFrom(c) || Calendar.class.isAssignableFrom(c)
                || c.getName().equals("org.joda.time.DateTime");
    }

    // ---- writing

    static void write(StringBuilder out, Object v) {
        if (v instanceof Date) {
            out.append(((Date) v).getTime());
        } else if (v instanceof Calendar) {
            out.append(((Calendar) v).getTimeInMillis());
        } else if (v instanceof Instant) {
            seconds(out, ((Instant) v).getEpochSecond(), ((Instant) v).getNano());
        } else if (v instanceof OffsetDateTime) {
            write(out, ((OffsetDateTime) v).toInstant());
        } else if (v instanceof ZonedDateTime) {
            write(out, ((ZonedDateTime) v).toInstant());
        } else if (v instanceof Duration) {
            seconds(out, ((Duration) v).getSeconds(), ((Duration) v).getNano());
        } else if (v instanceof Year) {
            out.append(((Year) v).getValue());
        } else if (!writeArray(out, v)) {
            Json.quote(out, v.toString());
        }
    }

    private static boolean writeArray(StringBuilder out, Object v) {
        if (v instanceof LocalDate) {
            LocalDate d = (LocalDate) v;
            numbers(out, d.getYear(), d.getMonthValue(), d.getDayOfMonth());
        } else if (v instanceof YearMonth) {
            numbers(out, ((YearMonth) v).getYear(), ((YearMonth) v).getMonthValue());
        } else if (v instanceof LocalTime) {
            numbers(out, clock((LocalTime) v));
        } else if (v instanceof LocalDateTime) {
            LocalDateTime d = (LocalDateTime) v;
            int[] time = clock(d.toLocalTime());
            int[] all = Arrays.copyOf(new int[] {d.getYear(), d.getMonthValue(), d.getDayOfMonth()}, 3 + time.length);
            System.arraycopy(time, 0, all, 3, time.length);
            numbers(out, all);
        } else {
            return false;
        }
        return true;
    }

    private static int[] clock(LocalTime t) {
        if (t.getNano() > 0) {
            return new int[] {t.getHour(), t.getMinute(), t.getSecond(), t.getNano()};
        }
        return t.getSecond() > 0 ? new int[] {t.getHour(), t.getMinute(), t.getSecond()} : new int[] {t.getHour(), t.getMinute()};
    }

    private static void numbers(StringBuilder out, int... numbers) {
        out.append(Arrays.toString(numbers).replace(" ", ""));
    }

    private static void seconds(StringBuilder out, long seconds, int nanos) {
        out.append(BigDecimal.valueOf(seconds).add(BigDecimal.valueOf(nanos, 9)).toPlainString());
    }

    // ---- reading

    /** Makes a time of class c. Numbers for Date are milliseconds, in event classes seconds. */
    static Object read(Object tree, Class<?> c, boolean event) throws Exception {
        if (tree instanceof Number) {
            return ofNumber(new BigDecimal(tree.toString()), c, event);
        }
        if (tree instanceof List) {
            return ofArray((List<?>) tree, c);
        }
        if (!(tree instanceof String)) {
            throw new Json.Failure("Cannot deserialize value of type `" + c.getName() + "`");
        }
        String text = ((String) tree).trim();
        return text.isEmpty() ? null : ofText(text, c);
    }

    private static Object ofNumber(BigDecimal n, Class<?> c, boolean event) {
        if (n.precision() - n.scale() > 18 || n.scale() > 1000) {
            throw new Json.Failure("Number out of range for " + c.getName());
        }
        if (Date.class.isAssignableFrom(c)) {
            return new Date((event ? n.movePointRight(3) : n).longValue());
        }
        if (Calendar.class.isAssignableFrom(c)) {
            Calendar at = Calendar.getInstance();
            at.setTimeInMillis(n.longValue());
            return at;
        }
        long seconds = n.longValue();
        int nanos = n.remainder(BigDecimal.ONE).movePointRight(9).intValue();
        if (c == Duration.class) {
            return Duration.ofSeconds(seconds, nanos);
        }
        if (c == Year.class) {
            return Year.of((int) seconds);
        }
        if (c == LocalDate.class) {
            return LocalDate.ofEpochDay(seconds);
        }
        Instant at = Instant.ofEpochSecond(seconds, nanos);
        if (c == Instant.class) {
            return at;
        }
        if (c == OffsetDateTime.class) {
            return at.atOffset(ZoneOffset.UTC);
        }
        if (c == ZonedDateTime.class) {
            return at.atZone(ZoneOffset.UTC);
        }
        throw new Json.Failure("Cannot deserialize value of type `" + c.getName() + "` from a number");
    }

    private static Object ofArray(List<?> parts, Class<?> c) {
        int[] n = new int[7];
        for (int i = 0; i < parts.size(); i++) {
            if (i == n.length || !(parts.get(i) instanceof Number)) {
                throw new Json.Failure("Cannot deserialize value of type `" + c.getName() + "` from Array value");
            }
            n[i] = ((Number) parts.get(i)).intValue();
        }
        if (c == LocalDate.class) {
            return LocalDate.of(n[0], n[1], n[2]);
        }
        if (c == LocalTime.class) {
            return LocalTime.of(n[0], n[1], n[2], n[3]);
        }
        if (c == LocalDateTime.class) {
            return LocalDateTime.of(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
        }
        if (c == YearMonth.class) {
            return YearMonth.of(n[0], n[1]);
        }
        throw new Json.Failure("Cannot deserialize value of type `" + c.getName() + "` from Array value");
    }

    private static Object ofText(String s, Class<?> c) throws Exception {
        if (Date.class.isAssignableFrom(c)) {
            return Date.from(instant(s));
        }
        if (Calendar.class.isAssignableFrom(c)) {
            Calendar at = Calendar.getInstance();
            at.setTime(Date.from(instant(s)));
            return at;
        }
        if (c == Instant.class) {
            return instant(s);
        }
        if (c == ZoneId.class) {
            return ZoneId.of(s);
        }
        if (c == ZoneOffset.class) {
            return ZoneOffset.of(s);
        }
        if (c == LocalDate.class && s.length() > 10) {
            return LocalDate.parse(s.substring(0, 10));
        }
        if (c == LocalDateTime.class && s.endsWith("Z")) {
            return LocalDateTime.ofInstant(instant(s), ZoneOffset.UTC);
        }
        // LocalDate, Period, YearMonth …, and Joda's DateTime: each has a parse of its own.
        for (String parameter : new String[] {"java.lang.CharSequence", "java.lang.String"}) {
            try {
                return c.getMethod("parse", Class.forName(parameter)).invoke(null, s);
            } catch (NoSuchMethodException e) {
                continue;
            }
        }
        throw new Json.Failure("Cannot deserialize value of type `" + c.getName() + "` from String value");
    }

    private static Instant instant(String s) {
        if (s.length() == 10) {
            return LocalDate.parse(s).atStartOfDay(ZoneOffset.UTC).toInstant();
        }
        if (s.matches(".*[+-]\\d{4}")) { // +0000, which ISO_OFFSET_DATE_TIME does not take
            s = s.substring(0, s.length() - 2) + ":" + s.substring(s.length() - 2);
        }
        return DateTimeFormatter.ISO_OFFSET_DATE_TIME.parse(s, Instant::from);
    }
}
