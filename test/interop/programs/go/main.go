// Sends the records of test/interop/records.ts through the Go SDK's OTLP/HTTP exporter.
//
// Where to, with which headers, which compression and what resource comes from the OTEL_* variables.
//
//	program records     the records that every SDK sends, then what the slog bridge makes of lines
//	program bulk N      N records that differ by their number alone
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"math"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"
)

const (
	firstNs         = 1720000000123456000
	observedAfterNs = 1_000_000_000
)

func traced() context.Context {
	traceID, _ := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	spanID, _ := trace.SpanIDFromHex("b7ad6b7169203331")
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled,
	})
	return trace.ContextWithSpanContext(context.Background(), span)
}

func sendRecords(provider *sdklog.LoggerProvider) {
	logger := provider.Logger("payments",
		otellog.WithInstrumentationVersion("0.3.1"),
		otellog.WithInstrumentationAttributes(attribute.String("team", "core")))

	sent := int64(0)
	emit := func(ctx context.Context, change func(r *otellog.Record)) {
		var r otellog.Record
		r.SetTimestamp(time.Unix(0, firstNs+sent))
		r.SetObservedTimestamp(time.Unix(0, firstNs+sent+observedAfterNs))
		r.SetSeverity(otellog.SeverityInfo)
		r.SetSeverityText("INFO")
		change(&r)
		logger.Emit(ctx, r)
		sent++
	}
	say := func(message string, severity otellog.Severity, text string) {
		emit(context.Background(), func(r *otellog.Record) {
			r.SetBody(attribute.StringValue(message))
			r.SetSeverity(severity)
			r.SetSeverityText(text)
		})
	}
	with := func(message string, attributes ...attribute.KeyValue) {
		emit(context.Background(), func(r *otellog.Record) {
			r.SetBody(attribute.StringValue(message))
			r.AddAttributes(attributes...)
		})
	}

	say("level trace", otellog.SeverityTrace, "TRACE")
	say("level debug", otellog.SeverityDebug, "DEBUG")
	say("level info", otellog.SeverityInfo, "INFO")
	say("level warn", otellog.SeverityWarn, "WARN")
	say("level error", otellog.SeverityError, "ERROR")
	say("level fatal", otellog.SeverityFatal, "FATAL")
	say("number 24", otellog.SeverityFatal4, "EMERGENCY")
	say("no severity", otellog.SeverityUndefined, "")
	say("number against text", otellog.SeverityWarn, "Error")
	with("every kind of attribute",
		attribute.String("text", "plain"),
		attribute.String("text.empty", ""),
		attribute.String("text.unicode", "zażółć 🚀"),
		attribute.Int("int", 42),
		attribute.Int("int.negative", -7),
		attribute.Int("int.zero", 0),
		attribute.Int64("int.safe", 1<<53-1),
		attribute.Int64("int.large", math.MaxInt64),
		attribute.Float64("num", 0.5),
		attribute.Float64("num.whole", 3),
		attribute.Bool("bool.true", true),
		attribute.Bool("bool.false", false),
		attribute.StringSlice("texts", []string{"a", "b"}),
		attribute.IntSlice("ints", []int{1, 2, 3}),
		attribute.Map("map",
			attribute.String("city", "Gdańsk"),
			attribute.Map("nested", attribute.Int("n", 1))),
		attribute.ByteSlice("bytes", []byte{0, 1, 0xfe, 0xff}))
	emit(context.Background(), func(r *otellog.Record) {
		r.SetBody(attribute.MapValue(attribute.String("message", "from a map"), attribute.Int("n", 1)))
	})
	emit(context.Background(), func(r *otellog.Record) {
		r.SetBody(attribute.SliceValue(
			attribute.StringValue("a"), attribute.IntValue(1), attribute.BoolValue(true)))
	})
	emit(traced(), func(r *otellog.Record) { r.SetBody(attribute.StringValue("in a trace")) })
	emit(context.Background(), func(r *otellog.Record) {
		r.SetBody(attribute.StringValue("order 17 placed"))
		r.SetEventName("order.placed")
	})
	with("zażółć gęślą jaźń 🚀\n\tat line two")
	emit(context.Background(), func(r *otellog.Record) {
		r.SetSeverity(otellog.SeverityError)
		r.SetSeverityText("ERROR")
		r.AddAttributes(
			attribute.String("exception.type", "TimeoutError"),
			attribute.String("exception.message", "upstream took 30 s"))
	})
	with("attributes with columns",
		attribute.StringSlice("http.request.header.x-request-id", []string{"req-1"}),
		attribute.String("user.id", "u-7"),
		attribute.String("code.file.path", "src/pay.go"),
		attribute.Int("code.line.number", 17),
		attribute.String("workspace.id", "w-1"),
		attribute.String("project.id", "p-1"))
	emit(context.Background(), func(r *otellog.Record) {
		r.SetBody(attribute.StringValue("observed alone"))
		r.SetTimestamp(time.Time{})
		r.SetObservedTimestamp(time.Unix(0, firstNs+sent))
	})
}

func sendLines(provider *sdklog.LoggerProvider) {
	logger := otelslog.NewLogger("shop.cart",
		otelslog.WithLoggerProvider(provider), otelslog.WithSource(true))
	logger.Warn("cart is full", "cart.id", "c-9", "items", 3,
		slog.Group("http", slog.String("method", "POST"), slog.Int("status", 409)))
	logger.ErrorContext(traced(), "in a span", "error", errors.New("no such item"))
}

func sendBulk(provider *sdklog.LoggerProvider, count int) {
	logger := provider.Logger("bulk")
	for i := range count {
		var r otellog.Record
		r.SetTimestamp(time.Unix(0, firstNs+int64(i)))
		r.SetSeverity(otellog.SeverityInfo)
		r.SetBody(attribute.StringValue(fmt.Sprintf("bulk %d", i)))
		r.AddAttributes(attribute.Int("i", i))
		logger.Emit(context.Background(), r)
	}
}

func main() {
	ctx := context.Background()
	exporter, err := otlploghttp.New(ctx)
	if err != nil {
		log.Fatal(err)
	}
	provider := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)))
	if os.Args[1] == "bulk" {
		count, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		sendBulk(provider, count)
	} else {
		sendRecords(provider)
		sendLines(provider)
	}
	if err := provider.Shutdown(ctx); err != nil {
		log.Fatal(err)
	}
}
