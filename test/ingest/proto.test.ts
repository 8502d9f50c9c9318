// The readers' field numbers against proto/, as protobufjs parses it.

import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { TAGS } from '../../src/ingest/otlp-protobuf.ts'
import { VALUE_TAGS } from '../../src/ingest/otlp-value.ts'
import { protoFiles } from '../oracle.ts'

const root = new protobuf.Root()
for (const file of protoFiles()) {
  protobuf.parse(readFileSync(file, 'utf8'), root, { keepCase: true })
}
root.resolveAll()

const PACKAGES = ['common', 'resource', 'logs', 'collector.logs']
const WIRE_TYPES: Record<string, number> = {
  fixed64: 1,
  double: 1,
  fixed32: 5,
  string: 2,
  bytes: 2,
}

function messageOf(name: string): protobuf.Type {
  const found = PACKAGES.map((scope) => root.lookup(`opentelemetry.proto.${scope}.v1.${name}`))
  return found.find((entry) => entry !== null) as protobuf.Type
}

function tagOf(field: protobuf.Field): number {
  const isMessage = field.resolvedType instanceof protobuf.Type
  return (field.id << 3) | (isMessage ? 2 : (WIRE_TYPES[field.type] ?? 0))
}

/** Fields that are read as if they were unknown, and why. */
const NOT_READ: Record<string, string> = {
  'AnyValue.string_value_strindex': 'profiles only',
  'KeyValue.key_strindex': 'profiles only',
  'Resource.entity_refs': 'in development',
}

describe('the tags of the protobuf reader', () => {
  for (const [name, tags] of Object.entries({ ...TAGS, ...VALUE_TAGS })) {
    it(name, () => {
      const fields = messageOf(name).fieldsArray.filter(
        (field) => !NOT_READ[`${name}.${field.name}`],
      )
      const expected = Object.fromEntries(fields.map((field) => [field.name, tagOf(field)]))
      expect(tags).toEqual(expected)
    })
  }
})
