// Logs through a transport to Loki: `pino-loki`, or `winston-loki` in JSON or in protobuf with snappy.
// `records` are a few of every kind, `bulk <count>` so many. LOKI_URL and LOKI_KEY say where to.

import pino from 'pino'
import winston from 'winston'
import LokiTransport from 'winston-loki'

const host = process.env.LOKI_URL
const basicAuth = { username: 'any', password: process.env.LOKI_KEY }
const labels = { app: 'shop', env: 'staging' }
const trace_id = '0af7651916cd43dd8448eb211c80319c'

function pinoLogger() {
  const transport = pino.transport({
    target: 'pino-loki',
    options: {
      host,
      labels,
      basicAuth: { username: basicAuth.username, password: basicAuth.password },
      batching: { interval: 1 },
    },
  })
  const logger = pino({ level: 'trace', base: { hostname: 'web-1' } }, transport)
  return {
    log: (level, message, metadata) =>
      metadata ? logger[level]({ meta: metadata }, message) : logger[level](message),
    levels: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    // Its thread sends what it holds when it is told to end, and does not keep the program alive.
    end: () =>
      new Promise((resolve) => {
        setTimeout(resolve, 30_000)
        transport.on('close', resolve).end()
      }),
  }
}

function winstonLogger(json) {
  const transport = new LokiTransport({
    host,
    labels,
    json,
    basicAuth: `${basicAuth.username}:${basicAuth.password}`,
    interval: 1,
    gracefulShutdown: false,
    onConnectionError: (error) => console.error(String(error)),
  })
  const logger = winston.createLogger({ level: 'silly', transports: [transport] })
  return {
    log: (level, message, metadata) => logger.log({ level, message, ...metadata }),
    levels: ['silly', 'debug', 'verbose', 'http', 'info', 'warn', 'error'],
    end: () => transport.flush(),
  }
}

const MAKE = {
  'pino-loki': pinoLogger,
  'winston-loki-json': () => winstonLogger(true),
  'winston-loki-protobuf': () => winstonLogger(false),
}

const [name, what, count] = process.argv.slice(2)
const { log, levels, end } = MAKE[name]()
if (what === 'bulk') {
  for (let i = 0; i < Number(count); i++) log('info', `bulk ${i}`)
} else {
  for (const level of levels) log(level, `level ${level}`)
  log('error', 'zażółć gęślą jaźń 🚀\n\tat line two')
  log('warn', 'in a trace', { trace_id, items: 3 })
}
await end()
// Winston's transport goes on waiting for what there may be to send.
process.exit()
