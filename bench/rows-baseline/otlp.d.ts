// What the baseline uses of otlp.js, which pbjs makes from proto/ when a benchmark starts. The
// JSON encoding has the same members, so one reader serves both: 64-bit integers are then strings,
// and ids hex text.

export type Int64 = { toString(): string } | string | number
export interface AnyValue {
  stringValue?: string | null
  boolValue?: boolean | null
  intValue?: Int64 | null
  doubleValue?: number | null
  arrayValue?: { values: AnyValue[] } | null
  kvlistValue?: { values: KeyValue[] } | null
  bytesValue?: Uint8Array | string | null
}
export interface KeyValue {
  key: string
  value?: AnyValue | null
}
export interface LogRecord {
  timeUnixNano?: Int64 | null
  severityNumber?: number | null
  severityText?: string | null
  body?: AnyValue | null
  attributes?: KeyValue[]
  traceId?: Uint8Array | string | null
  spanId?: Uint8Array | string | null
  eventName?: string | null
}
export interface ExportLogsServiceRequest {
  resourceLogs?: {
    resource?: { attributes?: KeyValue[] } | null
    scopeLogs?: { scope?: { name?: string } | null; logRecords?: LogRecord[] }[]
  }[]
}
export const opentelemetry: {
  proto: {
    collector: {
      logs: {
        v1: { ExportLogsServiceRequest: { decode(bytes: Uint8Array): ExportLogsServiceRequest } }
      }
    }
  }
}
