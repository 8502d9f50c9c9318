"""Sends the records of test/interop/records.ts through the Python SDK's OTLP/HTTP exporter.

Where to, with which headers, which compression and what resource comes from the OTEL_* variables.
    main.py records     the records that every SDK sends, then what the logging bridge makes of lines
    main.py bulk N      N records that differ by their number alone
"""

import logging
import sys

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

FIRST_NS = 1720000000123456000
OBSERVED_AFTER_NS = 1_000_000_000

TRACED = trace.set_span_in_context(
    trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=0x0AF7651916CD43DD8448EB211C80319C,
            span_id=0xB7AD6B7169203331,
            is_remote=False,
            trace_flags=trace.TraceFlags(1),
        )
    )
)

KINDS = {
    "text": "plain",
    "text.empty": "",
    "text.unicode": "zażółć 🚀",
    "int": 42,
    "int.negative": -7,
    "int.zero": 0,
    "int.safe": 9007199254740991,
    "int.large": 9223372036854775807,
    "num": 0.5,
    "num.whole": 3.0,
    "bool.true": True,
    "bool.false": False,
    "texts": ["a", "b"],
    "ints": [1, 2, 3],
    "map": {"city": "Gdańsk", "nested": {"n": 1}},
    "bytes": b"\x00\x01\xfe\xff",
}

COLUMNS = {
    "http.request.header.x-request-id": ["req-1"],
    "user.id": "u-7",
    "code.file.path": "src/pay.go",
    "code.line.number": 17,
    "workspace.id": "w-1",
    "project.id": "p-1",
}


def send_records(provider):
    logger = provider.get_logger("payments", "0.3.1", attributes={"team": "core"})
    sent = 0

    def emit(body=None, severity=SeverityNumber.INFO, text="INFO", **more):
        nonlocal sent
        at = FIRST_NS + sent
        more.setdefault("timestamp", at)
        more.setdefault("observed_timestamp", at + OBSERVED_AFTER_NS)
        logger.emit(severity_number=severity, severity_text=text, body=body, **more)
        sent += 1

    for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"):
        emit(f"level {name.lower()}", SeverityNumber[name], name)
    emit("number 24", SeverityNumber.FATAL4, "EMERGENCY")
    emit("no severity", None, None)
    emit("number against text", SeverityNumber.WARN, "Error")
    emit("every kind of attribute", attributes=KINDS)
    emit({"message": "from a map", "n": 1})
    emit(["a", 1, True])
    emit("in a trace", context=TRACED)
    emit("order 17 placed", event_name="order.placed")
    emit("zażółć gęślą jaźń 🚀\n\tat line two")
    emit(
        None,
        SeverityNumber.ERROR,
        "ERROR",
        attributes={"exception.type": "TimeoutError", "exception.message": "upstream took 30 s"},
    )
    emit("attributes with columns", attributes=COLUMNS)
    emit("observed alone", timestamp=None, observed_timestamp=FIRST_NS + sent)


def send_lines(provider):
    from opentelemetry.instrumentation.logging.handler import LoggingHandler

    logger = logging.getLogger("shop.cart")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(LoggingHandler(logger_provider=provider, log_code_attributes=True))

    logger.warning("cart %s has %d items", "c-9", 3, extra={"cart.id": "c-9", "items": 3})
    with trace.use_span(trace.get_current_span(TRACED)):
        logger.critical("in a span")
    try:
        raise ValueError("no such item")
    except ValueError:
        logger.exception("cannot add")


def send_bulk(provider, count):
    logger = provider.get_logger("bulk")
    for i in range(count):
        logger.emit(
            timestamp=FIRST_NS + i,
            severity_number=SeverityNumber.INFO,
            body=f"bulk {i}",
            attributes={"i": i},
        )


def main():
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    if sys.argv[1] == "bulk":
        send_bulk(provider, int(sys.argv[2]))
    else:
        send_records(provider)
        send_lines(provider)
    provider.force_flush()
    provider.shutdown()


main()
