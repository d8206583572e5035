# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""What clients of HTTP/2 sent, byte by byte: a relay that keeps it, and its requests as nghttp2 decodes them."""

import ctypes
import dataclasses
import socket
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY = 1, 4, 8, 32


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class _Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("value", ctypes.c_void_p), ("name_bytes", ctypes.c_size_t),
                ("value_bytes", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Decoder:
    """nghttp2's HPACK decoder, of one direction."""

    def __init__(self):
        self.library = ctypes.CDLL("libnghttp2.so.14")
        self.library.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        self.inflater = ctypes.c_void_p()
        assert self.library.nghttp2_hd_inflate_new(ctypes.byref(self.inflater)) == 0
        # A peer may have allowed more than 4096 bytes; who uses it says so.
        self.library.nghttp2_hd_inflate_change_table_size(self.inflater, ctypes.c_size_t(1 << 20))

    def __del__(self):
        self.library.nghttp2_hd_inflate_del(self.inflater)

    def decode(self, block):
        fields, at = [], 0
        while True:
            field, flags = _Field(), ctypes.c_int(0)
            taken = self.library.nghttp2_hd_inflate_hd2(self.inflater, ctypes.byref(field), ctypes.byref(flags),
                                                        block[at:], ctypes.c_size_t(len(block) - at), 1)
            assert taken >= 0, f"nghttp2 says {taken} to {block[at:].hex()}"
            at += taken
            if flags.value & 2:  # a field
                fields.append((ctypes.string_at(field.name, field.name_bytes).decode(),
                               ctypes.string_at(field.value, field.value_bytes).decode()))
            if flags.value & 1:  # the end
                self.library.nghttp2_hd_inflate_end_headers(self.inflater)
                assert at == len(block)
                return fields


@dataclasses.dataclass
class Block:
    stream: int
    fields: list
    is_request: bool

    def values(self, name):
        return [value for key, value in self.fields if key == name]


def frames(data):
    """The whole frames behind the preface: (kind, flags, stream, payload)."""
    assert data[:len(PREFACE)] == PREFACE[:len(data)], data[:40]
    at = len(PREFACE)
    while at + 9 <= len(data):
        size = int.from_bytes(data[at:at + 3], "big")
        if at + 9 + size > len(data):
            return
        yield (data[at + 3], data[at + 4], int.from_bytes(data[at + 5:at + 9], "big") & 0x7fffffff,
               bytes(data[at + 9:at + 9 + size]))
        at += 9 + size


def blocks(data):
    """The header blocks of what a client sent."""
    decoder, found, highest, open_block = Decoder(), [], 0, None
    for kind, flags, stream, payload in frames(data):
        assert (kind == CONTINUATION) == (open_block is not None), (kind, stream)
        if kind == HEADERS:
            padding = payload[0] if flags & PADDED else 0
            payload = payload[(1 if flags & PADDED else 0) + (5 if flags & WITH_PRIORITY else 0):]
            assert padding <= len(payload)
            open_block = payload[:len(payload) - padding]
        elif kind == CONTINUATION:
            open_block += payload
        else:
            continue
        if flags & END_HEADERS:
            found.append(Block(stream, decoder.decode(open_block), stream > highest))
            highest = max(highest, stream)
            open_block = None
    return found


class Relay:
    """Between clients and a server; keeps what each connection's client sent."""

    def __init__(self, case, backend):
        self.backend = backend
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.sent = []
        self.lock = threading.Lock()
        case.addCleanup(self.listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        data = bytearray()
        with self.lock:
            self.sent.append(data)
        with client, socket.create_connection(("127.0.0.1", self.backend)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = threading.Thread(target=self._pass, args=(server, client, None), daemon=True)
            answers.start()
            self._pass(client, server, data)
            answers.join()

    def _pass(self, source, target, kept):
        try:
            while piece := source.recv(65536):
                if kept is not None:
                    with self.lock:
                        kept += piece
                target.sendall(piece)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def connections(self):
        with self.lock:
            return [bytes(data) for data in self.sent]

    def requests(self):
        return [block for data in self.connections() for block in blocks(data) if block.is_request]
