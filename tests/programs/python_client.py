# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""python_client.py requests|urllib|aiohttp: reads "METHOD URL BODY_SIZE" lines, prints "STATUS BYTES" for each."""

import asyncio
import sys
import urllib.error
import urllib.request


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def lines():
    print("listening 0", flush=True)
    for line in sys.stdin:
        method, url, size = line.split()
        yield method, url, b"b" * int(size) or None


def with_urllib():
    opener = urllib.request.build_opener(NoRedirect)
    for method, url, body in lines():
        try:
            with opener.open(urllib.request.Request(url, data=body, method=method)) as response:
                print(response.status, len(response.read()), flush=True)
        except urllib.error.HTTPError as error:
            print(error.code, len(error.read()), flush=True)


def with_requests():
    import requests
    with requests.Session() as session:
        for method, url, body in lines():
            response = session.request(method, url, data=body, allow_redirects=False)
            print(response.status_code, len(response.content), flush=True)


async def with_aiohttp():
    import aiohttp
    async with aiohttp.ClientSession() as session:
        for method, url, body in lines():
            async with session.request(method, url, data=body, allow_redirects=False) as response:
                print(response.status, len(await response.read()), flush=True)


mode = sys.argv[1]
if mode == "urllib":
    with_urllib()
elif mode == "requests":
    with_requests()
else:
    asyncio.run(with_aiohttp())
