import ch.qos.logback.classic.LoggerContext;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.logs.LogRecordBuilder;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.logs.Severity;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import io.opentelemetry.instrumentation.logback.appender.v1_0.OpenTelemetryAppender;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;

/**
 * Sends the records of test/interop/records.ts through the Java SDK's OTLP/HTTP exporter.
 *
 * <p>Where to, with which headers, which compression and what resource comes from the OTEL_*
 * variables.
 *
 * <pre>
 *   Main records     the records that every SDK sends, then what the logback appender makes of lines
 *   Main bulk N      N records that differ by their number alone
 * </pre>
 */
public final class Main {
  private static final long FIRST_NS = 1720000000123456000L;
  private static final long OBSERVED_AFTER_NS = 1_000_000_000L;

  private static final Context TRACED =
      Context.root()
          .with(
              Span.wrap(
                  SpanContext.create(
                      "0af7651916cd43dd8448eb211c80319c",
                      "b7ad6b7169203331",
                      TraceFlags.getSampled(),
                      TraceState.getDefault())));

  private final Logger logger;
  private long sent = 0;

  private Main(OpenTelemetry sdk) {
    logger = sdk.getLogsBridge().loggerBuilder("payments").setInstrumentationVersion("0.3.1").build();
  }

  public static void main(String[] args) {
    OpenTelemetrySdk sdk = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk();
    if (args[0].equals("bulk")) {
      sendBulk(sdk, Integer.parseInt(args[1]));
    } else {
      new Main(sdk).sendRecords();
      sendLines(sdk);
    }
    sdk.getSdkLoggerProvider().forceFlush().join(60, TimeUnit.SECONDS);
    sdk.close();
  }

  private void emit(Consumer<LogRecordBuilder> change) {
    long at = FIRST_NS + sent++;
    LogRecordBuilder record =
        logger
            .logRecordBuilder()
            .setContext(Context.root())
            .setTimestamp(at, TimeUnit.NANOSECONDS)
            .setObservedTimestamp(at + OBSERVED_AFTER_NS, TimeUnit.NANOSECONDS)
            .setSeverity(Severity.INFO)
            .setSeverityText("INFO");
    change.accept(record);
    record.emit();
  }

  private void say(String message, Severity severity, String text) {
    emit(r -> r.setBody(message).setSeverity(severity).setSeverityText(text));
  }

  private void sendRecords() {
    say("level trace", Severity.TRACE, "TRACE");
    say("level debug", Severity.DEBUG, "DEBUG");
    say("level info", Severity.INFO, "INFO");
    say("level warn", Severity.WARN, "WARN");
    say("level error", Severity.ERROR, "ERROR");
    say("level fatal", Severity.FATAL, "FATAL");
    say("number 24", Severity.FATAL4, "EMERGENCY");
    say("no severity", Severity.UNDEFINED_SEVERITY_NUMBER, null);
    say("number against text", Severity.WARN, "Error");
    emit(
        r ->
            r.setBody("every kind of attribute")
                .setAttribute("text", "plain")
                .setAttribute("text.empty", "")
                .setAttribute("text.unicode", "zażółć 🚀")
                .setAttribute("int", 42)
                .setAttribute("int.negative", -7)
                .setAttribute("int.zero", 0)
                .setAttribute("int.safe", 9007199254740991L)
                .setAttribute("int.large", Long.MAX_VALUE)
                .setAttribute("num", 0.5)
                .setAttribute("num.whole", 3.0)
                .setAttribute("bool.true", true)
                .setAttribute("bool.false", false)
                .setAttribute(AttributeKey.stringArrayKey("texts"), List.of("a", "b"))
                .setAttribute(AttributeKey.longArrayKey("ints"), List.of(1L, 2L, 3L))
                .setAttribute(
                    "map",
                    Value.of(
                        KeyValue.of("city", Value.of("Gdańsk")),
                        KeyValue.of("nested", Value.of(KeyValue.of("n", Value.of(1))))))
                .setAttribute("bytes", Value.of(new byte[] {0, 1, (byte) 0xfe, (byte) 0xff})));
    emit(
        r ->
            r.setBody(
                Value.of(
                    KeyValue.of("message", Value.of("from a map")), KeyValue.of("n", Value.of(1)))));
    emit(r -> r.setBody(Value.of(Value.of("a"), Value.of(1), Value.of(true))));
    emit(r -> r.setBody("in a trace").setContext(TRACED));
    emit(r -> r.setBody("order 17 placed").setEventName("order.placed"));
    emit(r -> r.setBody("zażółć gęślą jaźń 🚀\n\tat line two"));
    emit(
        r ->
            r.setSeverity(Severity.ERROR)
                .setSeverityText("ERROR")
                .setAttribute("exception.type", "TimeoutError")
                .setAttribute("exception.message", "upstream took 30 s"));
    emit(
        r ->
            r.setBody("attributes with columns")
                .setAttribute(
                    AttributeKey.stringArrayKey("http.request.header.x-request-id"),
                    List.of("req-1"))
                .setAttribute("user.id", "u-7")
                .setAttribute("code.file.path", "src/pay.go")
                .setAttribute("code.line.number", 17)
                .setAttribute("workspace.id", "w-1")
                .setAttribute("project.id", "p-1"));
    logger
        .logRecordBuilder()
        .setContext(Context.root())
        .setObservedTimestamp(FIRST_NS + sent, TimeUnit.NANOSECONDS)
        .setSeverity(Severity.INFO)
        .setSeverityText("INFO")
        .setBody("observed alone")
        .emit();
  }

  private static void sendLines(OpenTelemetry sdk) {
    LoggerContext logback = (LoggerContext) LoggerFactory.getILoggerFactory();
    OpenTelemetryAppender appender = new OpenTelemetryAppender();
    appender.setContext(logback);
    appender.setOpenTelemetry(sdk);
    appender.setCaptureMdcAttributes("*");
    appender.setCaptureKeyValuePairAttributes(true);
    appender.start();
    var root = logback.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
    root.detachAndStopAllAppenders();
    root.addAppender(appender);

    org.slf4j.Logger shop = LoggerFactory.getLogger("shop.cart");
    MDC.put("request_id", "req-2");
    shop.atWarn().addKeyValue("items", 3).log("cart {} has {} items", "c-9", 3);
    MDC.clear();
    try (Scope ignored = TRACED.makeCurrent()) {
      shop.error("in a span", new IllegalStateException("no such item"));
    }
  }

  private static void sendBulk(OpenTelemetry sdk, int count) {
    Logger bulk = sdk.getLogsBridge().loggerBuilder("bulk").build();
    for (int i = 0; i < count; i++) {
      bulk.logRecordBuilder()
          .setTimestamp(FIRST_NS + i, TimeUnit.NANOSECONDS)
          .setSeverity(Severity.INFO)
          .setBody("bulk " + i)
          .setAttribute("i", i)
          .emit();
    }
  }
}
