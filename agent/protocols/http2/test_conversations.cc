// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The conversations of the property tests and of the fuzz targets' corpora.

#include "agent/protocols/http2/testing.h"

namespace zerospan::protocols::http2 {
namespace {

constexpr From kQ = From::kRequester;
constexpr From kR = From::kResponder;

const Fields kGrpcRequest = {
    {"content-type", "application/grpc"}, {"te", "trailers"}, {"grpc-timeout", "250m"}};
const Fields kGrpcResponse = {{"content-type", "application/grpc+proto"}};

Fields grpc_trailers(std::string_view status, std::string_view message = "") {
  Fields fields = {{"grpc-status", std::string(status)}};
  if (!message.empty()) {
    fields.emplace_back("grpc-message", message);
  }
  return fields;
}

NamedConversation plain() {
  Script s;
  s.say(kQ, join({s.preface(), s.request(1, "1", true)}), 1);
  s.say(kR, join({s.settings(), frame(FrameType::kSettings, kEndStream, 0, "")}));
  s.say(kR, join({s.response(1, "1", false), Script::data(1, "hello", true)}));
  s.say(kQ, join({frame(FrameType::kSettings, kEndStream, 0, ""), s.request(3, "2", false)}), 2);
  s.say(kQ, Script::data(3, std::string(300, 'b'), false), 2);
  s.say(kQ, Script::data(3, "end", true, 9), 2);
  s.say(kR, s.response(3, "2", false, "201"));
  s.say(kR, Script::data(3, std::string(700, 'r'), false, 200));
  s.say(kR, Script::data(3, "", true));
  s.say(kQ, s.request(5, "3", true), 3);
  s.say(kR, s.response(5, "3", true, "404"));
  return {"plain", s.says()};
}

NamedConversation interleaved() {
  Script s;
  s.say(kQ, s.preface());
  s.say(kR, s.settings({{1, 8192}, {5, 32768}}));
  std::string all;
  for (uint32_t i = 0; i < 8; ++i) {
    all += s.request(1 + 2 * i, std::to_string(i), i % 2 == 0);
  }
  s.say(kQ, all, 1);
  for (uint32_t i = 7; i < 8; --i) {
    s.say(kR, s.response(1 + 2 * i, std::to_string(i), false));
    if (i % 2 == 1) {
      s.say(kQ, Script::data(1 + 2 * i, std::string(i, 'x'), true), 1);
    }
  }
  all.clear();
  for (uint32_t i = 0; i < 8; ++i) {
    all += Script::data(1 + 2 * i, std::string(70 + i, 'y'), false);
  }
  s.say(kR, all);
  for (uint32_t i = 0; i < 8; ++i) {
    s.say(kR, Script::data(1 + 2 * i, "z", true));
  }
  s.say(kQ, s.request(17, "8", true), 2);
  s.say(kR, s.response(17, "8", true));
  return {"interleaved", s.says()};
}

NamedConversation grpc() {
  Script s;
  s.say(kQ,
        join({s.preface(), s.request(1, "pkg.Shop/1", false, kGrpcRequest),
              Script::data(1, grpc_message(20), true)}),
        1);
  s.say(kR, join({s.settings(), s.response(1, "pkg.Shop/1", false, "200", kGrpcResponse),
                  Script::data(1, grpc_message(200), false),
                  s.headers(kR, 1, grpc_trailers("0"), true)}));
  // Trailers only.
  s.say(kQ,
        join({s.request(3, "pkg.Shop/2", false, kGrpcRequest),
              Script::data(3, grpc_message(0), true)}),
        2);
  Fields only = kGrpcResponse;
  only.emplace_back("grpc-status", "5");
  only.emplace_back("grpc-message", "no%20such%20thing");
  s.say(kR, s.response(3, "pkg.Shop/2", true, "200", only));
  // A stream of messages in both directions, compressed, over several frames.
  s.say(kQ, s.request(5, "pkg.Shop/3", false, kGrpcRequest), 3);
  s.say(kR, s.response(5, "pkg.Shop/3", false, "200", kGrpcResponse));
  for (int i = 0; i < 3; ++i) {
    s.say(kQ, Script::data(5, grpc_message(10, i == 1), false), 3);
    const std::string message = grpc_message(400);
    s.say(kR, Script::data(5, message.substr(0, 100), false, 3));
    s.say(kR, Script::data(5, message.substr(100), false));
  }
  s.say(kQ, Script::data(5, "", true), 3);
  s.say(kR, s.headers(kR, 5, grpc_trailers("13", "out of %E2%82%AC"), true));
  // Cancelled.
  s.say(kQ,
        join({s.request(7, "pkg.Shop/4", false, kGrpcRequest),
              Script::data(7, grpc_message(5), true)}),
        4);
  s.say(kR, s.response(7, "pkg.Shop/4", false, "200", kGrpcResponse));
  s.say(kQ, Script::reset(7, 8));
  return {"grpc", s.says()};
}

NamedConversation odd() {
  Script s;
  const Fields long_fields = {
      {":method", "GET"}, {":scheme", "https"}, {":authority", "shop.test"},
      {":path", "/1"},    {"x-id", "1"},        {"x-long", std::string(900, 'l')}};
  s.say(kQ, join({s.preface(), s.split_headers(kQ, 1, long_fields, true, 40)}), 1);
  s.say(kR, join({s.settings({{1, 0}}), frame(FrameType::kPing, 0, 0, "pingpong")}));
  s.say(kR, join({s.headers(kR, 1, {{":status", "103"}, {"link", "</a>"}}, false),
                  s.push_promise(1, 2, {{":method", "GET"}, {":path", "/p"}, {"x-pushed", "1"}})}));
  s.say(kR, join({s.headers(kR, 2, {{":status", "200"}, {"x-pushed", "2"}}, true),
                  s.split_headers(kR, 1, {{":status", "200"}, {"x-id", "1"}}, true, 4)}));
  s.encoder(kQ).resize(0);
  s.say(kQ,
        join({frame(FrameType::kWindowUpdate, 0, 0, std::string("\0\0\1\0", 4)),
              frame(FrameType::kPriority, 0, 3, std::string(5, '\0')), s.request(3, "2", true)}),
        2);
  s.say(kR, join({frame(static_cast<FrameType>(0xbe), 0xff, 77, "an extension"),
                  s.response(3, "2", false), Script::data(3, "", true, 11)}));
  s.encoder(kQ).resize(4096);
  // Trailers of a request; an answer before its end.
  s.say(kQ,
        join({s.request(5, "3", false), Script::data(5, "abc", false),
              s.headers(kQ, 5, {{"x-checksum", "77"}}, true)}),
        3);
  s.say(kR, s.response(5, "3", true));
  s.say(kQ, join({s.request(7, "4", false), Script::data(7, "abc", false)}), 4);
  s.say(kR, join({s.response(7, "4", true, "413"), Script::reset(7, 0)}));
  s.say(kQ, s.headers(kQ, 9, {{":method", "CONNECT"}, {":authority", "5"}, {"x-id", "5"}}, false),
        5);
  s.say(kR, s.response(9, "5", false));
  s.say(kR, Script::data(9, "tunnel", true));
  s.say(kQ, Script::data(9, "tunnel", true));
  return {"odd but allowed", s.says()};
}

NamedConversation going_away() {
  Script s;
  s.say(kQ,
        join({s.preface(), s.request(1, "1", true), s.request(3, "2", true),
              s.request(5, "3", true)}),
        1);
  s.say(kR, join({s.settings(), s.response(1, "1", true)}));
  s.say(kR, Script::goaway(3, 0));
  s.say(kR, join({s.response(3, "2", false), Script::data(3, "abc", false)}));
  return {"going away", s.says()};
}

}  // namespace

const std::vector<NamedConversation>& conversations() {
  static const std::vector<NamedConversation> kAll = [] {
    std::vector<NamedConversation> all = {plain(), interleaved(), grpc(), odd(), going_away()};
    all.push_back(going_away());
    all.back().name = "reset";
    all.back().reset = true;
    return all;
  }();
  return kAll;
}

}  // namespace zerospan::protocols::http2
