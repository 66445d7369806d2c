// The published interface of com.amazonaws:aws-lambda-java-core, as functions are compiled against it. Only the names are AWS's.
package com.amazonaws.services.lambda.runtime;

/** Lets AWS's Log4j appender say that it wants the request id in Log4j's thread context. */
public final class LambdaRuntimeInternal {
    private static volatile boolean useLog4jAppender;

    private LambdaRuntimeInternal() {}

    public static void setUseLog4jAppender(boolean use) {
        useLog4jAppender = use;
    }

    public static boolean getUseLog4jAppender() {
        return useLog4jAppender;
    }
}
