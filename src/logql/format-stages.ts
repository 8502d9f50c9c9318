// The log side of a query as text: selector, stages, label filters and their literals, in Loki's form
// where that is read back as the same.

import { parseBytes, quote } from './literals.ts'
import type { LabelFilter, LogQuery, Matcher, Stage, Unwrap } from './syntax.ts'

export const selectorOf = ({ matchers }: LogQuery): string =>
  `{${matchers.map(formatMatcher).join(', ')}}`

const formatMatcher = ({ name, op, value }: Matcher): string => `${name}${op}${quote(value)}`

export function formatStage(stage: Stage): string {
  switch (stage.kind) {
    case 'line':
      return formatLine(stage)
    case 'json':
    case 'logfmt': {
      const flags =
        stage.kind === 'json'
          ? ''
          : `${stage.isStrict ? ' --strict' : ''}${stage.keepsEmpty ? ' --keep-empty' : ''}`
      const fields = stage.fields.map(({ label, expression }) => `${label}=${quote(expression)}`)
      return `| ${stage.kind}${flags}${fields.length > 0 ? ` ${fields.join(',')}` : ''}`
    }
    case 'regexp':
      return `| regexp ${quote(stage.source)}`
    case 'pattern':
      return `| pattern ${quote(stage.pattern)}`
    case 'unpack':
    case 'decolorize':
      return `| ${stage.kind}`
    case 'label':
      return `| ${formatLabelFilter(stage.filter)}`
    case 'line_format':
      return `| line_format ${quote(stage.template)}`
    case 'label_format': {
      const formats = stage.formats.map((one) => {
        return `${one.to}=${'label' in one ? one.label : quote(one.template)}`
      })
      return `| label_format ${formats.join(',')}`
    }
    case 'keep':
    case 'drop': {
      const labels = stage.labels.map((one) => (typeof one === 'string' ? one : formatMatcher(one)))
      return `| ${stage.kind} ${labels.join(',')}`
    }
  }
}

/** Of texts that must be absent each has its own operator. */
function formatLine({ op, texts }: Extract<Stage, { kind: 'line' }>): string {
  if (op.startsWith('!')) return texts.map((text) => `${op} ${quote(text)}`).join(' ')
  return `${op} ${texts.map(quote).join(' or ')}`
}

const ROW_MAX = 50

function formatLabelFilter(filter: LabelFilter): string {
  if (filter.kind === 'match') return formatMatcher(filter.matcher)
  if (filter.kind === 'compare') {
    const { name, op, value, unit } = filter
    const format = { number: plain, duration: goDuration, bytes: formatBytes }[unit]
    return `${name}${op}${format(value)}`
  }
  const parts = filter.of.map(formatLabelFilter)
  // A long row with brackets around each pair has more of them than are read back.
  if (parts.length > ROW_MAX) return `( ${parts.join(` ${filter.kind} `)} )`
  const link = filter.kind === 'and' ? ' , ' : ' or '
  return parts.reduce((left, right) => `( ${left}${link}${right} )`)
}

export function unwrapParts({ label, conversion, filters }: Unwrap): string[] {
  const value = conversion === null ? label : `${conversion}(${label})`
  return [`| unwrap ${value}`, ...filters.map((filter) => `| ${formatLabelFilter(filter)}`)]
}

/** All digits, without an exponent. */
export function plain(value: number): string {
  const parts = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(String(value))
  if (parts === null) return String(value)
  const [, sign = '', first = '', decimals = '', exponent = ''] = parts
  const digits = first + decimals
  const whole = Number(exponent) + 1
  if (whole <= 0) return `${sign}0.${'0'.repeat(-whole)}${digits}`
  return `${sign}${digits.padEnd(whole, '0')}`
}

/** Seconds as Go writes a duration: `1h30m0s`, `1.5s`, `250ms`. */
export function goDuration(seconds: number): string {
  const sign = seconds < 0 ? '-' : ''
  const size = Math.abs(seconds)
  if (size === 0) return '0s'
  if (size < 1) {
    const ns = Math.round(size * 1e9)
    if (ns < 1000) return `${sign}${ns}ns`
    return ns < 1e6 ? `${sign}${ns / 1000}µs` : `${sign}${ns / 1e6}ms`
  }
  const whole = Math.floor(size)
  const ns = Math.round((size - whole) * 1e9)
  const decimals = ns === 0 ? '' : `.${String(ns).padStart(9, '0').replace(/0+$/, '')}`
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const minutesText = hours > 0 || minutes > 0 ? `${minutes}m` : ''
  return `${sign}${hours > 0 ? `${hours}h` : ''}${minutesText}${whole % 60}${decimals}s`
}

/** Rounded as Go's humanize does where that is the size still, else exact. */
function formatBytes(bytes: number): string {
  const forms = [rounded(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'])]
  if (bytes >= 1024) forms.push(rounded(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']))
  return forms.find((form) => parseBytes(form) === bytes) ?? `${plain(bytes)}B`
}

function rounded(bytes: number, base: number, units: string[]): string {
  const power = bytes < 10 ? 0 : Math.floor(Math.log(bytes) / Math.log(base) + 1e-9)
  const unit = Math.min(power, units.length - 1)
  const tenths = Math.floor((bytes / base ** unit) * 10 + 0.5) / 10
  return `${tenths.toFixed(unit === 0 || tenths >= 10 ? 0 : 1)}${units[unit]}`
}
