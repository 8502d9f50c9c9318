// The objects of the local R2, read from its own tables: the Worker is asked nothing.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** All keys of the one bucket under a collector's state, with their sizes. */
export async function localObjects(state: string): Promise<Map<string, number>> {
  const folder = join(state, 'v3/r2/miniflare-R2BucketObject')
  const files = (await readdir(folder)).filter((name) => /^[0-9a-f]+\.sqlite$/.test(name))
  const objects = new Map<string, number>()
  for (const file of files) {
    const database = new DatabaseSync(join(folder, file))
    try {
      const rows = database.prepare('select key, size from _mf_objects').all()
      for (const { key, size } of rows) objects.set(String(key), Number(size))
    } finally {
      database.close()
    }
  }
  return objects
}
