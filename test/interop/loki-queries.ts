// What Loki and we are both asked: a table with every kind of stage and function, and queries put together
// at random from a seed.

import { randomOf } from '../batches.ts'

export type Kind = 'logs' | 'range' | 'instant'

/** Streams whose records have no structured metadata. */
const BARE = '{service_name=~"api|web|nginx"}'

export const LOG_QUERIES: readonly string[] = [
  // Selectors.
  '{service_name="api"}',
  '{service_name=~".+"}',
  '{service_name=~"api|web"}',
  '{service_name=~"a.*", environment!="prod"}',
  '{service_name!="api", environment="prod"}',
  '{service_name=~".+", environment=""}',
  '{service_name=~".+", environment!~"prod|"}',
  '{level="error"}',
  '{level=~"warn|error", service_name!~"api|odd"}',
  '{version=~"1\\\\.2\\\\..*"}',
  '{service_name="web", version!=""}',
  '{service_name="web", nothing=""}',
  '{service_name="nowhere"}',
  // Line filters.
  '{service_name="web"} |= "cache"',
  '{service_name="web"} |= "HIT" or "hit"',
  '{service_name="web"} != "cache"',
  '{service_name="web"} |= "miss" or "timeout"',
  '{service_name="web"} != "miss" or "timeout"',
  '{service_name="web"} |= "cache" != "miss" |= "status=200"',
  '{service_name="web"} |= ""',
  '{service_name="nginx"} |~ "(?i)get /p/[0-4]"',
  '{service_name="nginx"} |~ "^10\\\\.0\\\\.1\\\\." !~ "POST|DELETE"',
  '{service_name="nginx"} |~ `HTTP/1\\.1" 50\\d`',
  '{service_name="nginx"} |~ "50[0-3]" or "404"',
  '{service_name="nginx"} !~ "50[0-3]" or "404"',
  '{service_name="nginx"} |> "<_> - ann \\"GET <_>"',
  '{service_name="nginx"} !> "<_> - ann \\"GET <_>"',
  '{service_name="odd"} |= "数据"',
  '{service_name="odd"} |~ "ż.łw"',
  '{service_name="odd"} |= `a\tb`',
  '{service_name="odd"} |~ "(?s)b.*line"',
  '{service_name="odd"} |~ "(?m)c$"',
  // JSON.
  '{service_name="api"} | json',
  '{service_name="odd"} | json',
  '{service_name="api"} | json status, path',
  '{service_name="api"} | json who="user.name", first="tags[0]", id=`["trace-id"]`',
  '{service_name="api"} | json user="user", tags="tags", no="nothing"',
  '{service_name="api"} | json level',
  '{service_name="odd"} | json est="deep.er.est", ab=`["a.b"]`, big',
  '{service_name="odd"} | json | __error__=""',
  '{service_name="odd"} | json | __error__!=""',
  '{service_name="odd"} | json | __error__="JSONParserErr"',
  '{service_name="odd"} | json | drop __error__, __error_details__',
  '{service_name="jobs"} | json',
  '{service_name="api"} | json | status=500',
  '{service_name="api"} | json | status>=500 or method="DELETE"',
  '{service_name="api"} | json | status>=500, method="GET"',
  '{service_name="api"} | json | status<300 and method!="GET"',
  '{service_name="api"} | json | (status=404 or status=201) and user_name=~"a.+|b.+"',
  '{service_name="api"} | json | took>2s',
  '{service_name="api"} | json | took<=1.5s',
  '{service_name="api"} | json | size>1KiB',
  '{service_name="api"} | json | size>=1.5KB',
  '{service_name="api"} | json | latency>4.5',
  '{service_name="api"} | json | method>5',
  '{service_name="api"} | json | path>5s',
  '{service_name="api"} | json | missing>5 or status=200',
  '{service_name="api"} | json | missing=""',
  '{service_name="api"} | json | missing!="" or status=200',
  '{service_name="api"} | json | level_extracted="inner"',
  '{service_name="api"} | json | level="error"',
  '{service_name="api"} | json | user_id="3" | line_format "{{.user_name}} {{.path}}"',
  '{service_name="api"} | json | empty=""',
  '{service_name="api"} | json | none=""',
  '{service_name="api"} | json | user_name!~"ann|bob"',
  '{service_name="api"} | json | ok="true"',
  '{service_name="api"} | json | trace_id="t3"',
  // logfmt.
  '{service_name="web"} | logfmt',
  '{service_name="web"} | logfmt --strict',
  '{service_name="web"} | logfmt --keep-empty',
  '{service_name="web"} | logfmt --strict --keep-empty',
  '{service_name="odd"} | logfmt',
  '{service_name="odd"} | logfmt --strict',
  '{service_name="odd"} | logfmt --keep-empty',
  '{service_name="web"} | logfmt status, text="msg"',
  '{service_name="web"} | logfmt flag, empty, q',
  '{service_name="web"} | logfmt --keep-empty flag, empty, no',
  '{service_name="web"} | logfmt | took>1s and status=200',
  '{service_name="web"} | logfmt | took>1s | size>10KB',
  '{service_name="web"} | logfmt | user=""',
  '{service_name="web"} | logfmt | user_name="zoe"',
  '{service_name="web"} | logfmt | msg=~"retrying.*again.*"',
  '{service_name="odd"} | logfmt | d>1m',
  '{service_name="odd"} | logfmt | sz>1',
  '{service_name="odd"} | logfmt | value>1',
  // Both, as Logs Drilldown does.
  '{service_name=~".+"} | json | logfmt | drop __error__, __error_details__',
  '{service_name=~"api|web"} | json | logfmt | status>=500',
  '{service_name="jobs"} | logfmt | attempt="2"',
  '{service_name="jobs"} | logfmt | attempt_extracted!=""',
  // regexp, pattern, unpack.
  '{service_name="nginx"} | regexp `^(?P<ip>\\S+) - (?P<user>\\S+) "(?P<method>\\w+) (?P<path>[^ ?]+)`',
  '{service_name="nginx"} | regexp "(?P<status>50\\\\d)"',
  '{service_name="nginx"} | regexp "(?P<level>GET)"',
  '{service_name="nginx"} | regexp `(?P<ip>[\\d.]+)(?P<gap>x*) ` | ip=~"10.0.1.*"',
  '{service_name="nginx"} | pattern `<ip> - <user> "<method> <path> <_>" <status> <bytes>`',
  '{service_name="nginx"} | pattern `<ip> - <user> "<method> <path>?<_>" <status> <bytes>` | bytes > 2500 | method="GET"',
  '{service_name="nginx"} | pattern `<_>"<what>"<_>`',
  '{service_name="nginx"} | pattern `<_> nothing <x>`',
  '{service_name="web"} | pattern `msg="<msg>" status=<status> <rest>`',
  '{service_name="packed"} | unpack',
  '{service_name="packed"} | unpack | zone="a" |= "inner"',
  '{service_name="packed"} | json | unpack',
  '{service_name="odd"} | unpack',
  '{service_name="odd"} | decolorize',
  '{service_name="odd"} | decolorize | line_format "{{__line__}}" |~ "^red \\\\d+$"',
  // Formats.
  '{service_name="api"} | json | line_format "{{.method}} {{.path}} -> {{.status}}"',
  '{service_name="api"} | json | line_format `{{ if eq .method "GET" }}get{{ else if .ok }}{{.ok}}{{ else }}else{{ end }}`',
  '{service_name="api"} | json | line_format `{{ .path | replace "/api" "" | ToUpper | trunc 6 }}|{{ printf "%-6s|%5.1f" .method (.latency | float64) }}`',
  '{service_name="api"} | json | line_format `{{ add (.status | int) 1 }} {{ div 7 2 }} {{ mul 2 3 }} {{ sub 5 8 }} {{ mod 7 4 }} {{ round (.latency | float64) 1 }}`',
  '{service_name="api"} | json | line_format `{{ .missing }}|{{ .missing | default "none" }}|{{ len .path }}`',
  '{service_name="api"} | json | line_format `{{ regexReplaceAll "[0-9]+" .path "N" }} {{ regexReplaceAllLiteral "(users)" .path "$1" }}`',
  '{service_name="api"} | json | line_format `{{ contains "users" .path }} {{ hasPrefix "/api" .path }} {{ hasSuffix "3" .path }} {{ trimPrefix "/api/" .path }} {{ title .method }}`',
  '{service_name="api"} | json | line_format `{{ __line__ | substr 0 12 }} {{ __timestamp__ | unixEpoch }}`',
  '{service_name="api"} | json | line_format `{{ bytes .size }} {{ duration .took }} {{ duration_seconds .took }}`',
  '{service_name="api"} | json | line_format `{{ .path | b64enc }} {{ .path | b64enc | b64dec }} {{ urlencode .path }}`',
  '{service_name="api"} | json | line_format `{{ alignLeft 8 .method }}|{{ alignRight 8 .method }}|{{ repeat 2 "ab" }}|{{ lower .method }}|{{ indent 2 .method }}`',
  '{service_name="api"} | json | line_format `{{ .status | int | lt 300 }} {{ and .ok .method }} {{ or .missing "x" }} {{ not .missing }}`',
  '{service_name="api"} | json | line_format `{{ .took | int }}`',
  '{service_name="api"} | line_format "same"',
  '{service_name="jobs"} | line_format "{{.owner}}: {{.attempt}} {{.level}}" |= "ann"',
  '{service_name="api"} | json | label_format verb=method',
  '{service_name="api"} | json | label_format verb=method, where="{{.path}}", both="{{.method}} {{.path}}"',
  '{service_name="api"} | json | label_format code="{{.status}}!" | code="200!"',
  '{service_name="api"} | label_format service_name="x"',
  '{service_name="api"} | label_format env=environment',
  '{service_name="api"} | label_format new=missing',
  '{service_name="jobs"} | label_format who=owner | who="bob"',
  // keep and drop.
  '{service_name="api"} | json | keep method, status',
  '{service_name="api"} | json | keep method="GET", service_name',
  '{service_name="api"} | json | keep method=~"G.*", level',
  '{service_name="api"} | json | drop method, status, path, level',
  '{service_name="api"} | json | drop method="GET", environment="prod"',
  '{service_name="jobs"} | drop attempt, cost, wait, heap',
  '{service_name="jobs"} | keep owner, level',
  '{service_name="odd"} | logfmt --strict | keep a',
  // Structured metadata.
  '{service_name="jobs"}',
  '{service_name="jobs"} | attempt="2"',
  '{service_name="jobs"} | attempt>=2',
  '{service_name="jobs"} | cost>5.5',
  '{service_name="jobs"} | cost<=2 or attempt=3',
  '{service_name="jobs"} | wait>500ms',
  '{service_name="jobs"} | wait>500ms | __error__=""',
  '{service_name="jobs"} | heap>100MB',
  '{service_name="jobs"} | heap=""',
  '{service_name="jobs"} | owner=~"ann|bob"',
  '{service_name="jobs"} | owner!="ann"',
  '{service_name="jobs"} | owner!=""',
  '{service_name="jobs"} |= "job" | owner="ann" | attempt!="0"',
  '{service_name="jobs"} | owner="ann" and (attempt="1" or attempt="3")',
]

export const METRIC_QUERIES: readonly string[] = [
  // Without unwrap.
  `count_over_time(${BARE}[5m])`,
  'count_over_time({service_name="nginx"}[7m])',
  `rate(${BARE}[10m])`,
  `bytes_over_time(${BARE}[10m])`,
  'bytes_rate({service_name="web"}[5m])',
  'count_over_time({service_name="web"} |= "cache" [5m])',
  'count_over_time({service_name="web"} |= "cache" [5m] offset 11m)',
  'absent_over_time({service_name="nowhere"}[5m])',
  'absent_over_time({service_name="nowhere", level="x"}[5m])',
  'absent_over_time({service_name="nowhere", level=~"x|y"}[5m])',
  'absent_over_time({service_name="nginx"}[1m])',
  'sum(absent_over_time({service_name="nginx"}[1m]))',
  // By labels of the stream.
  'sum(count_over_time({service_name=~".+"}[5m]))',
  'sum by (level) (count_over_time({service_name=~".+"}[5m]))',
  'sum by (service_name, level) (count_over_time({service_name=~".+"}[10m]))',
  'sum by (nothing) (count_over_time({service_name=~".+"}[10m]))',
  'sum without (level) (count_over_time({service_name="api"}[10m]))',
  'sum without (level, environment, service, detected_level) (rate({service_name="api"}[10m]))',
  'avg by (environment) (count_over_time({service_name="api"}[10m]))',
  'min by (environment) (count_over_time({service_name="api"}[10m]))',
  'max by (environment) (count_over_time({service_name="api"}[10m]))',
  'count by (environment) (count_over_time({service_name="api"}[10m]))',
  'stddev by (environment) (count_over_time({service_name="api"}[10m]))',
  'stdvar(count_over_time({service_name="api"}[10m]))',
  'sum by (environment) (bytes_over_time({service_name=~"api|web"} != "cache" [10m]))',
  'count(count_over_time({service_name="api"}[10m]))',
  // Pipelines.
  'sum by (status) (count_over_time({service_name="api"} | json [10m]))',
  'sum by (status, method) (count_over_time({service_name="api"} | json [10m]))',
  'sum by (user_name) (rate({service_name="api"} | json | status>=500 [20m]))',
  'sum by (verb) (count_over_time({service_name="api"} | json | label_format verb=method [10m]))',
  'sum by (status) (count_over_time({service_name="web"} | logfmt [10m]))',
  'sum by (msg) (count_over_time({service_name="web"} | logfmt msg | msg=~"cache.*" [10m]))',
  'sum by (method) (count_over_time({service_name="nginx"} | pattern `<_> "<method> <_>` [10m]))',
  'sum by (status) (count_over_time({service_name="nginx"} | regexp `" (?P<status>\\d+) ` [10m]))',
  'sum by (pod) (count_over_time({service_name="packed"} | unpack [10m]))',
  'count_over_time({service_name="api"} | json status, method | drop level, environment [10m])',
  'count_over_time({service_name="api"} | json | keep status [10m])',
  'count_over_time({service_name="nginx"} | regexp `"(?P<method>\\w+) ` | method!="GET" [10m])',
  'sum by (level, detected_level) (count_over_time({service_name=~".+"} | drop __error__ [5m]))',
  'sum(count_over_time({service_name=~"api|web"} | json | logfmt | drop __error__, __error_details__ | status="500" [5m]))',
  'sum by (__error__) (count_over_time({service_name="odd"} | json [30m]))',
  'bytes_over_time({service_name="api"} | json | line_format "{{.path}}" | keep level [10m])',
  'sum(count_over_time({service_name="odd"} | json [1h]))',
  'sum(rate({service_name="odd"} | decolorize |= "red" [30m]))',
  // Structured metadata.
  'sum by (owner) (count_over_time({service_name="jobs"}[10m]))',
  'sum by (owner, attempt) (count_over_time({service_name="jobs"}[30m]))',
  'sum by (owner) (count_over_time({service_name="jobs"} | attempt>1 [30m]))',
  'sum by (level) (count_over_time({service_name="jobs"} | owner="ann" [30m]))',
  'count_over_time({service_name="jobs"} | keep owner [30m])',
  'avg_over_time({service_name="jobs"} | unwrap cost [20m]) by (level)',
  'max_over_time({service_name="jobs"} | unwrap attempt [20m]) by (owner)',
  'sum by (environment) (sum_over_time({service_name="jobs"} | unwrap duration(wait) | __error__="" [20m]))',
  'sum by (environment) (sum_over_time({service_name="jobs"} | unwrap bytes(heap) | __error__="" [20m]))',
  'quantile_over_time(0.9, {service_name="jobs"} | unwrap cost [30m]) by (owner)',
  // Unwrap.
  'sum by (method) (sum_over_time({service_name="api"} | json | unwrap latency [10m]))',
  'avg_over_time({service_name="api"} | json | unwrap latency [10m]) by (method)',
  'min_over_time({service_name="api"} | json | unwrap latency [10m]) by (method)',
  'max_over_time({service_name="api"} | json | unwrap latency [10m]) by (method, status)',
  'stddev_over_time({service_name="api"} | json | unwrap latency [10m]) by (method)',
  'stdvar_over_time({service_name="api"} | json | unwrap latency [10m]) by (method)',
  'first_over_time({service_name="api"} | json | unwrap latency [10m]) by (method)',
  'last_over_time({service_name="api"} | json | unwrap latency [10m]) by (method)',
  'quantile_over_time(0.5, {service_name="api"} | json | unwrap latency [10m]) by (method)',
  'quantile_over_time(0.99, {service_name="api"} | json | unwrap bytes [20m]) by (environment)',
  'quantile_over_time(0, {service_name="api"} | json | unwrap bytes [20m]) by (environment)',
  'quantile_over_time(1, {service_name="api"} | json | unwrap bytes [20m]) by (environment)',
  'quantile_over_time(1.5, {service_name="api"} | json | unwrap bytes [20m]) by (environment)',
  'sum by (method) (rate({service_name="api"} | json | unwrap bytes [10m]))',
  'sum by (level) (sum_over_time({service_name="api"} | json | unwrap duration(took) [10m]))',
  'sum by (level) (sum_over_time({service_name="api"} | json | unwrap duration_seconds(took) [10m]))',
  'max_over_time({service_name="api"} | json | unwrap bytes(size) [10m]) by (method)',
  'avg_over_time({service_name="web"} | logfmt | unwrap duration(took) | user!="" [10m]) by (status)',
  'max_over_time({service_name="nginx"} | pattern `<_>" <_> <bytes>` | unwrap bytes [10m]) without (level)',
  'sum_over_time({service_name="api"} | json latency | unwrap latency [10m])',
  'sum without (level) (sum_over_time({service_name="api"} | json latency | unwrap latency [10m]))',
  'max by (method) (max_over_time({service_name="api"} | json | unwrap bytes [10m]))',
  'sum by (level) (sum_over_time({service_name="odd"} | logfmt value | unwrap value | __error__="" [30m]))',
  'sum by (level) (sum_over_time({service_name="odd"} | logfmt d | unwrap duration(d) | __error__="" [30m]))',
  'avg_over_time({service_name="api"} | json | unwrap missing [10m])',
  // topk and its kind.
  'topk(2, sum by (service_name) (count_over_time({service_name=~".+"}[10m])))',
  'bottomk(1, sum by (service_name) (bytes_over_time({service_name=~".+"}[10m])))',
  'topk(1, sum by (service_name, level) (bytes_over_time({service_name=~".+"}[10m]))) by (level)',
  'topk(3, sum by (path) (bytes_over_time({service_name="api"} | json [20m])))',
  // Between vectors and numbers.
  'vector(1)+vector(1)',
  'vector(3.5)',
  '1+2*3^2',
  '7%4-10/4',
  'sum(count_over_time({service_name="api"}[5m])) * 2 + 1',
  '100 - sum by (level) (count_over_time({service_name="api"}[5m]))',
  '-1 * sum(count_over_time({service_name="api"}[5m]))',
  'sum by (level) (count_over_time({service_name="api"}[5m])) > 3',
  'sum by (level) (count_over_time({service_name="api"}[5m])) >= bool 3',
  '3 < sum by (level) (count_over_time({service_name="api"}[5m]))',
  'sum by (level) (count_over_time({service_name="api"}[5m])) != 2',
  'sum by (level) (count_over_time({service_name="api"}[5m])) == 2',
  'sum(count_over_time({service_name="api"} |= "DELETE" [5m])) / sum(count_over_time({service_name="api"}[5m]))',
  'sum by (level) (count_over_time({service_name="api"}[10m])) / sum by (level) (count_over_time({service_name="web"}[10m]))',
  'sum by (level) (count_over_time({service_name="api"}[10m])) % sum by (level) (count_over_time({service_name="web"}[10m]))',
  'sum by (level) (count_over_time({service_name="api"}[10m])) > sum by (level) (count_over_time({service_name="web"}[10m]))',
  'sum by (level) (count_over_time({service_name="api"}[10m])) > bool sum by (level) (count_over_time({service_name="web"}[10m]))',
  'sum by (level) (count_over_time({service_name="api"}[5m])) and sum by (level) (count_over_time({service_name="nginx"}[5m]))',
  'sum by (level) (count_over_time({service_name="nginx"}[5m])) or sum by (level) (count_over_time({service_name="api"}[5m]))',
  'sum by (level) (count_over_time({service_name="api"}[5m])) unless sum by (level) (count_over_time({service_name="nginx"}[5m]))',
  'sum by (service_name, level) (count_over_time({service_name="api"}[10m])) / on (level) sum by (level) (count_over_time({service_name=~".+"}[10m]))',
  'sum by (service_name, level) (count_over_time({service_name=~".+"}[10m])) / on (level) group_left () sum by (level) (count_over_time({service_name=~".+"}[10m]))',
  'sum by (level) (count_over_time({service_name=~".+"}[10m])) * on (level) group_right () sum by (service_name, level) (count_over_time({service_name=~"api|web"}[10m]))',
  'sum by (service_name, level) (count_over_time({service_name="api"}[10m])) - ignoring (service_name) sum by (level, service_name) (count_over_time({service_name="web"}[10m]))',
  'sum(count_over_time({service_name="api"}[5m])) > 1 and sum(count_over_time({service_name="web"}[5m])) < 5',
  'sum(count_over_time({service_name="nowhere"}[5m])) or vector(0)',
  'sum(count_over_time({service_name="api"}[5m] offset 10m)) - sum(count_over_time({service_name="api"}[5m]))',
  'sum(sum by (level) (count_over_time({service_name="api"}[5m])) > 2)',
  'max(sum by (level) (rate({service_name=~".+"}[10m]))) * 60',
  'label_replace(sum by (level) (count_over_time({service_name="api"}[10m])), "kind", "$1-x", "level", "(.)(.*)")',
  'label_replace(sum by (level) (count_over_time({service_name="api"}[10m])), "kind", "v", "level", "nomatch")',
]

/** The order of a vector is what they ask for. */
export const SORTED_QUERIES: readonly string[] = [
  'sort(sum by (path) (bytes_over_time({service_name="api"} | json [1h])))',
  'sort_desc(sum by (path) (bytes_over_time({service_name="api"} | json [1h])))',
]

export interface Departure {
  kind: Kind
  query: string
  /** What Loki answers the same to; null where we refuse. */
  theirs: string | null
  because: string
}

/** All that we answer otherwise than Loki; docs/loki.md tells it to users. */
export const DEPARTURES: readonly Departure[] = [
  {
    kind: 'logs',
    query: '{service_name="jobs", owner="ann"}',
    theirs: '{service_name="jobs"} | owner="ann"',
    because: 'structured metadata is found by a selector',
  },
  {
    kind: 'logs',
    query: '{service_name="jobs"} | owner=~"a.*|b.*"',
    theirs: '{service_name="jobs"} | owner=~"ann|bob"',
    because:
      "a regular expression is of the whole value; Loki's a.* in a label filter finds d'arcy",
  },
  {
    kind: 'logs',
    query: '{service_name="api"} | json | user_name!~"a.*"',
    theirs: '{service_name="api"} | json | user_name!="ann"',
    because: 'the same, the other way round',
  },
  {
    kind: 'logs',
    query: '{service_name="odd"} | decolorize |~ "^red \\\\d+$"',
    theirs: '{service_name="odd"} | decolorize | line_format "{{__line__}}" |~ "^red \\\\d+$"',
    because: 'stages are taken in their order; Loki takes line filters before decolorize',
  },
  {
    kind: 'range',
    query: 'count_over_time({service_name="jobs"}[10m])',
    theirs:
      'sum by (service_name, service, environment, level, detected_level) (count_over_time({service_name="jobs"}[10m]))',
    because: 'series without grouping have the labels of the stream, not all structured metadata',
  },
  {
    kind: 'range',
    query:
      'sum by (status) (count_over_time({service_name="web"} != "=999" | logfmt msg, status [15m]))',
    theirs: 'sum by (status) (count_over_time({service_name="web"} != "=999" | logfmt [15m]))',
    because: 'of a line all names are read; Loki stops in metric queries at the first of them',
  },
  {
    kind: 'range',
    query:
      'label_replace(sum by (level) (count_over_time({service_name="api"}[10m])), "level", "all", "nothing", "")',
    theirs: null,
    because: 'two series with the same labels are refused; Loki answers with both',
  },
  {
    kind: 'logs',
    query:
      '{service_name="api"} | json | line_format `{{ range $i, $x := fromJson __line__ }}{{ $i }},{{ end }}`',
    theirs: null,
    because: 'templates have no variables',
  },
]

/** What both must refuse. */
export const BAD_QUERIES: readonly string[] = [
  '{service_name="api"',
  '{}',
  '{service_name=""}',
  '{service_name=~".*"}',
  '{service_name!="api"}',
  '{service_name="api"} | bad',
  '{service_name="api"} | json |',
  '{service_name="api"} |~ "("',
  '{service_name=~"("}',
  '{service_name="api"} | line_format "{{.x"',
  '{service_name="api"} | pattern "no capture"',
  '{service_name="api"} | pattern "<a><b>"',
  '{service_name="api"} | regexp "no capture"',
  '{service_name="api"} | regexp "(?P<a>x)(?P<a>y)"',
  '{service_name="api"} | logfmt --no',
  '{service_name="api"} | json x="a["',
  '{service_name="api"} | label_format a=b, a=c',
  'count_over_time({service_name="api"})',
  'count_over_time({service_name="api"} | unwrap x [5m])',
  'sum_over_time({service_name="api"}[5m])',
  'sum_over_time({service_name="api"} | json | unwrap latency [5m]) by',
  'quantile_over_time({service_name="api"} | json | unwrap latency [5m])',
  'count_over_time({service_name="api"}[5m]) by (level)',
  'sum_over_time({service_name="api"} | json | unwrap latency [5m]) by (level)',
  'count_over_time({service_name="odd"} | json [1h])',
  'avg_over_time({service_name="jobs"} | unwrap duration(wait) [1h])',
  'sum by (level) ({service_name="api"})',
  'topk(sum(count_over_time({service_name="api"}[5m])))',
  'sum(count_over_time({service_name="api"}[5m]',
  'nosuch_over_time({service_name="api"}[5m])',
  'label_replace(sum(count_over_time({service_name="api"}[5m])), "a", "$1", "b", "(")',
  '1 +',
]

/** Lines of one form, what parses them and what can be asked of them then. */
interface Form {
  selectors: string[]
  parsers: string[]
  /** The same, for queries of lines alone: Loki's metric queries read too little of a line there. */
  lineParsers?: string[]
  /** Of what a parser found. */
  filters: string[]
  /** Of the line, and of labels that are there without a parser. */
  plain: string[]
  groups: string[]
  values: string[]
}

const FORMS: readonly Form[] = [
  {
    selectors: ['{service_name="api"}', '{service_name=~"a.i", environment="prod"}'],
    parsers: ['| json', '| json status, took, latency, method', '| json | logfmt'],
    filters: [
      '| status>=400',
      '| status="200"',
      '| took>500ms',
      '| method=~"GET|POST"',
      '| latency<3',
    ],
    plain: ['|= "users"', '!= "GET"', '|~ "orders/[0-4]"', '| level!="info"'],
    groups: ['level', 'status', 'method', 'environment, level'],
    values: ['latency', 'duration(took)', 'status'],
  },
  {
    selectors: ['{service_name="web"}', '{version="1.2.0"}'],
    lineParsers: ['| logfmt status, took, msg'],
    parsers: ['| logfmt', '| pattern `<_> status=<status> took=<took> <_>`'],
    filters: ['| status>=400', '| status!="200"', '| took>500ms', '| took<=2s'],
    plain: ['|= "cache"', '!~ "miss|again"', '|> "<_>timeout<_>"', '| version="1.10.0"'],
    groups: ['level', 'status', 'version, status'],
    values: ['duration(took)', 'status'],
  },
  {
    selectors: ['{service_name="nginx"}', '{service_name="nginx", level="info"}'],
    parsers: [
      '| pattern `<ip> - <_> "<method> <path> <_>" <status> <bytes>`',
      '| regexp `"(?P<method>\\w+) (?P<path>\\S+) [^"]*" (?P<status>\\d+) (?P<bytes>\\d+)`',
    ],
    filters: ['| status>=400', '| method!="GET"', '| bytes>2000', '| status=~"2.."'],
    plain: ['|= "GET"', '!= "10.0.1"', '|~ "x=[0-9]*5 "'],
    groups: ['level', 'status', 'method'],
    values: ['bytes', 'status'],
  },
  {
    selectors: ['{service_name="jobs"}', '{service_name="jobs", environment="prod"}'],
    parsers: ['', '| logfmt queue'],
    filters: ['| owner="ann"', '| attempt>1', '| cost<=5', '| owner!=""'],
    plain: ['|= "job"', '!= "done"', '| level=~"info|debug"', '| attempt="1"'],
    groups: ['level', 'owner', 'attempt, level'],
    values: ['cost', 'attempt'],
  },
]

const RANGES = ['1m', '7m', '15m', '1h']
const COUNTS = ['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate']
const UNWRAPPED = ['avg', 'min', 'max', 'stddev', 'stdvar', 'first', 'last']
/** Not topk: which of two equal series is the larger one is chance. */
const OVER = ['sum', 'avg', 'min', 'max', 'count', 'stddev']
const OPERATORS = ['+', '-', '*', '/', '%', '>', '<=', '== bool', 'and', 'or', 'unless']

/** Log queries and metric queries, half and half. */
export function randomQueries(seed: number, count: number): { logs: string[]; metrics: string[] } {
  const random = randomOf(seed)
  const pick = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)]!
  const some = (stages: string[], share: number) => stages.filter(() => random() < share)
  const pipeline = (form: Form, share: number, parsers = form.parsers) =>
    [pick(form.selectors), ...some(form.plain, share), pick(parsers), ...some(form.filters, share)]
      .filter((part) => part !== '')
      .join(' ')
  const logQuery = () => {
    const form = pick(FORMS)
    const query = pipeline(form, 0.25, [...form.parsers, ...(form.lineParsers ?? [])])
    const last = pick([
      '',
      '',
      ' | line_format "{{.status}} {{.level}}"',
      ' | drop level, method',
      ' | keep level, status',
    ])
    return query + last
  }
  const metric = (form: Form) => {
    const range = `[${pick(RANGES)}]`
    const group = pick(form.groups)
    const counted = `${pick(COUNTS)}(${pipeline(form, 0.15)} ${range})`
    if (random() < 0.2) return `sum(${counted})`
    // All that counts is grouped first: which series there are else is not the same on both sides.
    if (random() < 0.6) return over(`sum by (${group}) (${counted})`)
    const unwrapped = `${pipeline(form, 0.1)} | unwrap ${pick(form.values)} ${range}`
    if (random() < 0.2)
      return `quantile_over_time(${pick(['0.5', '0.95'])}, ${unwrapped}) by (${group})`
    return `${pick(UNWRAPPED)}_over_time(${unwrapped}) by (${group})`
  }
  const over = (vector: string) => (random() < 0.6 ? vector : `${pick(OVER)}(${vector})`)
  const binary = () => {
    const form = pick(FORMS)
    return `${metric(form)} ${pick(OPERATORS)} ${metric(form)}`
  }
  return {
    logs: Array.from({ length: count >> 1 }, logQuery),
    metrics: Array.from({ length: count - (count >> 1) }, () =>
      random() < 0.8 ? metric(pick(FORMS)) : binary(),
    ),
  }
}
