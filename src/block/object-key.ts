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
const FILE = /^([0-9a-f]{8})-\d{1,2}-\d{1,16}-g\d{1,16}\.parquet$/
const DAY = /^date=\d{4}-\d\d-\d\d$/

/** Never the same for two blocks: their ids differ. */
export function objectKey({ appId, tenantId, day, shard, firstSeq, blockId }: ObjectPlace): string {
  return `${folderOf(appId)}date=${day}/${tenantId.slice(0, OWNER_CHARS)}-${shard}-${firstSeq}-g${blockId}.parquet`
}

/** What the keys of an app begin with, and of every other app of that name before it. */
export const folderOf = (appId: string) => `${appId}/`

/** Whether the tenant may have written an object of this key. */
export function ownsKey({ appId, tenantId }: { appId: string; tenantId: string }, key: string) {
  if (!key.startsWith(folderOf(appId))) return false
  const [day = '', file = '', ...more] = key.slice(folderOf(appId).length).split('/')
  const owner = FILE.exec(file)?.[1]
  return more.length === 0 && DAY.test(day) && owner === tenantId.slice(0, OWNER_CHARS)
}
