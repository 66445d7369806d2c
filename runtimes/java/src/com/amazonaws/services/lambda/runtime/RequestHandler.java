// The published interface of com.amazonaws:aws-lambda-java-core, as functions are compiled against it. Only the names are AWS's.
package com.amazonaws.services.lambda.runtime;

/** A function from one object to another. */
public interface RequestHandler<I, O> {
    O handleRequest(I input, Context context);
}
