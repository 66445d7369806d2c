package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

/** Functions that a waiting runtime loads and runs ahead of the one that it will have. */
public final class Rehearsal {
    private Rehearsal() {}

    /** A function of streams. */
    public static final class OfStreams implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            in.transferTo(out);
        }
    }

    /** A function of plain values. */
    public static final class OfMaps implements RequestHandler<Map<String, Object>, Object> {
        @Override
        public Object handleRequest(Map<String, Object> event, Context context) {
            return event;
        }
    }

    /** An event of its own class. */
    public static final class Event {
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

    /** A function of objects. */
    public static final class OfObjects implements RequestHandler<Event, Event> {
        @Override
        public Event handleRequest(Event event, Context context) {
            return event;
        }
    }
}
