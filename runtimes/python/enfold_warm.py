"""Booting before it is known for which function: wait for its configuration, then be as if started with it.

The configuration is the process's environment, "NAME=value" entries with a zero byte after each, on standard input until its
end. What does not depend on it is done before it comes: an invocation is waiting from then on.
"""

import gc
import io
import os
import sys
import time

from enfold_client import Client

# The interpreter specializes code that has run this often.
REHEARSALS = 20


def wait(rehearse):
    """Wait, then replace the environment. Returns a client that is connected already, or None. rehearse runs an invocation.

    The end of standard input without a configuration means that nobody is left to send one, and ends the process."""
    client = connect_ahead(os.environ.get("AWS_LAMBDA_RUNTIME_API"))
    know(os.environ["LAMBDA_TASK_ROOT"])
    zone = os.environ.get("TZ")
    fd = take_stdin()
    for _ in range(REHEARSALS):
        replace_environment(b"".join(b"%s=%s\0" % entry for entry in os.environ._data.items()))
        compile(b"import os\ndef handler(event, context):\n    return event\n", "<string>", "exec", dont_inherit=True)
        rehearse()
    gc.collect()  # so that no collection is due while the function loads
    os.write(1, b"\0")  # ready: see runtimes.Warm
    config = read_all(fd)
    if not config:
        os._exit(0)
    os.close(fd)
    replace_environment(config)
    if "PYTHONPATH" in os.environ:  # as the interpreter does: behind the bootstrap's own directory, with which sys.path begins
        sys.path[1:1] = os.environ["PYTHONPATH"].split(":")
    if os.environ.get("TZ") != zone:
        time.tzset()
    return client


def connect_ahead(endpoint):
    """A connected client. None if that is not possible yet: the client then connects when it needs to."""
    if not endpoint:
        return None
    client = Client(endpoint)
    if client.adopt():
        return client
    try:
        client.connect()
    except OSError:
        client.close()
        return None
    return client


def know(directory):
    """Prepare the search for modules. The first import of a function would list the standard library, too."""
    try:
        import enfold_nothing  # looked for in all of sys.path
    except ImportError:
        pass
    for hook in sys.path_hooks:
        try:
            finder = hook(directory)
        except ImportError:
            continue
        if type(finder).__name__ == "FileFinder":  # it will read the directory when the function is mounted there
            sys.path_importer_cache[directory] = finder
        return


def take_stdin():
    """Give the function /dev/null as its standard input, and return a descriptor of what was it."""
    fd = os.dup(0)  # not inheritable
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    old = sys.stdin
    if old is not None:  # a text stream knows from its start on what kind of file it reads
        raw = io.FileIO(0, "rb", closefd=False)
        raw.name = "<stdin>"
        sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(raw), old.encoding, old.errors)
        sys.stdin.mode = "r"
    return fd


def read_all(fd):
    parts = []
    while True:
        part = os.read(fd, 1 << 13)  # for more the heap would have to grow, and shrink again
        if not part:
            return b"".join(parts)
        parts.append(part)


def replace_environment(config):
    """Make os.environ and the C library's environment what the entries say, in their order."""
    new = {}
    for entry in config.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if name and equals:
            new.setdefault(name, value)
    data = os.environ._data
    for name in data:
        os.unsetenv(name)
    data.clear()
    data.update(new)
    for name, value in new.items():
        os.putenv(name, value)

