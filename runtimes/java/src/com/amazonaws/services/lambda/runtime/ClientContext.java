// The published interface of com.amazonaws:aws-lambda-java-core, as functions are compiled against it. Only the names are AWS's.
package com.amazonaws.services.lambda.runtime;

import java.util.Map;

/** What the caller said about itself. */
public interface ClientContext {
    Client getClient();

    Map<String, String> getCustom();

    Map<String, String> getEnvironment();
}
