// Every bound of the product, unit last, with what breaks if it grows. Check a bound once, at the
// edge that receives the input; below, it is a fact.

const KIB = 1024
const MIB = 1024 * KIB

// One request.

/** Decoded body. An isolate has 128 MB and JSON.parse needs several times its input. */
export const REQUEST_BYTES_MAX = 20 * MIB
/** Records of one request: above, the answer takes too long to be worth waiting for. */
export const REQUEST_RECORDS_MAX = 100_000
/** Memory of one request's records, about: escapes and short attributes take several times their bytes. */
export const REQUEST_KEPT_BYTES_MAX = 64 * MIB
/** JSON values of one body: 20 MB of `{}` would parse to 461 MB of heap. */
export const JSON_VALUES_MAX = 1_000_000
/** JSON brackets open at once: every later walk may recurse this deep, and no deeper. */
export const JSON_DEPTH_MAX = 160
/** AnyValues inside each other in protobuf: deeper, the record is refused (otlp.md D20). */
export const PROTOBUF_DEPTH_MAX = 100
/** Decoded bodies being worked on in one isolate at once; above, 503. Four full requests would not fit 128 MB. */
export const IN_FLIGHT_BYTES_MAX = 32 * MIB
/** The share of one app: its slow or large requests must not shut the others out. */
export const IN_FLIGHT_BYTES_PER_APP_MAX = 24 * MIB
/** From the first to the last byte of a body; a sender this slow holds memory that others wait for. */
export const BODY_READ_MS_MAX = 30_000
/** Body of an admin request. */
export const ADMIN_BODY_BYTES_MAX = 64 * KIB

// One record: what is over is cut and listed in `metadata.cut`, never refused.

/** The message. Larger ones are dumps, and a block of them would hold a dozen records. */
export const MESSAGE_BYTES_MAX = 256 * KIB
/** The text of one attribute value, JSON text of arrays and maps included. */
export const ATTRIBUTE_BYTES_MAX = 64 * KIB
export const ATTRIBUTES_MAX = 1024
export const ATTRIBUTE_KEY_BYTES_MAX = 512
/** Arrays and maps inside each other that are kept. */
export const ATTRIBUTE_DEPTH_MAX = 32
/** The whole record, its share of resource and scope left out: two always fit a segment. */
export const RECORD_BYTES_MAX = MIB
/** All attributes of one resource or scope together: every record of the request may name another. */
export const RESOURCE_BYTES_MAX = 256 * KIB
/** A text column of the schema: ids and names. The attribute it came from keeps the whole text. */
export const COLUMN_BYTES_MAX = 1024
/** An app's own attribute names for one column: each is a rank of its own (ingest/precedence.ts). */
export const COLUMN_NAMES_MAX = 8
/** The same for all its columns: the list is held with every cached key. */
export const OWN_NAMES_MAX = 64
/** Entries of `metadata.cut` in one record. */
export const CUT_ENTRIES_MAX = 32
/** (key, type) pairs of one batch with a column of their own; a million keys must not make a million arrays. */
export const ATTRIBUTE_COLUMNS_MAX = 512

// Settings of an app.

/** A tenant's shards all answer every query, and a request may make few calls. */
export const SHARDS_MAX = 64
/** Each rule is a tombstone a day, and every query carries those in force. */
export const RETENTION_RULES_MAX = 32
/** Ten years. */
export const RETENTION_DAYS_MAX = 3650
export const HOT_DAYS_MAX = 365
/** As much as may wait unsealed: with less, blocks would leave as soon as they are made. */
export const HOT_BYTES_MIN = 64_000_000
/** Leaves room below DATABASE_BYTES_MAX for the catalog and for what is not sealed. */
export const HOT_BYTES_MAX = 8_000_000_000

// Storage.

/** One row or BLOB: SQLite in a Durable Object takes 2 MB (documented), local runs take more. */
export const ROW_BYTES_MAX = 1_900_000
/** Records of one segment: the unit of scanning, so a scan yields at least this often. */
export const SEGMENT_RECORDS_MAX = 8192
/** Raw bytes aimed at per segment: its JSON text is one string in memory, twice. */
export const SEGMENT_RAW_BYTES_TARGET = 8 * MIB
/** Unsealed bytes, records and rows at which the wal is sealed: what a query must read whole. */
export const SEAL_BYTES = 1_000_000
export const SEAL_RECORDS = 8192
export const SEAL_ROWS = 256
/** How long records wait unsealed at most; a quiet app gets small blocks, which are merged later. */
export const SEAL_MS = 10 * 60 * 1000
/** Unsealed bytes of one block: Parquet takes about as much, and must stay below ROW_BYTES_MAX. */
export const SEAL_RUN_BYTES_MAX = 1_500_000
/** The same before encoding: records that compress a thousandfold must still fit the Sealer's memory. */
export const BLOCK_RAW_BYTES_MAX = 16 * MIB
/** Deletions in force in one shard; above, 503: each is asked about every record that a query finds. */
export const TOMBSTONES_MAX = 64
/** Unsealed bytes at which appends wait for the seal: a shard must not outrun what seals it. */
export const WAL_BYTES_MAX = 64 * MIB
/** A block below both is merged with its neighbours. */
export const SMALL_BLOCK_BYTES = 400_000
export const SMALL_BLOCK_RECORDS = 4096
/** Blocks that make one step of size: 144 blocks of a quiet day become 18, and these 3. */
export const COMPACT_BLOCKS = 8
/** Of the merged block: its records are all in the Sealer's memory at once. */
export const COMPACT_BYTES_TARGET = 1_600_000
export const COMPACT_RECORDS_MAX = 16_384
/** Times a record is merged, deletions apart: each costs its share of CPU and of billed rows. */
export const COMPACTIONS_MAX = 2
/** Bytes of one tenant's shard: the platform's object holds 10 GB, and a full one cannot even compact. */
export const DATABASE_BYTES_MAX = 9_000_000_000
/** Appends waiting for their commit in one shard; above, 503: they are held in its 128 MB. */
export const PENDING_BYTES_MAX = 32 * MIB
/** How long the appends after a commit gather before the next one. */
export const GROUP_COMMIT_MS = 20
/** A group this large is written at once: 512 records, so a row of it costs 0.002 rows a record. */
export const GROUP_BYTES_TARGET = 16 * KIB
/** How long a batch id is remembered: longer than exporters retry. */
export const BATCH_ID_MS = 10 * 60 * 1000
/** Batch ids remembered at most in one shard: 16 B each, in a table at most two thirds full. */
export const BATCH_IDS_MAX = 1_000_000

// Answers.

/** Segments of one append: RPC takes 32 MiB, and base64 of random bytes hardly compresses. */
export const APPEND_BYTES_MAX = 30 * MIB
/** Segments that all shards reply with at once: the first page rarely needs more than a few rows. */
export const CANDIDATE_BYTES_FIRST = 4 * MIB
/** The same for later replies; RPC takes 32 MiB, and the isolate holds them all. */
export const CANDIDATE_BYTES_MAX = 16 * MIB
export const QUERY_LIMIT_DEFAULT = 100
export const QUERY_LIMIT_MAX = 1000
/** `q`, and every other value of a query: they travel with every plan. */
export const QUERY_TEXT_CHARS_MAX = 4096
/** Words of one `q`, those of phrases included; every other condition counts as one. */
export const QUERY_WORDS_MAX = 64
/** Parameters `attr.<name>` in one query. */
export const QUERY_ATTRIBUTES_MAX = 32
/** Parentheses and NOTs inside each other in one `q`: every walk over a filter recurses this deep. */
export const QUERY_DEPTH_MAX = 32
/**
 * A word, or a part of a term with `*`. The runtime's substring search takes needle × text in the worst
 * case: 4 ms with 256 characters in a message of 256 KiB, and 900 ms with 4,096.
 */
export const QUERY_WORD_CHARS_MAX = 256
/** Parts of a field's name between dots: each is one more way to cut it, and deeper values are not stored. */
export const FIELD_PARTS_MAX = 32
/** All regular expressions of one `q` together: compiling takes up to 0.1 ms a character. */
export const REGEX_CHARS_MAX = 1024
/**
 * Instructions of all regular expressions of one `q` together. A text takes up to 50 ns an instruction
 * and character where the states of an expression are too many to keep.
 */
export const REGEX_SIZE_MAX = 500
/** Of one value; a regular expression sees no more. 0.4 s at worst with REGEX_SIZE_MAX, 1 ms as a rule. */
export const REGEX_TEXT_CHARS_MAX = 16 * 1024
/** Blocks and unsealed rows opened by one query; above, the answer is partial. An object of R2 is a billed read. */
export const QUERY_BLOCKS_MAX = 1000
/** Their stored bytes. */
export const QUERY_BYTES_MAX = 512 * MIB
/** Records looked at: about 15 s of one thread where every message is read. */
export const QUERY_ROWS_MAX = 10_000_000
/** Neighbours of a record, on each side. */
export const CONTEXT_DEFAULT = 10
export const CONTEXT_MAX = 500
export const TRACE_LIMIT_DEFAULT = 1000
export const TRACE_LIMIT_MAX = 5000
/** Services of one trace that are told apart: whoever sends may name a million. */
export const TRACE_SERVICES_MAX = 1000
/** Records that an export reads at a time, and holds: more pages open the same blocks more often. */
export const EXPORT_PAGE_RECORDS = 5000
/** Records of one page, raw: a page ends early rather than fill the isolate. */
export const PAGE_BYTES_MAX = 16 * MIB

// Counts.

/** Values of one field, or groups, that are told apart; what comes after them is counted as others. */
export const GROUPS_MAX = 10_000
/** Characters of those values: one may have 64 KiB. */
export const GROUP_CHARS_MAX = 1_000_000
/** Numbers of one table of groups: groups times buckets, 8 B each. */
export const GROUP_CELLS_MAX = 2_000_000
/** Different elements of one record's array that are counted. */
export const ELEMENTS_MAX = 256
/** Points of a line in an answer. */
export const BUCKETS_MAX = 2000
/** The same for message patterns, each of which has a line. */
export const PATTERN_BUCKETS_MAX = 200
/** Values, groups or fields of one answer; each may have a line of buckets. */
export const VALUES_LIMIT_MAX = 100
/** Fields of one GET /logs/facets: each is read for every record that the catalog does not count. */
export const FACET_FIELDS_MAX = 10
export const FIELDS_LIMIT_MAX = 1000
export const PATTERNS_LIMIT_MAX = 500
/** Services told apart of one pattern. */
export const PATTERN_SERVICES_MAX = 64
/** Fields that an aggregation groups by. */
export const AGGREGATE_FIELDS_MAX = 3
/** Functions of one aggregation. */
export const AGGREGATE_FUNCTIONS_MAX = 16
/** Lines of an aggregation times their points, each with its own numbers: about 1 KB. */
export const AGGREGATE_SERIES_MAX = 50_000
/** Points of a series of a LogQL query, as Loki and Prometheus have it: more than a screen has pixels. */
export const SERIES_POINTS_MAX = 11_000
/** Points of one answer of an aggregation. */
export const AGGREGATE_POINTS_MAX = 20_000
/** Numbers kept for exact percentiles, 8 B each; beyond, sketches stand for them. */
export const EXACT_NUMBERS_MAX = 1_000_000
/** Counters of all sketches of one answer, about 40 B each; beyond, they become coarser. */
export const SKETCH_BINS_MAX = 200_000

// Live tails.

/** Open tails of one shard: each is a socket, and each distinct filter is asked of every record. */
export const TAILS_MAX = 1000
/** Characters of one message of a shard to a tail, unless one record alone takes more. */
export const TAIL_FRAME_CHARS = 256 * KIB
/** Characters sent to one tail that its Worker has not taken: then it reads them from the store. */
export const TAIL_UNTAKEN_CHARS_MAX = MIB
/** The same of all tails of one shard together: they lie in its 128 MB. */
export const TAILS_UNTAKEN_CHARS_MAX = 16 * MIB
/** Segments waiting to be shown to tails; above, their Workers read them from the store. */
export const TAIL_QUEUE_BYTES_MAX = 4 * MIB
/** Characters that wait in a Worker for one slow reader; what comes then is read from the store later. */
export const TAIL_READER_CHARS_MAX = MIB
/** How far behind, over all shards, a reader is still given everything. */
export const TAIL_BEHIND_RECORDS_MAX = 100_000
/** Sequence numbers looked through at once for a reader that is behind, and characters of records brought. */
export const TAIL_WINDOW_RECORDS = 4096
export const TAIL_WINDOW_CHARS_MAX = MIB
/** Silence after which a tail sends its position: proxies cut what is silent for half a minute. */
export const TAIL_HEARTBEAT_MS = 15_000
/**
 * Calls of one tail to shards and the archive, after which it ends and the reader comes back by its
 * last id: the platform allows a request a thousand.
 */
export const TAIL_CALLS_MAX = 800

/** A partial success text is read by people in a log line (otlp.md H10). */
export const ERROR_MESSAGE_BYTES_MAX = KIB
export const REQUEST_ID_CHARS_MAX = 128
