// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/json_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace zerospan::k8s {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Shape = JsonSplitter::Shape;
using Part = JsonSplitter::Part;

// The pieces, fed `step` bytes at a time.
std::vector<std::string> split(Shape shape, std::string_view text, size_t step,
                               size_t max_bytes = 1000) {
  JsonSplitter splitter(shape, max_bytes);
  std::vector<std::string> pieces;
  while (!text.empty()) {
    std::string_view part = text.substr(0, step);
    text.remove_prefix(part.size());
    while (const auto piece = splitter.next(part)) {
      static constexpr const char* kNames[] = {"value ", "item ", "metadata ", "too long",
                                               "malformed"};
      pieces.push_back(kNames[static_cast<size_t>(piece->part)] + std::string(piece->json));
      if (piece->part == Part::kMalformed) {
        return pieces;
      }
    }
  }
  if (splitter.complete()) {
    pieces.emplace_back("complete");
  }
  return pieces;
}

TEST(JsonSplitter, ItemsAndMetadataOfAList) {
  const std::string list =
      R"({"kind":"PodList", "x":{"items":[1],"metadata":"}"}, "metadata" : {"a":"]}\""},)"
      R"("items": [ {"b":[{}]}, "s\\", 12 ,{"c":"\"{"}],"n":null})"
      "\n";
  for (size_t step = 1; step <= list.size(); ++step) {
    EXPECT_THAT(split(Shape::kList, list, step),
                ElementsAre(R"(metadata {"a":"]}\""})", R"(item {"b":[{}]})", R"(item "s\\")",
                            "item 12", R"(item {"c":"\"{"})", "complete"))
        << step;
  }
}

TEST(JsonSplitter, NoItems) {
  EXPECT_THAT(split(Shape::kList, R"({"items":null,"metadata":{}})", 1),
              ElementsAre("metadata {}", "complete"));
  EXPECT_THAT(split(Shape::kList, R"({"items":[]})", 100), ElementsAre("complete"));
}

TEST(JsonSplitter, EventsOfAWatch) {
  const std::string stream = "{\"a\":\"}\"}\n{\"b\":{\"c\":1}}\r\n\n{}";
  for (size_t step = 1; step <= stream.size(); ++step) {
    EXPECT_THAT(split(Shape::kStream, stream, step),
                ElementsAre(R"(value {"a":"}"})", R"(value {"b":{"c":1}})", "value {}", "complete"))
        << step;
  }
}

TEST(JsonSplitter, AnyCutIsNotComplete) {
  const std::string list = R"({"metadata":{},"items":[{"a":1}]})";
  for (size_t size = 0; size < list.size(); ++size) {
    const auto pieces = split(Shape::kList, list.substr(0, size), 7);
    EXPECT_EQ(std::count(pieces.begin(), pieces.end(), "complete"), 0) << size;
  }
  EXPECT_THAT(split(Shape::kStream, "{}\n{\"a\"", 3), ElementsAre("value {}"));
}

TEST(JsonSplitter, LongValuesArePassedOver) {
  const std::string list = R"({"items":[{"a":1},{"b":"0123456789"},{"c":2}]})";
  for (size_t step = 1; step <= list.size(); ++step) {
    EXPECT_THAT(split(Shape::kList, list, step, 10),
                ElementsAre(R"(item {"a":1})", "too long", R"(item {"c":2})", "complete"))
        << step;
  }
}

TEST(JsonSplitter, WhatIsNotAListOrAStream) {
  for (const char* text : {"<html>", "[]", "\"x\"", "{}{}", "{]", "{\"a\":}", "{\"items\":[}]}"}) {
    for (const size_t step : {1U, 100U}) {
      EXPECT_THAT(split(Shape::kList, text, step), ElementsAre("malformed")) << text;
    }
  }
  EXPECT_THAT(split(Shape::kStream, "{} 1", 9), ElementsAre("value {}", "malformed"));
  EXPECT_THAT(split(Shape::kStream, "[", 1), ElementsAre("malformed"));
  EXPECT_THAT(split(Shape::kStream, std::string(100'000, '{'), 1000, 100), IsEmpty());
}

}  // namespace
}  // namespace zerospan::k8s
