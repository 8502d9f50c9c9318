// Loki's push in both encodings, from one plain form: protobuf as protobufjs writes it by Loki's own
// numbers, so that a test of the reader does not lean on the reader.

import protobuf from 'protobufjs'

/** Of logproto in Loki's push.proto, without `parsed`: no sender has it, and we skip what is in it. */
const PROTO = `syntax = "proto3";
message PushRequest { repeated StreamAdapter streams = 1; string format = 2; }
message StreamAdapter { string labels = 1; repeated EntryAdapter entries = 2; uint64 hash = 3; }
message EntryAdapter {
  Timestamp timestamp = 1;
  string line = 2;
  repeated LabelPairAdapter structuredMetadata = 3;
}
message LabelPairAdapter { string name = 1; string value = 2; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }`

export const LOKI_ROOT = protobuf.parse(PROTO, { keepCase: true }).root
const PUSH_REQUEST = LOKI_ROOT.lookupType('PushRequest')

export interface Entry {
  /** Nanoseconds since 1970. */
  time: bigint
  line: string
  metadata?: Record<string, string>
}
export interface Stream {
  labels: Record<string, string>
  entries: Entry[]
}

export const jsonOf = (streams: Stream[]): object => ({
  streams: streams.map(({ labels, entries }) => ({
    stream: labels,
    values: entries.map(({ time, line, metadata }) =>
      metadata === undefined ? [String(time), line] : [String(time), line, metadata],
    ),
  })),
})

/** As Go writes the labels of Prometheus. */
export const labelsText = (labels: Record<string, string>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ')}}`

export const protobufOf = (streams: Stream[]): Uint8Array<ArrayBuffer> =>
  encode({
    streams: streams.map(({ labels, entries }) => ({
      labels: labelsText(labels),
      entries: entries.map(({ time, line, metadata = {} }) => ({
        timestamp: { seconds: Number(time / 1_000_000_000n), nanos: Number(time % 1_000_000_000n) },
        line,
        structuredMetadata: Object.entries(metadata).map(([name, value]) => ({ name, value })),
      })),
    })),
  })

export const encode = (request: object): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(PUSH_REQUEST.encode(PUSH_REQUEST.fromObject(request)).finish())

/** What protobufjs reads; throws where it refuses. */
export const decode = (bytes: Uint8Array) =>
  PUSH_REQUEST.decode(bytes) as unknown as {
    streams?: {
      labels?: string
      entries?: {
        timestamp?: { seconds?: { toString(): string }; nanos?: number }
        line?: string
        structuredMetadata?: { name?: string; value?: string }[]
      }[]
    }[]
  }
