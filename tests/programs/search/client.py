# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""client.py elasticsearch|opensearch PORT: makes the calls of calls.json with that product's own client, once a line has come on
standard input, and prints one JSON line for each request that the client made: the name of the call, the parts of its path as they
were given, and the status that the client was answered with."""

import json
import pathlib
import sys
import warnings

warnings.simplefilter("ignore")
product, port = sys.argv[1], int(sys.argv[2])
if product == "elasticsearch":
    from elasticsearch import Elasticsearch as Client, TransportError
    from elasticsearch.connection import Urllib3HttpConnection as Connection
else:
    from opensearchpy import OpenSearch as Client, TransportError
    from opensearchpy.connection import Urllib3HttpConnection as Connection

current = {}


class Telling(Connection):
    def perform_request(self, method, url, *arguments, **how):
        # The client looks once by itself which product it talks to.
        made = current if url != "/" or method == "HEAD" else {"call": "info", "path": {}}
        status = 0
        try:
            answer = super().perform_request(method, url, *arguments, **how)
            status = answer[0]
            return answer
        except TransportError as error:
            status = error.status_code
            raise
        finally:
            print(json.dumps({**made, "method": method, "status": status}), flush=True)


def filled(value, last):
    if isinstance(value, str) and value.startswith("$"):
        return last[value[1:]]
    if isinstance(value, dict):
        return {key: filled(inner, last) for key, inner in value.items()}
    return [filled(inner, last) for inner in value] if isinstance(value, list) else value


client = Client([{"host": "127.0.0.1", "port": port}], connection_class=Telling, max_retries=0, timeout=60)
print("ready", flush=True)
sys.stdin.readline()
last = {}
for call in json.loads((pathlib.Path(__file__).parent / "calls.json").read_text()):
    if call.get("only", product) != product:
        continue
    path = call.get("path", {})
    current = {"call": call["call"], "path": path}
    function = client
    for name in call["call"].split("."):
        function = getattr(function, name)
    try:
        answer = function(**path, **filled(call.get("with", {}), last))
        if isinstance(answer, dict) and "_scroll_id" in answer:
            last = answer
    except TransportError:
        pass
print("done", flush=True)
