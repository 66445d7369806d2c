// A declaration without a body wants a file of assembly in its package.
