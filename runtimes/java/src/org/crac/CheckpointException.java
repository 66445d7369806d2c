package org.crac;

/** What resources have thrown: the first as the cause, others as suppressed exceptions. */
public class CheckpointException extends Exception {
    private static final long serialVersionUID = 1;

    public CheckpointException() {}

    public CheckpointException(String message) {
        super(message);
    }
}
