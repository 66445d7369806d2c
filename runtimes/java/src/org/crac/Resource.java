package org.crac;

/** What wants to know of a snapshot. The interface is that of the org.crac library. */
public interface Resource {
    /** Called before the snapshot is made. An exception is the end of it. */
    void beforeCheckpoint(Context<? extends Resource> context) throws Exception;

    /** Called in everything that was restored from the snapshot. */
    void afterRestore(Context<? extends Resource> context) throws Exception;
}
