// A function that a waiting runtime loads and runs ahead of the one that it will have.
exports.handler = async (event) => event;
