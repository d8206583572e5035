// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Conversations between two sessions of nghttp2, which know nothing of this parser: many streams at
// once, bodies under flow control, padding, priorities, trailers, resets.

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <random>

#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr size_t kBody = 3000;

struct Peer {
  nghttp2_session* session = nullptr;
  std::mt19937 random{7};
  std::map<int32_t, size_t> body_left;
  std::vector<int32_t> requested;  // on a server: streams whose request has ended
};

uint8_t* octets(const std::string& text) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
}

nghttp2_nv field(const std::string& name, const std::string& value) {
  return {octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

ssize_t read_body(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t length,
                  uint32_t* flags, nghttp2_data_source* /*source*/, void* user) {
  Peer& peer = *static_cast<Peer*>(user);
  size_t& left = peer.body_left[stream];
  const size_t count = std::min({left, length, size_t{1} + peer.random() % 900});
  std::fill_n(buffer, count, uint8_t{'b'});
  left -= count;
  if (left == 0) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (nghttp2_session_check_server_session(session) != 0 && stream % 3 == 0) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      static const std::string kName = "x-checksum";
      static const std::string kValue = "77";
      const nghttp2_nv trailer = field(kName, kValue);
      nghttp2_submit_trailer(session, stream, &trailer, 1);
    }
  }
  return static_cast<ssize_t>(count);
}

ssize_t select_padding(nghttp2_session* /*session*/, const nghttp2_frame* frame, size_t longest,
                       void* user) {
  Peer& peer = *static_cast<Peer*>(user);
  return static_cast<ssize_t>(std::min(longest, frame->hd.length + peer.random() % 60));
}

int on_frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
    static_cast<Peer*>(user)->requested.push_back(frame->hd.stream_id);
  }
  return 0;
}

class Sessions {
 public:
  Sessions() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_select_padding_callback(callbacks, select_padding);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_client_new(&client.session, callbacks, &client);
    nghttp2_session_server_new(&server.session, callbacks, &server);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry many = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000};
    const nghttp2_settings_entry table = {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 1000};
    nghttp2_submit_settings(client.session, NGHTTP2_FLAG_NONE, nullptr, 0);
    const nghttp2_settings_entry both[] = {many, table};
    nghttp2_submit_settings(server.session, NGHTTP2_FLAG_NONE, both, 2);
  }
  ~Sessions() {
    nghttp2_session_del(client.session);
    nghttp2_session_del(server.session);
  }
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  int32_t request(const std::string& id, bool body) {
    const std::string names[] = {":method", ":scheme", ":authority", ":path", "x-id"};
    const std::string values[] = {body ? "POST" : "GET", "http", "shop.test", "/" + id, id};
    std::vector<nghttp2_nv> fields;
    for (size_t i = 0; i < 5; ++i) {
      fields.push_back(field(names[i], values[i]));
    }
    nghttp2_priority_spec priority;
    nghttp2_priority_spec_init(&priority, 0, 10, 0);
    nghttp2_data_provider provider{};
    provider.read_callback = read_body;
    const int32_t stream =
        nghttp2_submit_request(client.session, &priority, fields.data(), fields.size(),
                               body ? &provider : nullptr, nullptr);
    client.body_left[stream] = kBody;
    ids[stream] = id;
    return stream;
  }

  void respond(int32_t stream) {
    const std::string names[] = {":status", "server", "x-id"};
    const std::string values[] = {"200", "test", ids[stream]};
    const nghttp2_nv fields[] = {field(names[0], values[0]), field(names[1], values[1]),
                                 field(names[2], values[2])};
    nghttp2_data_provider provider{};
    provider.read_callback = read_body;
    server.body_left[stream] = kBody;
    nghttp2_submit_response(server.session, stream, fields, 3, &provider);
  }

  // What one side has to say now, as one operation; empty: nothing.
  std::string talk(From from) {
    Peer& speaker = from == From::kRequester ? client : server;
    Peer& listener = from == From::kRequester ? server : client;
    const uint8_t* bytes = nullptr;
    std::string all;
    while (true) {
      const ssize_t count = nghttp2_session_mem_send(speaker.session, &bytes);
      if (count <= 0) {
        break;
      }
      all.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
      if (speaker.random() % 4 == 0) {
        break;
      }
    }
    EXPECT_EQ(nghttp2_session_mem_recv(listener.session, octets(all), all.size()),
              static_cast<ssize_t>(all.size()));
    return all;
  }

  Peer client;
  Peer server;
  std::map<int32_t, std::string> ids;
};

TEST(Nghttp2Sessions, AreUnderstood) {
  for (const model::Role role : {model::Role::kServer, model::Role::kClient}) {
    Sessions sessions;
    Player player(role);
    constexpr int kRequests = 400;
    int asked = 0;
    int quiet = 0;
    while (quiet < 4) {
      for (int i = 0; i < 40 && asked < kRequests; ++i, ++asked) {
        const int32_t stream = sessions.request(std::to_string(asked), asked % 2 == 0);
        if (asked % 50 == 49) {
          nghttp2_submit_rst_stream(sessions.client.session, 0, stream, NGHTTP2_CANCEL);
        }
      }
      for (const From from : {From::kRequester, From::kResponder}) {
        const std::string bytes = sessions.talk(from);
        quiet = bytes.empty() ? quiet + 1 : 0;
        player.say(from, bytes);
      }
      for (const int32_t stream : sessions.server.requested) {
        sessions.respond(stream);
      }
      sessions.server.requested.clear();
    }
    player.close(model::CloseKind::kClosed);
    EXPECT_TRUE(player.sink.violations.empty());
    EXPECT_GE(player.sink.exchanges.size(), size_t{kRequests - kRequests / 50});
    size_t complete = 0;
    for (const model::Exchange& exchange : player.sink.exchanges) {
      const model::HttpExchange& http = Player::http(exchange);
      EXPECT_EQ(exchange.incomplete, model::kIncompleteNone);
      EXPECT_EQ(http.target, "/" + std::string(http.request_headers.find("x-id")));
      if (exchange.outcome != model::Outcome::kComplete) {
        EXPECT_EQ(http.reset->code, uint32_t{NGHTTP2_CANCEL});
        continue;
      }
      ++complete;
      EXPECT_EQ(http.status, 200);
      EXPECT_EQ(http.response_headers.find("x-id"), http.request_headers.find("x-id"));
      EXPECT_EQ(http.response_body_size, kBody);
      EXPECT_EQ(http.request_body_size, http.method == "POST" ? kBody : 0U);
    }
    EXPECT_EQ(complete, size_t{kRequests - kRequests / 50});
    EXPECT_EQ(player.counters.unparsed_bytes, 0U);
  }
}

}  // namespace
}  // namespace zerospan::protocols::http2
