# Lines of the logging module through python-logging-loki: in Loki's first form at its first path, or
# in the form of today. LOKI_URL and LOKI_KEY say where to.

import logging
import os
import sys

import logging_loki

version = sys.argv[1]
path = {"0": "/api/prom/push", "1": "/loki/api/v1/push"}[version]
logging.raiseExceptions = True
handler = logging_loki.LokiHandler(
    url=os.environ["LOKI_URL"] + path,
    tags={"application": "shop", "env": "staging"},
    auth=("any", os.environ["LOKI_KEY"]),
    version=version,
)
logger = logging.getLogger("shop.cart")
logger.setLevel(logging.DEBUG)
logger.addHandler(handler)

logger.debug("cart %s has %d items", "c-9", 3)
logger.warning('zażółć "gęślą" jaźń 🚀\n\tat line two')
logger.critical("no stock", extra={"tags": {"trace_id": "0af7651916cd43dd8448eb211c80319c"}})
