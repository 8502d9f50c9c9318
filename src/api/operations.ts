// Every door: what it takes, what it answers, and how it fails. /openapi.json and /docs are made of this
// list; that it and the routes are the same is a test, and so is every answer.

import { ADMIN_OPERATIONS, DATA_OPERATIONS } from './admin-operations.ts'
import { COUNT_OPERATIONS, INGEST_OPERATIONS, READ_OPERATIONS } from './log-operations.ts'
import { LOKI_OPERATIONS } from './loki-operations.ts'
import type { Operation } from './operation.ts'
import * as schemas from './schemas.ts'

const OPEN_OPERATIONS: Operation[] = [
  {
    method: 'get',
    path: '/health',
    id: 'health',
    tag: 'This deployment',
    summary: 'Whether it is up',
    parameters: [],
    answer: { is: 'data', schema: schemas.Health },
    errors: [],
    needs: null,
    example: '/health',
  },
  {
    method: 'get',
    path: '/openapi.json',
    id: 'openapi',
    tag: 'This deployment',
    summary: 'This description, for programs',
    parameters: [],
    answer: {
      is: 'raw',
      media: { 'application/json': schemas.Document },
      description: 'An OpenAPI 3.1 document.',
    },
    errors: ['not_configured'],
    needs: null,
    example: '/openapi.json',
  },
  {
    method: 'get',
    path: '/docs',
    id: 'docs',
    tag: 'This deployment',
    summary: 'This description, for people',
    parameters: [],
    answer: { is: 'raw', media: { 'text/html': null }, description: 'A page.' },
    errors: ['not_configured'],
    needs: null,
    example: '/docs',
  },
]

export const OPERATIONS: readonly Operation[] = [
  ...INGEST_OPERATIONS,
  ...READ_OPERATIONS,
  ...COUNT_OPERATIONS,
  ...LOKI_OPERATIONS,
  ...ADMIN_OPERATIONS,
  ...DATA_OPERATIONS,
  ...OPEN_OPERATIONS,
]
