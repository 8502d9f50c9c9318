// The page for people at /docs: the OpenAPI document as one HTML file that needs nothing else, no script,
// no font, no network. Schemas are written as types, by name and linked.

import type { JsonSchema } from '../query/parameter-table.ts'
import type { OpenapiDocument, OpenapiOperation } from './openapi.ts'

type Json = Record<string, unknown>

/** `origin` is where this deployment is: examples work as they are copied. */
export function docsPage(document: OpenapiDocument, origin: string): string {
  const { info, tags, paths, components } = document
  const doors = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const sections = (tags as { name: string; description: string }[]).map((tag) => ({
    ...tag,
    doors: doors.filter(({ operation }) => operation.tags.includes(tag.name)),
  }))
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(info.title)}: API</title>
<style>${STYLE}</style>
<header>
<h1>${escaped(info.title)} <small>${escaped(info.version)}</small></h1>
<p>${prose(info.description)} The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
</header>
<nav>
<p><a href="#start">Start</a> · <a href="#search">Searching</a> · <a href="#schemas">Schemas</a></p>
${sections.map(contentsOf).join('\n')}
</nav>
<main>
${startOf(origin)}
${searching()}
${sections.map(sectionOf).join('\n')}
<section>
<h2 id="schemas">Schemas</h2>
<p>In the notation of TypeScript.</p>
${Object.entries(components.schemas).map(schemaOf).join('\n')}
</section>
</main>
</html>
`
}

interface Door {
  path: string
  method: string
  operation: OpenapiOperation
}
interface Section {
  name: string
  description: string
  doors: Door[]
}

const startOf = (origin: string) => `<section>
<h2 id="start">Start</h2>
<pre>export URL=${escaped(origin)}
export INGEST_KEY=… READ_KEY=… ADMIN_KEY=…

# a record in
curl "$URL/logs" -H "X-API-Key: $INGEST_KEY" -d '{"level":"warn","message":"stock is low","sku":"A-1"}'

# and out again
curl -G "$URL/logs" -H "X-API-Key: $READ_KEY" --data-urlencode 'q=level:&gt;=warn stock' -d since=15m</pre>
<p>A key goes into <code>X-API-Key</code>, <code>Authorization: Bearer</code>, or the password of <code>Basic</code>.
It is of one app; <code>ADMIN_KEY</code> names the app by <code>app_id</code> or <code>X-App-Id</code>.</p>
</section>`

/** Searches, and what each finds: the language on one screen. */
export const SEARCHES = [
  ['timeout', 'the word in the message, in any case, but not `timeouts`'],
  ['upstream timeout', 'both words, anywhere'],
  ['"upstream timeout"', 'next to each other, in this order'],
  ['time* *out *meou*', 'a word begins so, ends so, has it anywhere'],
  ['timeout OR reset', 'one of them; OR, AND and NOT are capitals'],
  ['upstream -(retry OR again)', 'the one and none of the others; also `NOT`'],
  ['service:api', 'the whole value of a column or an attribute, case as stored'],
  ['service:(api OR web) version:1.*', 'one of a list; `*` is any text, `?` is a character'],
  ['http.route:"/api/users"', 'in quotes: slashes, spaces, parentheses'],
  ['user_id:* -span_id:*', 'there is a value; there is none'],
  ['http.response.status_code:>=500', 'numbers: `>`, `>=`, `<`, `<=`'],
  ['duration_ms:[100 TO 500}', 'from 100, below 500'],
  ['level:>=warn', 'levels are in order'],
  ['attr.host:a resource.host.name:a', 'where to look: also `scope.` and `body.`'],
  ['any:4bf92f3577b34da6a3ce929d0e0e4736', 'the word in the message or any text of the record'],
  ['message:/took \\d+ ms$/', 'RE2, anywhere in the value; `(?i)` before it for any case'],
  ['pattern:6f25d9cafec784f1', 'messages of one pattern of `GET /logs/patterns`'],
  ['*', 'every record'],
] as const

const searching = () => `<section>
<h2 id="search">Searching</h2>
<p>${prose(
  'What `q` says. Percent-encode it in a URL, as `curl -G --data-urlencode` does. Terms next to each other must all hold, and so must other parameters. Times are not searched: `since` and `until` say when.',
)}</p>
<table class="searches">${SEARCHES.map(
  ([search, finds]) => `<tr><td><code>${escaped(search)}</code><td>${prose(finds)}`,
).join('\n')}</table>
</section>`

const contentsOf = ({ name, doors }: Section) => `<details open><summary>${escaped(name)}</summary>
<ul>${doors
  .map(
    ({ path, method, operation }) =>
      `<li><a href="#${operation.operationId}"><b>${method.toUpperCase()}</b> ${escaped(path)}</a>`,
  )
  .join('\n')}</ul></details>`

const sectionOf = ({ name, description, doors }: Section) => `<section>
<h2>${escaped(name)}</h2>
<p>${prose(description)}</p>
${doors.map(doorOf).join('\n')}
</section>`

function doorOf({ path, method, operation }: Door): string {
  const { operationId, summary, description, parameters = [], requestBody } = operation
  const samples = operation['x-codeSamples'] as { source: string }[]
  return `<article id="${operationId}">
<h3><b class="${method}">${method.toUpperCase()}</b> <code>${escaped(path)}</code></h3>
<p><strong>${prose(summary)}.</strong> ${prose(description)}</p>
${samples.map(({ source }) => `<pre>${escaped(source)}</pre>`).join('\n')}
${parametersOf(parameters)}
${requestBody ? bodyOf(requestBody) : ''}
${answersOf(operation.responses)}
</article>`
}

function parametersOf(parameters: Json[]): string {
  if (parameters.length === 0) return ''
  const rows = parameters.map(({ name, in: where, required, description, schema, explode }) => {
    const shown = explode ? 'attr.<name>' : name
    const place = where === 'query' ? '' : `<br><small>${escaped(where)}</small>`
    const isNeeded = required ? '<em>Needed.</em> ' : ''
    return `<tr><td><code>${escaped(shown)}</code>${place}<td>${isNeeded}${prose(description)} <small>${explode ? '' : valuesOf(schema as Json)}</small>`
  })
  return `<details${parameters.length < 8 ? ' open' : ''}><summary>${parameters.length} parameters</summary>
<table>${rows.join('\n')}</table></details>`
}

/** What a parameter may be, in a few words. */
function valuesOf({ enum: choices, minimum, maximum, default: usual, examples }: Json): string {
  const said = [
    choices && (choices as string[]).map((one) => `<code>${escaped(one)}</code>`).join(', '),
    maximum !== undefined && `${minimum} to ${maximum}`,
    usual !== undefined && `default <code>${escaped(usual)}</code>`,
    examples &&
      `e.g. ${(examples as string[]).map((one) => `<code>${escaped(one)}</code>`).join(', ')}`,
  ]
  return said.filter((text) => text).join(' · ')
}

function bodyOf({ content, required }: Json): string {
  const media = Object.entries(content as Record<string, { schema?: JsonSchema }>)
  const [, first] = media[0]!
  const names = media.map(([name]) => `<code>${name}</code>`).join(' or ')
  return `<p>Body${required ? '' : ' (may be left out)'}, ${names}:</p>
<pre>${typeOf(first?.schema ?? {}, '')}</pre>`
}

function answersOf(responses: OpenapiOperation['responses']): string {
  const [[, good] = ['', {} as Json], ...bad] = Object.entries(responses)
  const media = Object.entries((good.content ?? {}) as Record<string, { schema?: JsonSchema }>)
  const forms = media.map(([name, { schema }]) => {
    const data = (schema?.properties as Json | undefined)?.data as JsonSchema | undefined
    const type = data ? `{ ok: true, data: ${typeOf(data, '')} }` : schema && typeOf(schema, '')
    return `<code>${escaped(name)}${type ? ` ${type}` : ''}</code>`
  })
  const headers = Object.keys((good.headers ?? {}) as Json).map((name) => `<code>${name}</code>`)
  const told = headers.length > 0 ? `<br><small>Headers ${headers.join(', ')}</small>` : ''
  const failures = bad.map(
    ([status, { description }]) => `<code>${status}</code>&nbsp;${prose(description)}`,
  )
  return `<table><tr><td>Answer<td>${forms.join('<br>') || prose(good.description)}${told}
${failures.length > 0 ? `<tr><td>Errors<td>${failures.join(' · ')}` : ''}</table>`
}

const schemaOf = ([name, schema]: [string, JsonSchema]) => `<article id="schema-${name}">
<h3><code>${name}</code></h3>
${schema.description ? `<p>${prose(schema.description)}</p>` : ''}<pre>${typeOf(schema, '')}</pre>
</article>`

/** A schema as a type, in HTML. */
function typeOf(schema: JsonSchema, indent: string): string {
  const { $ref, const: only, enum: choices, type } = schema
  if (typeof $ref === 'string') {
    const name = $ref.slice($ref.lastIndexOf('/') + 1)
    return `<a href="#schema-${name}">${name}</a>`
  }
  if (only !== undefined) return escaped(JSON.stringify(only))
  if (Array.isArray(choices)) return choices.map((one) => escaped(JSON.stringify(one))).join(' | ')
  const several = (schema.oneOf ?? schema.anyOf) as JsonSchema[] | undefined
  if (several) return several.map((one) => typeOf(one, indent)).join(' | ')
  if (Array.isArray(type)) return type.join(' | ')
  if (type === 'array') {
    const item = typeOf((schema.items ?? {}) as JsonSchema, indent)
    return item.includes(' | ') ? `(${item})[]` : `${item}[]`
  }
  if (type === 'object') return objectOf(schema, indent)
  return type === undefined ? 'unknown' : String(type)
}

function objectOf(schema: JsonSchema, indent: string): string {
  const { properties = {}, required = [], additionalProperties, patternProperties = {} } = schema
  const inner = `${indent}  `
  const member = (name: string, one: JsonSchema) => {
    const note = one.description ? ` <i>// ${escaped(one.description)}</i>` : ''
    return `${inner}${name}: ${typeOf(one, inner)}${note}\n`
  }
  const members = Object.entries(properties as Record<string, JsonSchema>).map(([name, one]) =>
    member(`${escaped(name)}${(required as string[]).includes(name) ? '' : '?'}`, one),
  )
  for (const [pattern, one] of Object.entries(patternProperties as Record<string, JsonSchema>)) {
    members.push(member(`[/${escaped(pattern)}/]`, one))
  }
  if (typeof additionalProperties === 'object') {
    const more = additionalProperties as JsonSchema
    if (members.length === 0 && more.type !== 'object') {
      return `{ [name]: ${typeOf(more, inner)} }`
    }
    members.push(member('[name]', more))
  }
  return members.length === 0 ? 'object' : `{\n${members.join('')}${indent}}`
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: unknown) => String(text).replace(/[&<>"]/g, (char) => ENTITIES[char]!)

/** Text with `code` in it. */
const prose = (text: unknown) =>
  escaped(text ?? '')
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replaceAll('\n\n', '<br>')

const STYLE = `
:root { --ink: #1b1f24; --dim: #59636e; --line: #d8dee4; --back: #fff; --soft: #f5f7f9; --link: #0a58ca }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --dim: #9aa4af; --line: #30363d; --back: #0f1216; --soft: #171c22; --link: #6ea8fe }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 78rem; color: var(--ink); background: var(--back);
  font: 1rem/1.5 system-ui, sans-serif }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
small, em, i { color: var(--dim); font-style: normal }
h1 small { font-weight: normal }
h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line) }
h3 { margin: 0 0 .5rem; font-size: 1rem; overflow-wrap: anywhere }
article { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem }
article:target { border-color: var(--link) }
code, pre { font: .86rem/1.45 ui-monospace, Menlo, Consolas, monospace }
pre { margin: .5rem 0; padding: .75rem; overflow-x: auto; background: var(--soft); border-radius: .4rem }
table { width: 100%; border-collapse: collapse; margin: .5rem 0 }
td { padding: .35rem .5rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere }
td:first-child { width: 11rem }
.searches td:first-child { width: 21rem }
td code { white-space: pre-wrap }
td:first-child code { font-weight: 600 }
summary { cursor: pointer; color: var(--dim) }
b.get { color: #1a7f37 } b.post { color: #9a6700 } b.patch { color: #8250df } b.delete { color: #cf222e }
@media (prefers-color-scheme: dark) {
  b.get { color: #57ab5a } b.post { color: #c69026 } b.patch { color: #b083f0 } b.delete { color: #f47067 }
}
nav ul { margin: .25rem 0 .75rem; padding: 0; list-style: none }
nav li { font-size: .9rem; overflow-wrap: anywhere }
nav b { display: inline-block; min-width: 3.6rem; font-size: .7rem; color: var(--dim) }
@media (min-width: 64rem) {
  body { display: grid; grid-template-columns: 18rem 1fr; gap: 0 2.5rem }
  header { grid-column: 1 / -1 }
  nav { position: sticky; top: 1rem; align-self: start; max-height: calc(100vh - 2rem); overflow-y: auto }
  main { min-width: 0 }
}
@media (max-width: 40rem) { td { display: block } td + td { border-top: 0; padding-top: 0 } td:first-child, .searches td:first-child { width: auto } }
`
