// Decoding one protobuf request of 512 records: our reader, straight to columns, against protobufjs
// static code and a plain flatten to row objects. Runs alternate, so that both meet the same
// machine; the ratio is that of the medians. The baseline writes no JSON of the metadata, which a
// row-per-log store would have to. `node bench/decode.ts [--quick]`

import { decodeOtlpJson } from '../src/ingest/otlp-json.ts'
import { decodeOtlpProtobuf } from '../src/ingest/otlp-protobuf.ts'
import { loadOracle } from '../test/oracle.ts'
import { flatten } from '../test/reference.ts'
import { corpus } from './corpus.ts'
import { printTable } from './table.ts'

const SEED = 1
const RECORDS = 512
const WARM_UP = 200
const ROUNDS = process.argv.includes('--quick') ? 60 : 400

const { ExportLogsServiceRequest: oracle } = await loadOracle()
const requests = [...corpus({ seed: SEED, records: RECORDS * 4, recordsPerRequest: RECORDS })]
const arrival = { receivedMs: 0, workspaceId: null, requestId: null }
const protobuf = requests.map((request) => request.protobuf)
const json = requests.map((request) => request.json)

const subjects = {
  'ours, protobuf to columns': (i: number) => decodeOtlpProtobuf(protobuf[i]!, arrival).ok,
  'protobufjs static + flatten': (i: number) => flatten(oracle.decode(protobuf[i]!)).length,
  'protobufjs static alone': (i: number) => oracle.decode(protobuf[i]!),
  'ours, JSON to columns': (i: number) => decodeOtlpJson(json[i]!, arrival).ok,
  'JSON.parse alone': (i: number) => JSON.parse(new TextDecoder().decode(json[i]!)),
}

const times = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]))
for (let round = -WARM_UP; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(subjects)) {
    const start = performance.now()
    run((round + WARM_UP) % requests.length)
    if (round >= 0) times.get(name)!.push(performance.now() - start)
  }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!
const baseline = median(times.get('protobufjs static + flatten')!)
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
