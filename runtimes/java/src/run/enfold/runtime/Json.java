package run.enfold.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads and writes JSON as trees of Map, List, String, Long or BigInteger, BigDecimal, Boolean and null. Strict, and no deeper
 * than MAX_DEPTH, for which a thread's stack of 1 MB is always enough.
 */
final class Json {
    static final int MAX_DEPTH = 500;

    /** Says where a text stops being JSON, or why a value does not fit a type. */
    static final class Failure extends RuntimeException {
        private static final long serialVersionUID = 1;

        Failure(String message) {
            super(message);
        }
    }

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    /** Parses a whole text. An empty one is null. */
    static Object parse(String text) {
        Json p = new Json(text);
        p.space();
        if (p.at == text.length()) {
            return null;
        }
        Object value = p.value();
        p.space();
        if (p.at < text.length()) {
            throw p.failure("text after the value");
        }
        return value;
    }

    private Failure failure(String what) {
        return new Failure("JSON: " + what + " at character " + at);
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private char peek() {
        if (at >= text.length()) {
            throw failure("unexpected end");
        }
        return text.charAt(at);
    }

    private void expect(char c) {
        if (peek() != c) {
            throw failure("expected '" + c + "'");
        }
        at++;
    }

    private Object value() {
        switch (peek()) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw failure("unknown word");
        }
        at += word.length();
        return value;
    }

    private void enter() {
        at++;
        if (++depth > MAX_DEPTH) {
            throw failure("nested deeper than " + MAX_DEPTH);
        }
        space();
    }

    private Map<String, Object> object() {
        enter();
        Map<String, Object> out = new LinkedHashMap<>();
        if (peek() != '}') {
            while (true) {
                space();
                String key = string();
                space();
                expect(':');
                space();
                out.put(key, value());
                space();
                if (peek() != ',') {
                    break;
                }
                at++;
            }
        }
        expect('}');
        depth--;
        return out;
    }

    private List<Object> array() {
        enter();
        List<Object> out = new ArrayList<>();
        if (peek() != ']') {
            while (true) {
                space();
                out.add(value());
                space();
                if (peek() != ',') {
                    break;
                }
                at++;
            }
        }
        expect(']');
        depth--;
        return out;
    }

    private String string() {
        expect('"');
        int start = at;
        while (true) {
            char c = peek();
            if (c == '"') {
                return text.substring(start, at++);
            }
            if (c == '\\') {
                return escaped(start);
            }
            if (c < ' ') {
                throw failure("control character in a string");
            }
            at++;
        }
    }

    private String escaped(int start) {
        StringBuilder out = new StringBuilder(text.substring(start, at));
        while (true) {
            char c = peek();
            at++;
            if (c == '"') {
                return out.toString();
            }
            if (c < ' ') {
                throw failure("control character in a string");
            }
            out.append(c == '\\' ? escape() : c);
        }
    }

    private char escape() {
        char c = peek();
        at++;
        switch (c) {
            case 'n':
                return '\n';
            case 't':
                return '\t';
            case 'r':
                return '\r';
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case '"':
            case '\\':
            case '/':
                return c;
            case 'u':
                return unicode();
            default:
                throw failure("unknown escape");
        }
    }

    private char unicode() {
        int code = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(peek(), 16);
            if (digit < 0 || peek() > 'f') {
                throw failure("bad \\u escape");
            }
            code = code << 4 | digit;
            at++;
        }
        return (char) code;
    }

    private void digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == start) {
            throw failure("expected a digit");
        }
    }

    private Number number() {
        int start = at;
        if (peek() == '-') {
            at++;
        }
        int first = at;
        digits();
        if (at - first > 1 && text.charAt(first) == '0') {
            throw failure("number with a leading zero");
        }
        boolean whole = true;
        if (at < text.length() && text.charAt(at) == '.') {
            whole = false;
            at++;
            digits();
        }
        if (at < text.length() && (text.charAt(at) | 0x20) == 'e') {
            whole = false;
            at++;
            if (at < text.length() && (text.charAt(at) == '+' || text.charAt(at) == '-')) {
                at++;
            }
            digits();
        }
        return numberOf(text.substring(start, at), whole);
    }

    private Number numberOf(String digits, boolean whole) {
        if (digits.length() > 1000) {
            throw failure("number with more than 1000 characters");
        }
        try {
            if (!whole) {
                return new BigDecimal(digits);
            }
            if (digits.length() < 19) {
                return Long.valueOf(digits);
            }
            BigInteger big = new BigInteger(digits);
            return big.bitLength() < 64 ? (Number) big.longValue() : big;
        } catch (NumberFormatException e) {
            throw failure("number out of range");
        }
    }

    /** Appends a string in quotes. */
    static void quote(StringBuilder out, CharSequence s) {
        out.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            switch (c) {
                case '"':
                    out.append("\\\"");
                    break;
                case '\\':
                    out.append("\\\\");
                    break;
                case '\n':
                    out.append("\\n");
                    break;
                case '\r':
                    out.append("\\r");
                    break;
                case '\t':
                    out.append("\\t");
                    break;
                case '\b':
                    out.append("\\b");
                    break;
                case '\f':
                    out.append("\\f");
                    break;
                default:
                    if (c < ' ') {
                        out.append(String.format("\\u%04X", (int) c));
                    } else {
                        out.append(c);
                    }
            }
        }
        out.append('"');
    }
}
