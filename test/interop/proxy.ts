// A network that loses answers: forwards each request, and throws the first answer to it away once
// the server has given it. The sender then cannot know that its records are stored, and sends again.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { gunzipSync } from 'node:zlib'

/** Longer than a second, because gzip stamps its output with the second. */
const HOLD_MS = 1_200

const NO_ANSWER = { status: 502, headers: {}, body: Buffer.alloc(0) }

export interface Attempt {
  /** Of the bytes on the wire. */
  sha256: string
  /** Of what they decompress to. */
  contentSha256: string
  /** What the server answered; the sender saw 503 or nothing where `isLost`. */
  status: number
  isLost: boolean
}

export interface LosingProxy {
  url: string
  attempts: Attempt[]
  close(): Promise<void>
}

/** `lose`: answer 503 in its place, or cut the connection. */
export async function startLosingProxy(
  target: string,
  lose: 'with 503' | 'by a cut',
): Promise<LosingProxy> {
  const attempts: Attempt[] = []
  const server = createServer(async (incoming, outgoing) => {
    const body = await readAll(incoming)
    const answer = await forward(target, incoming, body).catch(() => NO_ANSWER)
    const contentSha256 = sha256(contentOf(incoming, body))
    const isLost = !attempts.some((attempt) => attempt.contentSha256 === contentSha256)
    attempts.push({ sha256: sha256(body), contentSha256, status: answer.status, isLost })
    if (!isLost) outgoing.writeHead(answer.status, answer.headers).end(answer.body)
    else setTimeout(() => loseAnswer(outgoing, lose), HOLD_MS)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    attempts,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function loseAnswer(outgoing: ServerResponse, lose: 'with 503' | 'by a cut'): void {
  if (lose === 'with 503') outgoing.writeHead(503).end()
  else outgoing.socket?.destroy()
}

async function forward(target: string, incoming: IncomingMessage, body: Buffer) {
  const url = new URL(incoming.url ?? '/', target)
  const { host: _, 'transfer-encoding': __, ...headers } = incoming.headers
  const outgoing = request(url, {
    method: incoming.method ?? 'POST',
    headers: { ...headers, 'content-length': body.length },
  })
  outgoing.end(body)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  const { 'transfer-encoding': ___, connection: ____, ...kept } = answer.headers
  return { status: answer.statusCode ?? 0, headers: kept, body: await readAll(answer) }
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

const contentOf = (incoming: IncomingMessage, body: Buffer) =>
  incoming.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
