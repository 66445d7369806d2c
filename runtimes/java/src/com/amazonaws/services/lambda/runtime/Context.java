// The published interface of com.amazonaws:aws-lambda-java-core, as functions are compiled against it. Only the names are AWS's.
package com.amazonaws.services.lambda.runtime;

/** What a function can know about its invocation. */
public interface Context {
    String getAwsRequestId();

    String getLogGroupName();

    String getLogStreamName();

    String getFunctionName();

    String getFunctionVersion();

    String getInvokedFunctionArn();

    /** May be null. */
    CognitoIdentity getIdentity();

    /** May be null. */
    ClientContext getClientContext();

    int getRemainingTimeInMillis();

    int getMemoryLimitInMB();

    LambdaLogger getLogger();

    /** May be null. */
    default String getTenantId() {
        return null;
    }

    /** May be null. */
    default String getXrayTraceId() {
        return null;
    }
}
