package run.enfold.runtime;

import java.util.List;
import java.util.Optional;

/** Records, which Java 11 has not. */
public class RecordTest {
    record Item(String name, int count) {}

    record Order<T>(String id, List<Item> items, Optional<T> extra) {
        Order {
            if (id == null) {
                throw new IllegalArgumentException("no id");
            }
        }

        public String getSummary() {
            return id + items.size();
        }
    }

    public static void main(String[] args) throws Exception {
        var type = new Types.Of(Order.class, Integer.class);
        var order = (Order<?>) Mapper.read("{\"items\":[{\"name\":\"a\",\"count\":2}],\"id\":\"o\",\"extra\":7,\"unknown\":1}", type);
        var want = new Order<>("o", List.of(new Item("a", 2)), Optional.of(7));
        if (!order.equals(want)) {
            throw new AssertionError(order + " is not " + want);
        }
        var json = Mapper.write(order);
        if (!json.equals("{\"id\":\"o\",\"items\":[{\"name\":\"a\",\"count\":2}],\"extra\":7,\"summary\":\"o1\"}")) {
            throw new AssertionError(json);
        }
        try {
            Mapper.read("{\"items\":[]}", type);
            throw new AssertionError("no id, and yet a record");
        } catch (IllegalArgumentException e) {
            System.out.println("ok");
        }
    }
}
