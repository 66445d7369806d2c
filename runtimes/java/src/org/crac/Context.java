package org.crac;

/** Resources that are told together. The class is that of the org.crac library. */
public abstract class Context<R extends Resource> implements Resource {
    protected Context() {}

    @Override
    public abstract void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException;

    @Override
    public abstract void afterRestore(Context<? extends Resource> context) throws RestoreException;

    /** Has a resource told. It is kept. */
    public abstract void register(R resource);
}
