package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** Functions that a waiting runtime loads and runs ahead of the one that it will have. */
public final class Rehearsal {
    private Rehearsal() {}

    /** A function of streams. */
    public static class OfStreams implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            in.transferTo(out);
        }
    }

    /** A function of plain values. */
    public static class OfMaps implements RequestHandler<Map<String, Object>, Object> {
        @Override
        public Object handleRequest(Map<String, Object> event, Context context) {
            return event;
        }
    }

    /** An event of its own class. */
    public static class Event {
        private String text;
        private List<Object> list;

        public String getText() {
            return text;
        }

        public void setText(String text) {
            this.text = text;
        }

        public List<Object> getList() {
            return list;
        }

        public void setList(List<Object> list) {
            this.list = list;
        }
    }

    /** An event with public fields. */
    public static class Fields {
        public String text;
        public List<Object> list;
        public int count;
        public long size;
        public double share;
        public boolean fresh;
        public Map<String, String> names;
    }

    /** A function that is a method. */
    public static class OfFields {
        public Fields run(Fields event, Context context) {
            event.text = habits(event.text, event.count, event.list);
            return event;
        }

        /** What most functions do: each shape of these is made by the virtual machine when it first comes. */
        private static String habits(String text, int count, List<Object> list) {
            String s = "a" + text;
            s = text + "b" + s.length();
            s = "a" + s + "b";
            s = "a" + text + "b" + s + "c";
            s = "a" + count + "b" + list;
            s = s + text + count;
            Supplier<String> supplier = () -> text;
            Function<Object, String> function = String::valueOf;
            List<String> strings = list.stream().filter(Objects::nonNull).map(function).collect(Collectors.toList());
            return String.format("%s %d %s", supplier.get(), count, strings) + s;
        }
    }

    /** A function of objects. */
    public static class OfObjects implements RequestHandler<Event, Event> {
        @Override
        public Event handleRequest(Event event, Context context) {
            return event;
        }
    }
}
