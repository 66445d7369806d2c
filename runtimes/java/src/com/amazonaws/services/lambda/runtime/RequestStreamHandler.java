// The published interface of com.amazonaws:aws-lambda-java-core, as functions are compiled against it. Only the names are AWS's.
package com.amazonaws.services.lambda.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** A function from bytes to bytes. */
public interface RequestStreamHandler {
    void handleRequest(InputStream input, OutputStream output, Context context) throws IOException;
}
