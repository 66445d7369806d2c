"""The root logger of a function: AWS's text line, or one JSON object per record."""

import json
import time

RESERVED = frozenset(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created msecs "
    "relativeCreated thread threadName processName process taskName aws_request_id tenant_id".split()
)


def setup(logging, log, current):
    """Install the root handler. log is where lines go, current tells which invocation is running."""

    class LambdaLoggerFilter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = current.request_id or ""
            record.tenant_id = current.tenant_id
            return True

    class LambdaLoggerHandler(logging.Handler):
        def emit(self, record):
            log.write(self.format(record), record.levelno)

    class JsonFormatter(logging.Formatter):
        def format(self, record):
            return json.dumps(fields(self, record), ensure_ascii=False, default=str) + "\n"

    def fields(formatter, record):
        level = min(50, max(0, record.levelno)) // 10 * 10
        result = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + ".%03dZ" % record.msecs,
            "level": logging.getLevelName(level),
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0]:
            import traceback

            kind, value, trace = record.exc_info
            result["stackTrace"] = traceback.format_tb(trace)
            result["errorType"] = kind.__name__
            result["errorMessage"] = str(value)
            result["location"] = "%s:%s:%s" % (record.pathname, record.funcName, record.lineno)
        result["requestId"] = record.aws_request_id
        if record.tenant_id is not None:
            result["tenantId"] = record.tenant_id
        for key, value in record.__dict__.items():
            if key not in RESERVED and key not in result and value is not None:
                result[key] = value
        return result

    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler()
    if log.json:
        handler.setFormatter(JsonFormatter())
    else:
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    if log.level in logging._nameToLevel:
        root.setLevel(log.level)
