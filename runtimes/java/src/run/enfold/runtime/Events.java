package run.enfold.runtime;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The classes of com.amazonaws:aws-lambda-java-events. AWS maps them by their own rules, since their Java names are not those
 * of the JSON: records is "Records", sns is "Sns", a DynamoDB value's s is "S". Here their fields are used whatever their
 * visibility; a name is read without regard to case, and written as AWS writes it.
 */
final class Events {
    private static final String PACKAGE = "com.amazonaws.services.lambda.runtime.events.";

    private Events() {}

    static boolean isEvent(Class<?> type) {
        String name = type.getName();
        return name.startsWith(PACKAGE) || name.startsWith("com.amazonaws.services.s3.event.")
                || name.startsWith("com.amazonaws.services.dynamodbv2.model.");
    }

    /** A name without case, hyphens and underscores, and with the odd names of AttributeValue made even. */
    static String loose(String name) {
        String plain = name.replace("-", "").replace("_", "").toLowerCase(Locale.ROOT);
        return plain.equals("nullvalue") ? "null" : plain;
    }

    // Simple class names -> how their field names are written, if not as they are.
    private static final Map<String, String> STYLE = new HashMap<>();

    static {
        for (String c : "SNSEvent SNSRecord SNS MessageAttribute@SNSEvent StreamRecord ConnectEvent Details ContactData CustomerEndpoint SystemEndpoint SecretsManagerRotationEvent CloudFormationCustomResourceEvent".split(" ")) {
            STYLE.put(c, "Pascal");
        }
        for (String c : "SQSEvent S3Event S3EventNotification KinesisEvent KinesisTimeWindowEvent DynamodbEvent DynamodbTimeWindowEvent CodeCommitEvent CloudFrontEvent".split(" ")) {
            STYLE.put(c, "Records");
        }
        STYLE.put("AttributeValue", "UPPER");
    }

    /** How AWS writes a field of an event class. */
    static String written(Class<?> type, String field) {
        String simple = type.getSimpleName();
        if (type.getEnclosingClass() != null && STYLE.containsKey(simple + "@" + type.getEnclosingClass().getSimpleName())) {
            simple += "@" + type.getEnclosingClass().getSimpleName();
        }
        switch (STYLE.getOrDefault(simple, "")) {
            case "Pascal":
                return Character.toUpperCase(field.charAt(0)) + field.substring(1);
            case "Records":
                return field.equals("records") ? "Records" : field;
            case "UPPER":
                return loose(field).toUpperCase(Locale.ROOT);
            default:
                break;
        }
        if (field.equals("eventSourceArn")) {
            return "eventSourceARN";
        }
        if (field.equals("xAmzId2")) {
            return "x-amz-id-2";
        }
        if (field.equals("xAmzRequestId")) {
            return "x-amz-request-id";
        }
        return field.equals("detailType") && simple.equals("ScheduledEvent") ? "detail-type" : field;
    }

    /** An object made without a constructor. */
    static Object allocate(Class<?> type) throws Exception {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field instance = unsafe.getDeclaredField("theUnsafe");
        instance.setAccessible(true);
        Method allocate = unsafe.getMethod("allocateInstance", Class.class);
        return allocate.invoke(instance.get(null), type);
    }
}
