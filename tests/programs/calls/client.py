# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""client.py PORT: calls server.mjs with gql, and with jsonrpcclient over requests, once a line has come on standard input."""

import sys

import jsonrpcclient
import requests
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

port = int(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
with Client(transport=RequestsHTTPTransport(url=f"http://127.0.0.1:{port}/graphql")) as session:
    session.execute(gql("query PythonBook($id: ID) { book(id: $id) { id title } }"), variable_values={"id": "é"})
    session.execute(gql("{ books { id } }"))
    session.execute(gql("mutation { rename(id: 1, title: \"a\") { id } }"))
    session.execute(gql("query A { books { id } } query B { books { title } }"), operation_name="B")
    try:
        session.execute(gql("query PythonFails { fails }"))
    except TransportQueryError:
        pass
with requests.Session() as session:
    for request in (jsonrpcclient.request("add", [3, 4]), jsonrpcclient.request("add", [5, 6], id="é"),
                    jsonrpcclient.request("fails", []), jsonrpcclient.request("made-up", {"a": "b"}),
                    jsonrpcclient.notification("notify", [])):
        session.post(f"http://127.0.0.1:{port}/rpc", json=request)
print("done", flush=True)
