package org.crac;

/** What resources have thrown: the first as the cause, others as suppressed exceptions. */
public class RestoreException extends Exception {
    private static final long serialVersionUID = 1;

    public RestoreException() {}

    public RestoreException(String message) {
        super(message);
    }
}
