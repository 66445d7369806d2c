// Package runtimes is what a managed runtime is: which interpreter of this host serves it, and the bootstrap that loads a
// handler into it and speaks the Lambda Runtime API.
//
// A function named python3.12 runs on a Python 3.12 of the host, or on what --runtime-map says. Interpreters are looked for
// when a function first needs one, never at start. The bootstraps are part of this binary; they are written to the data
// directory once and mounted into sandboxes as /var/runtime.
//
// Bootstraps follow AWS's conventions: handler names, context objects, log lines, error documents, exit codes. They are in
// python/, node/ and java/, a folder each. provided.* functions bring their own.
//
// A runtime can also be started before it is known for which function (Launch.Warm). It then boots, rehearses loading and running a
// function, connects to the Runtime API and waits for its configuration; what is left of the function's cold start is to replace the
// environment and to load the code. What the interpreter, the C library or the dynamic linker read at their own start cannot be
// replaced: functions that configure them are launched the long way.
//
// Not like AWS: /proc/self/environ of a Python or Node.js process that waited shows what it waited with, although the environment
// that it has, and that its children get, is the function's. A Python or Node.js runtime has the AWS SDK only after `enfold runtime
// install`; Python's root logger is set up when the function first imports logging; X-Ray error causes are not reported.
package runtimes
