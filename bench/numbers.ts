// Times and counts as the tables show them, and the middle of a few measurements.

export const quantile = (ascending: number[], share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN

export const median = (values: number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )

export const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0)

/** 1234567 as 1,234,567. */
export const whole = (value: number): string =>
  Number.isFinite(value) ? Math.round(value).toLocaleString('en') : 'n/a'

export const fixed = (value: number, digits: number): string =>
  Number.isFinite(value) ? value.toFixed(digits) : 'n/a'

/** How many times as much. */
export const times = (value: number): string =>
  Number.isFinite(value) ? `${value.toPrecision(3)} ×` : 'n/a'

/** What a script is called with: flags, and the whole numbers among its arguments. */
export const isQuick = process.argv.includes('--quick')
export const numbersGiven = process.argv
  .slice(2)
  .filter((text) => /^\d+$/.test(text))
  .map(Number)
