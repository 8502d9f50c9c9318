/** Prints rows under headings, as Markdown so that a result can be pasted into README.md. */
export function printTable(headings: string[], cells: string[][]): void {
  const rows = cells.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = headings.map((heading, i) =>
    Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`
  console.log(line(headings))
  console.log(
    line(widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))),
  )
  for (const row of rows) console.log(line(row))
}
