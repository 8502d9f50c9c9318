// Decoding one protobuf request of 512 records: our reader, straight to columns, against protobufjs
// static code and a plain flatten to row objects. Runs alternate, so that both meet the same
// machine; the ratio is that of the medians. A row has the 16 columns of the schema, metadata among
// them as JSON text; without that text the baseline is the line below it. `node bench/decode.ts [--quick]`

import { decodeOtlpJson } from '../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../src/ingest/otlp-protobuf.ts'
import { loadOracle } from '../test/oracle.ts'
import { flatten, type Row } from '../test/reference.ts'
import { corpus } from './corpus.ts'
import { printGoals } from './goals.ts'
import { isQuick, median } from './numbers.ts'
import { printTable } from './table.ts'

const SEED = 1
const RECORDS = 512
const WARM_UP = 200
const ROUNDS = isQuick ? 60 : 400

const { ExportLogsServiceRequest: oracle } = await loadOracle()
const requests = [...corpus({ seed: SEED, records: RECORDS * 4, recordsPerRequest: RECORDS })]
const arrival = { receivedMs: 0, workspaceId: null, requestId: null }
const protobuf = requests.map((request) => request.protobuf)
const json = requests.map((request) => request.json)

type Subjects = Record<string, (i: number) => unknown>
const times = new Map<string, number[]>()

function measure(subjects: Subjects): void {
  for (const name of Object.keys(subjects)) times.set(name, [])
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(subjects)) {
      const start = performance.now()
      run((round + WARM_UP) % requests.length)
      if (round >= 0) times.get(name)!.push(performance.now() - start)
    }
  }
}

measure({
  'ours, protobuf to columns': (i) => decodeOtlpProtobuf(protobuf[i]!, arrival).ok,
  'protobufjs static + flatten to rows': (i) => flatten(oracle.decode(protobuf[i]!)).map(stored),
  'the same, metadata left as objects': (i) => flatten(oracle.decode(protobuf[i]!)),
  'protobufjs static alone': (i) => oracle.decode(protobuf[i]!),
})
measure({
  'ours, JSON to columns': (i) => decodeOtlpJson(json[i]!, arrival).ok,
  'JSON.parse alone': (i) => JSON.parse(new TextDecoder().decode(json[i]!)),
})

/** The row as a table takes it: metadata is a column of text. */
function stored(row: Row): object {
  const { attributes, resource, scope, body, otel } = row
  const { name, version } = scope
  const metadata = JSON.stringify({
    attributes: Object.fromEntries(attributes),
    resource: Object.fromEntries(resource),
    scope: { name, version, attributes: Object.fromEntries(scope.attributes) },
    body,
    otel,
  })
  return { ...row.columns, message: row.message, time: row.time_unix_nano, metadata }
}

const baseline = median(times.get('protobufjs static + flatten to rows')!)
console.log(
  `decode: ${RECORDS} records, ${protobuf[0]!.length} bytes protobuf, ${json[0]!.length} bytes ` +
    `JSON; median of ${ROUNDS} alternating rounds, Node ${process.version}\n`,
)
printTable(
  ['', 'ms', 'records/s', 'times baseline'],
  [...times].map(([name, values]) => {
    const ms = median(values)
    const perSecond = Math.round((RECORDS / ms) * 1000)
    return [name, ms.toFixed(3), perSecond.toLocaleString('en'), (baseline / ms).toFixed(2)]
  }),
)
printGoals({ decode: baseline / median(times.get('ours, protobuf to columns')!) })
