import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** A handler without any library: a plain method, as AWS's Java runtime takes one. */
public class Hello {
    public Map<String, Object> handleRequest(Map<String, Object> event) throws Exception {
        Object name = event.get("name");
        System.out.println("hello from the log, " + name);
        if ("fail".equals(name)) {
            throw new IllegalStateException("I was told to fail");
        }
        Path layer = Path.of("/opt/layer.txt");
        Map<String, Object> answer = new HashMap<>();
        answer.put("language", "java");
        answer.put("hello", name);
        answer.put("greeting", System.getenv().getOrDefault("GREETING", ""));
        answer.put("layer", Files.exists(layer) ? Files.readString(layer) : "");
        answer.put("version", System.getenv("AWS_LAMBDA_FUNCTION_VERSION"));
        answer.put("secret", System.getenv().getOrDefault("ENFOLD_TEST_HOST_SECRET", ""));
        return answer;
    }
}
