package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** The Context of one invocation. */
final class Invocation implements Context {
    private final RuntimeClient.Response event;
    private final LambdaLogger logger;
    private final ClientContext clientContext;
    private final CognitoIdentity identity;

    Invocation(RuntimeClient.Response event, LambdaLogger logger) {
        this.event = event;
        this.logger = logger;
        this.clientContext = clientContext(object(event.header("lambda-runtime-client-context")));
        this.identity = identity(object(event.header("lambda-runtime-cognito-identity")));
    }

    private static Map<?, ?> object(String json) {
        Object tree = json == null || json.isEmpty() ? null : Json.parse(json);
        return tree instanceof Map ? (Map<?, ?>) tree : null;
    }

    private static String text(Map<?, ?> from, String key) {
        Object v = from.get(key);
        return v == null ? null : v.toString();
    }

    private static Map<String, String> texts(Map<?, ?> from, String key) throws Json.Failure {
        Object v = from.get(key);
        if (!(v instanceof Map)) {
            return null;
        }
        Map<String, String> out = new LinkedHashMap<>();
        ((Map<?, ?>) v).forEach((k, x) -> out.put((String) k, asText(x)));
        return out;
    }

    private static String asText(Object v) {
        try {
            return v == null || v instanceof String ? (String) v : Mapper.write(v);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static CognitoIdentity identity(Map<?, ?> from) {
        if (from == null) {
            return null;
        }
        return new CognitoIdentity() {
            @Override
            public String getIdentityId() {
                return text(from, "cognitoIdentityId");
            }

            @Override
            public String getIdentityPoolId() {
                return text(from, "cognitoIdentityPoolId");
            }
        };
    }

    private static ClientContext clientContext(Map<?, ?> from) {
        if (from == null) {
            return null;
        }
        Client client = from.get("client") instanceof Map ? client((Map<?, ?>) from.get("client")) : null;
        Map<String, String> custom = texts(from, "custom");
        Map<String, String> environment = texts(from, "env");
        return new ClientContext() {
            @Override
            public Client getClient() {
                return client;
            }

            @Override
            public Map<String, String> getCustom() {
                return custom;
            }

            @Override
            public Map<String, String> getEnvironment() {
                return environment;
            }
        };
    }

    private static Client client(Map<?, ?> from) {
        return new Client() {
            @Override
            public String getInstallationId() {
                return text(from, "installation_id");
            }

            @Override
            public String getAppTitle() {
                return text(from, "app_title");
            }

            @Override
            public String getAppVersionName() {
                return text(from, "app_version_name");
            }

            @Override
            public String getAppVersionCode() {
                return text(from, "app_version_code");
            }

            @Override
            public String getAppPackageName() {
                return text(from, "app_package_name");
            }
        };
    }

    @Override
    public String getAwsRequestId() {
        return event.id();
    }

    @Override
    public String getLogGroupName() {
        return Variables.get("AWS_LAMBDA_LOG_GROUP_NAME");
    }

    @Override
    public String getLogStreamName() {
        return Variables.get("AWS_LAMBDA_LOG_STREAM_NAME");
    }

    @Override
    public String getFunctionName() {
        return Variables.get("AWS_LAMBDA_FUNCTION_NAME");
    }

    @Override
    public String getFunctionVersion() {
        return Variables.get("AWS_LAMBDA_FUNCTION_VERSION");
    }

    @Override
    public String getInvokedFunctionArn() {
        return event.header("lambda-runtime-invoked-function-arn");
    }

    @Override
    public CognitoIdentity getIdentity() {
        return identity;
    }

    @Override
    public ClientContext getClientContext() {
        return clientContext;
    }

    @Override
    public int getRemainingTimeInMillis() {
        String deadline = event.header("lambda-runtime-deadline-ms");
        return deadline == null ? 0 : (int) Math.max(0, Math.min(Integer.MAX_VALUE, Long.parseLong(deadline) - System.currentTimeMillis()));
    }

    @Override
    public int getMemoryLimitInMB() {
        return Integer.parseInt(Objects.requireNonNullElse(Variables.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), "128"));
    }

    @Override
    public LambdaLogger getLogger() {
        return logger;
    }

    @Override
    public String getTenantId() {
        return event.header("lambda-runtime-aws-tenant-id");
    }

    @Override
    public String getXrayTraceId() {
        return event.header("lambda-runtime-trace-id");
    }
}
