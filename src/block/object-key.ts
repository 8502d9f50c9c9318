// Where a block lies in the archive:
//
//   <app>/date=<day received>/<tenant id, first 8 digits>-<shard>-<first seq>-g<block id>.parquet
//
// A folder an app and a day, as DuckDB and its kind read them. The name of an app may be used again
// after it was deleted: the start of the file's name tells whose object it is.

export interface ObjectPlace {
  appId: string
  tenantId: string
  /** YYYY-MM-DD. */
  day: string
  shard: number
  firstSeq: number
  blockId: number
}

const OWNER_CHARS = 8

/** Never the same for two blocks: their ids differ. */
export function objectKey({ appId, tenantId, day, shard, firstSeq, blockId }: ObjectPlace): string {
  return `${folderOf(appId)}date=${day}/${tenantId.slice(0, OWNER_CHARS)}-${shard}-${firstSeq}-g${blockId}.parquet`
}

/** The id of the block that a key is about. */
export const blockIdOf = (key: string) => Number(/-g(\d+)\.parquet$/.exec(key)?.[1] ?? Number.NaN)

/** What the keys of an app begin with, and of every other app of that name before it. */
export const folderOf = (appId: string) => `${appId}/`

/** Whether an object of this key is the tenant's, and not another's that had the name before or has it since. */
export function ownsKey({ appId, tenantId }: { appId: string; tenantId: string }, key: string) {
  const file = key.slice(key.lastIndexOf('/') + 1)
  return key.startsWith(folderOf(appId)) && file.startsWith(`${tenantId.slice(0, OWNER_CHARS)}-`)
}
