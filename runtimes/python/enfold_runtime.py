"""The managed Python runtime: loads a handler and runs it once per event of the Lambda Runtime API.

Conventions are those of AWS's python3.x runtimes: handler names, the context object, log lines, error documents.
Standard library only, Python 3.8 to 3.14. Modules that cost milliseconds to import (logging, traceback, socket) are imported
when they are needed, because every one of them is paid for in each cold start.
"""

import _sitebuiltins
import builtins
import importlib
import json
import os
import sys
import time

import enfold_import
from enfold_client import Client
from enfold_json import ENSURE_ASCII, Encoder


UPDATE_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. However, in rare cases, a "
    "Lambda runtime update can cause unexpected function behavior. For functions using managed runtimes, runtime updates can be "
    "triggered by a function change, or can be applied automatically. To determine if the runtime has been updated, check the "
    "runtime version in the INIT_START log entry. If this error correlates with a change in the runtime version, you may be able "
    "to mitigate this error by temporarily rolling back to the previous runtime version. For more information, see "
    "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html"
)


class Fault(Exception):
    """A failure with a type that AWS names, such as Runtime.ImportModuleError."""

    def __init__(self, kind, message, trace=None):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = trace


class Current:
    """The invocation that is running, for log records."""

    request_id = None
    tenant_id = None


# ---- the handler


def load_handler(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as e:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, e))
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as e:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, e))
    except SyntaxError as e:
        trace = ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, e), trace)
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name))


def add_host_packages(sdk):
    """Add to sys.path what follows the standard library: the SDK and the interpreter's own packages.

    The interpreter runs with -S, so that start-up code of the host's site-packages does not run in every function. What the
    site module would have given is done here and in add_function_paths."""
    version = "python%d.%d" % sys.version_info[:2]
    if sdk:  # before the host's own packages: the versions that were installed for functions win
        sys.path.append(sdk)
    for directory in site_packages(version):
        if os.path.isdir(directory) and directory not in sys.path:
            sys.path.append(directory)
            add_path_files(directory, code=False)
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()


def add_function_paths(layers):
    """Put the function and its layers before the runtime and the standard library, as AWS does.

    layers are the directories that make up /opt, first found first."""
    version = "python%d.%d" % sys.version_info[:2]
    first = [os.environ["LAMBDA_TASK_ROOT"]]
    if "PYTHONPATH" not in os.environ:
        for opt in layers:
            first += [opt + "/python/lib/" + version + "/site-packages", opt + "/python"]
        os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]
    sys.path[:0] = first
    for directory in first:
        add_path_files(directory, code=True)
    run_sitecustomize()


def site_packages(version):
    """Where the interpreter's own packages are."""
    home = os.path.dirname(os.path.dirname(sys.executable))
    roots = [sys.prefix] if home == sys.prefix or not os.path.exists(home + "/pyvenv.cfg") else [home, sys.prefix]
    found = [root + lib + version + "/site-packages" for root in roots for lib in ("/lib/", "/lib64/")]
    if sys.prefix == "/usr":  # Debian keeps its packages in these
        found += ["/usr/local/lib/" + version + "/dist-packages", "/usr/lib/python3/dist-packages"]
    return found


def add_path_files(directory, code):
    """Add the directories that *.pth files in directory name, and if code is true run the code that they hold."""
    try:
        names = sorted(n for n in enfold_import.names_in(directory) if n.endswith(".pth"))
    except OSError:
        return
    if names and code:
        import site

        site.addsitedir(directory)
        return
    for name in names:
        try:
            with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as f:
                lines = f.read(1 << 16).splitlines()
        except OSError:
            continue
        for line in lines:
            path = os.path.normpath(os.path.join(directory, line.strip()))
            if line.strip() and not line.startswith(("#", "import ", "import\t")) and path not in sys.path and os.path.exists(path):
                sys.path.append(path)


def run_sitecustomize():
    """Instrumentation layers put a sitecustomize module on PYTHONPATH and expect it to be imported at start."""
    runtime = os.environ["LAMBDA_RUNTIME_DIR"]
    own = [p for p in os.environ["PYTHONPATH"].split(":") if p and p != runtime]
    if any(os.path.exists(p + "/sitecustomize.py") or os.path.isdir(p + "/sitecustomize") for p in own):
        importlib.import_module("sitecustomize")


# ---- the context object


class Attributes:
    """An object with fixed attributes, made from a dictionary whose other keys are dropped."""

    __slots__ = ()

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self):
        fields = ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__)
        return "%s([%s])" % (type(self).__name__, fields)


class CognitoIdentity(Attributes):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class ClientInfo(Attributes):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


ClientInfo.__name__ = "Client"


class ClientContext(Attributes):
    __slots__ = ("custom", "env", "client")

    def __init__(self, values):
        super().__init__(values)
        if self.client is not None:
            self.client = ClientInfo(self.client)


class LambdaContext:
    def __init__(self, event):
        env = os.environ.get
        self.aws_request_id = event.request_id
        self.log_group_name = env("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = env("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = env("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = event.header("lambda-runtime-invoked-function-arn")
        self.tenant_id = event.header("lambda-runtime-aws-tenant-id")
        client = parse_header(event.header("lambda-runtime-client-context"), "Client Context")
        self.client_context = None if client is None else ClientContext(client)
        cognito = parse_header(event.header("lambda-runtime-cognito-identity"), "Cognito Identity") or {}
        self.identity = CognitoIdentity(
            {
                "cognito_identity_id": cognito.get("cognitoIdentityId"),
                "cognito_identity_pool_id": cognito.get("cognitoIdentityPoolId"),
            }
        )
        self._epoch_deadline_time_in_ms = int(event.header("lambda-runtime-deadline-ms") or 0)

    def get_remaining_time_in_millis(self):
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def log(self, msg):
        Log.write(str(msg))

    def __repr__(self):
        names = (
            "aws_request_id log_group_name log_stream_name function_name memory_limit_in_mb function_version "
            "invoked_function_arn client_context identity tenant_id"
        ).split()
        return "LambdaContext([%s])" % ",".join("%s=%s" % (n, getattr(self, n)) for n in names)


def parse_header(text, name):
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as e:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, e))


# ---- events and answers


def marshal(result):
    """The answer's bytes and their content type."""
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return Encoder().encode_text(result).encode("utf-8"), "application/json"
    except Exception as e:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % e)


def unmarshal(event):
    # Whatever content type the caller gave: an event is JSON. Some SDKs call it application/octet-stream.
    try:
        return json.loads(event.body)
    except Exception as e:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e)


# ---- errors


def error_document(message, kind, trace, request_id):
    return {"errorMessage": message or "", "errorType": kind or "", "requestId": request_id or "", "stackTrace": trace or []}


def error_of(e, request_id):
    """The error document of an exception, without the frames of the runtime itself."""
    if isinstance(e, Fault):
        return error_document(e.message, e.kind, e.trace, request_id)
    import traceback

    frames = list(traceback.extract_tb(e.__traceback__))
    own = 0
    while own < len(frames) and frames[own].filename in OWN_FILES:
        own += 1
    # extract_tb's own entries carry column marks from 3.11 on; AWS formats the four plain fields.
    rows = [(f.filename, f.lineno, f.name, f.line) for f in frames[own if own < len(frames) else 0 :]]
    return error_document(str(e), type(e).__name__, traceback.format_list(rows), request_id)


# ---- logs


class Log:
    """Where log records go: standard output, or the platform's framed log descriptor."""

    json = False
    level = ""
    fd = None

    @classmethod
    def open(cls):
        cls.json = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
        cls.level = {"TRACE": "DEBUG"}.get(level, level)
        fd = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", "")
        if fd.isdigit():
            cls.fd = int(fd)

    # Levels of the framed protocol, by levelno / 10.
    BITS = (0x00, 0x08, 0x0C, 0x10, 0x14, 0x18)

    @classmethod
    def write(cls, text, levelno=0):
        if cls.fd is None:
            sys.stdout.write(one_line(text))
            return
        data = text.encode("utf-8", "backslashreplace")
        kind = (0xA55A0002 if cls.json else 0xA55A0003) | cls.BITS[min(50, max(0, levelno)) // 10]
        head = kind.to_bytes(4, "big") + len(data).to_bytes(4, "big") + int(time.time() * 1e6).to_bytes(8, "big")
        view = memoryview(head + data)
        while view:
            view = view[os.write(cls.fd, view) :]

    @classmethod
    def error(cls, doc):
        if cls.json:
            now = time.time()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%03dZ" % (now % 1 * 1000)
            cls.write(json.dumps({"timestamp": stamp, "level": "ERROR", **doc}, ensure_ascii=ENSURE_ASCII), 40)
            return
        head = "[ERROR]"
        if doc["errorType"]:
            head += " " + doc["errorType"] + (":" if doc["errorMessage"] else "")
        if doc["errorMessage"]:
            head += " " + doc["errorMessage"]
        lines = [head, "Traceback (most recent call last):"]
        for entry in doc["stackTrace"]:
            for line in entry.splitlines():
                body = line.lstrip(" ")
                lines.append("\u00a0" * (len(line) - len(body)) + body)
        cls.write("\n".join(lines), 40)


def one_line(text):
    """A record as standard output carries it: one line, whose own newlines are carriage returns. The platform turns them back,
    so that a record is one log event."""
    if text.endswith("\n"):
        text = text[:-1]
    if "\n" in text:
        text = text.replace("\r\n", "\n").replace("\n", "\r")
    return text + "\n"


class LoggingHook:
    """Sets up the root logger at the moment that anybody imports logging, and not before: the import takes milliseconds."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is None:
                continue
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                import enfold_logging

                enfold_logging.setup(module, Log, Current)

            spec.loader.exec_module = exec_module
            return spec
        return None


def fix_streams():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.reconfigure(encoding="utf-8", line_buffering=True)
        except AttributeError:
            pass


def drop_coerced_locale():
    """Remove the LC_CTYPE that the interpreter itself put into the environment, as it does on a host without LANG's locale.

    On AWS functions see that variable from Python 3.12 on. One that the function is configured with stays."""
    if sys.version_info >= (3, 12) or "LC_CTYPE" not in os.environ:
        return
    try:
        with open("/proc/self/environ", "rb") as f:
            given = f.read().split(b"\0")
    except OSError:
        return
    if not any(v.startswith(b"LC_CTYPE=") for v in given):
        del os.environ["LC_CTYPE"]


def flush_streams():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass


# ---- the loop


def invoke(handler, event):
    """Run one event. Returns the answer's bytes, content type and error type (None if it succeeded)."""
    try:
        context = LambdaContext(event)
        body, kind = marshal(handler(unmarshal(event), context))
        return body, kind, None
    except Exception as e:
        doc = error_of(e, event.request_id)
        Log.error(doc)
        return Encoder().encode_text(doc).encode("utf-8", "backslashreplace"), "application/json", doc["errorType"]


def init(client):
    """Load the handler. If that fails the error is reported and the process ends with status 1."""
    try:
        return load_handler(os.environ["_HANDLER"])
    except Exception as e:
        doc = error_of(e, None)
        warn_of_updates()
        Log.error(doc)
        flush_streams()
        client.post_init_error(Encoder().encode_text(doc).encode("utf-8", "backslashreplace"), doc["errorType"])
        sys.exit(1)


def logged_error(e):
    """Log an exception that is about no event, and answer its error document."""
    doc = error_of(e, None)
    Log.error(doc)
    flush_streams()
    return Encoder().encode_text(doc).encode("utf-8", "backslashreplace")


def warn_of_updates():
    """The record that AWS writes before the error of an init that failed."""
    try:
        import logging

        logging.warning(UPDATE_WARNING)
    except Exception:
        pass  # the function's own logging is broken, and its init error matters more


def run(client, handler):
    event = client.next()
    while True:
        Current.request_id, Current.tenant_id = event.request_id, event.header("lambda-runtime-aws-tenant-id")
        trace = event.header("lambda-runtime-trace-id")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        body, kind, error_type = invoke(handler, event)
        flush_streams()
        event = client.answer_and_next(event.request_id, body, kind, error_type)


def rehearse():
    """An invocation that reaches nobody."""
    client = Client("127.0.0.1:1")
    client.buffer += (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 0\r\n"
        b"Lambda-Runtime-Deadline-Ms: 1\r\nContent-Length: 9\r\n\r\n" + b'{"a":[1]}'
    )
    event = client.event(client.receive())
    body, kind, error_type = invoke(lambda event, context: event, event)
    client.post(b"invocation/0/response", body, kind, error_type)


def main():
    layers, sdk = sys.argv[1:3]  # directories that make up /opt, and that of an installed SDK or ""
    del sys.argv[1:]
    fix_streams()
    drop_coerced_locale()
    add_host_packages(sdk)
    sys.meta_path.insert(0, LoggingHook())
    enfold_import.quicken((os.environ["LAMBDA_TASK_ROOT"] + "/", "/opt/", os.environ["LAMBDA_RUNTIME_DIR"] + "/"))
    client = None
    if "_ENFOLD_WARM" in os.environ:
        import enfold_warm

        client = enfold_warm.wait(rehearse)
    Log.open()
    add_function_paths(layers.split(":"))
    endpoint = os.environ["AWS_LAMBDA_RUNTIME_API"]
    if client is None or client.endpoint != endpoint:
        client = Client(endpoint)
        client.adopt()
    os.environ.pop("_ENFOLD_CHANNEL", None)
    signal = os.environ.pop("_ENFOLD_RESTORED", "")
    handler = init(client)
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        import enfold_snapstart

        enfold_snapstart.pause(client, signal, logged_error)
    run(client, handler)


OWN_FILES = {os.path.join(os.path.dirname(__file__), name) for name in ("bootstrap.py", "enfold_snapstart.py")}
OWN_FILES |= {__file__, load_handler.__code__.co_filename}
