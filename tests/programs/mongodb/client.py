# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""client.py work URI: works with a MongoDB server after a line on standard input, prints "ready" before, and one line of JSON
for each command that the driver reports. client.py handler URI CONNECTIONS: an HTTP server with a thread for each connection,
whose handlers send two commands each, with the request's id in them. client.py login URI: tries to log in."""

import http.server
import json
import sys
import time
import urllib.parse

import pymongo
from pymongo import errors, monitoring


class Listener(monitoring.CommandListener):
    def __init__(self):
        self.open = {}

    def started(self, event):
        command = event.command
        name = command.get("collection") if event.command_name == "getMore" else command.get(event.command_name)
        batch = max(len(command.get(key, ())) for key in ("documents", "updates", "deletes"))
        self.open[event.request_id] = {"name": event.command_name, "database": event.database_name,
                                       "collection": name if isinstance(name, str) else "", "batch": batch}

    def finish(self, event, rows, error):
        print(json.dumps({**self.open.pop(event.request_id), "rows": rows, "error": error}), flush=True)

    def succeeded(self, event):
        cursor = event.reply.get("cursor", {})
        batch = cursor.get("firstBatch", cursor.get("nextBatch"))
        wrong = event.reply.get("writeErrors")
        self.finish(event, -1 if batch is None else len(batch), str(wrong[0]["code"]) if wrong else "")

    def failed(self, event):
        self.finish(event, -1, str(event.failure.get("code", event.failure)))


def refused(call, *arguments):
    try:
        call(*arguments)
    except errors.PyMongoError:
        return
    raise AssertionError("it worked")


def work(uri):
    print("ready", flush=True)
    sys.stdin.readline()
    client = pymongo.MongoClient(uri, event_listeners=[Listener()])
    client.admin.command("ping")
    shop = client.shop
    users = shop.users
    for i in range(20):
        users.insert_one({"_id": i, "name": f"secret {i}", "age": i})
    users.insert_many([{"_id": 100 + i, "name": "secret " * 20, "age": i} for i in range(300)])
    refused(users.insert_one, {"_id": 1})
    assert len(list(users.find({"age": {"$lt": 10}, "_id": {"$lt": 50}}, batch_size=4))) == 10
    assert len(list(users.find({}, batch_size=200))) == 320
    users.find_one({"name": "secret 1"})
    users.update_one({"_id": 1}, {"$set": {"name": "secret"}})
    users.bulk_write([pymongo.UpdateOne({"_id": 2}, {"$inc": {"age": 1}}), pymongo.UpdateOne({"_id": 3}, {"$inc": {"age": 1}}),
                      pymongo.DeleteOne({"_id": 4}), pymongo.DeleteOne({"_id": 5})])
    list(users.aggregate([{"$match": {"name": "secret"}}, {"$group": {"_id": "$name", "n": {"$sum": 1}}}]))
    users.count_documents({"name": "secret"})
    users.distinct("name", {"age": {"$lt": 5}})
    users.find_one_and_update({"_id": 7}, {"$set": {"name": "secret"}})
    users.create_index([("age", 1)])
    shop.list_collection_names()
    for wrong in ({"noSuchCommand": "secret"}, {"create": "users"}, {"find": "users", "filter": "secret"}):
        refused(shop.command, wrong)
    users.drop()
    client.close()
    print("done", flush=True)


def handler(uri, connections):
    shop = pymongo.MongoClient(uri, maxPoolSize=int(connections)).shop

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
            for letter in "tu":
                shop[f"{letter}_{query['id'][0]}"].find_one({"name": "secret"})
                time.sleep(int(query["delay"][0]) / 1000)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.request_queue_size = 200
    server.socket.listen(200)
    print("listening", server.server_port, flush=True)
    server.serve_forever()


def login(uri):
    print("ready", flush=True)
    sys.stdin.readline()
    client = pymongo.MongoClient(uri, username="joe", password="a long password", authMechanism="PLAIN",
                                 serverSelectionTimeoutMS=5000)
    try:
        client.admin.command("ping")
    except errors.PyMongoError as error:
        print("refused", type(error).__name__)
    client.close()
    print("done", flush=True)


{"work": work, "handler": handler, "login": login}[sys.argv[1]](*sys.argv[2:])
