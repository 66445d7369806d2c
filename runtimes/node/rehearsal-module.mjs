// A function that a waiting runtime loads ahead of the one that it will have.
export const handler = async (event) => event;
