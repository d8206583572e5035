// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/reflector.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "agent/k8s/api/testing.h"

namespace zerospan::k8s {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string object(const std::string& name, int version) {
  return fmt::format(R"({{"metadata":{{"name":"{0}","uid":"u-{0}","resourceVersion":"{1}"}}}})",
                     name, version);
}

std::string event(const std::string& type, const std::string& name, int version) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object(name, version));
}

std::string list(const std::string& items, int version, const std::string& next = "") {
  return fmt::format(
      R"({{"kind":"List","metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})",
      version, next, items);
}

const std::string kBookmark =
    R"({"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"900"}}})"
    "\n";
const std::string kExpired =
    R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}})"
    "\n";

class ReflectorTest : public ::testing::Test {
 protected:
  ReflectorTest() {
    options_.page_size = 2;
    fresh();
    now_ -= 1s;
  }

  void fresh() { reflector_.emplace(7, collection_, options_, recorder_, now_); }

  // Waits until the next request is due and makes it; its target.
  std::string next() {
    EXPECT_TRUE(reflector_->due());
    waited_ = reflector_->due().value_or(now_) - now_;
    now_ += std::max(waited_, std::chrono::steady_clock::duration(0));
    std::string target = reflector_->begin(now_, 0.5).target;
    EXPECT_FALSE(reflector_->due());
    return target;
  }

  // Answers the request under way, whole.
  void answer(int status, const std::string& body, Outcome outcome = {.complete = true}) {
    outcome.status = status;
    for (size_t at = 0; at < body.size(); at += step_) {
      if (!reflector_->on_body(status, std::string_view(body).substr(at, step_))) {
        outcome.complete = false;
        outcome.failure = "ended by us";
        break;
      }
    }
    reflector_->end(outcome, now_, 0.5);
  }

  void cut(int status, const std::string& body) { answer(status, body, {.failure = "cut"}); }

  // Listed, and the first watch is under way.
  void to_watch() {
    next();
    answer(200, list(object("a", 3), 10));
    EXPECT_THAT(next(), HasSubstr("watch=1"));
    recorder_.lines.clear();
  }

  [[nodiscard]] double waited() const { return std::chrono::duration<double>(waited_).count(); }

  ApiServerOptions options_;
  Collection collection_{"pods", "/api/v1/pods", "", "", false};
  ::zerospan::k8s::testing::Recorder recorder_;
  TimePoint now_{1000s};
  std::chrono::steady_clock::duration waited_{};
  size_t step_ = 1'000'000;
  std::optional<Reflector> reflector_;
};

TEST_F(ReflectorTest, ListsThenWatches) {
  EXPECT_EQ(next(), "/api/v1/pods?limit=2&resourceVersion=0&resourceVersionMatch=NotOlderThan");
  EXPECT_EQ(waited(), 1);
  EXPECT_FALSE(reflector_->counters().synced);
  answer(200, list(object("a", 3) + "," + object("b", 4), 10));
  EXPECT_TRUE(reflector_->counters().synced);
  EXPECT_EQ(next(),
            "/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion=10&timeoutSeconds=450");
  EXPECT_EQ(waited(), 0);
  now_ += 300s;
  answer(200, event("ADDED", "c", 11) + event("MODIFIED", "a", 12) + event("DELETED", "b", 13));
  EXPECT_THAT(recorder_.lines, ElementsAre("begin", "object a@3", "object b@4", "end",
                                           "object c@11", "object a@12", "deleted b@13"));
  EXPECT_THAT(next(), HasSubstr("resourceVersion=13&"));  // no list in between
  EXPECT_EQ(waited(), 0);
  EXPECT_EQ(reflector_->counters().lists, 1);
  EXPECT_EQ(reflector_->counters().watches, 2);
  EXPECT_EQ(reflector_->counters().objects, 4);
  EXPECT_EQ(reflector_->counters().deleted, 1);
}

TEST_F(ReflectorTest, SelectorsAndMetadataOnly) {
  collection_ = {"sets", "/apis/apps/v1/replicasets", "spec.nodeName=n 1", "a in (b),c!=d", true};
  const Reflector::Request listing = reflector_->begin(now_, 0);
  EXPECT_THAT(listing.target, HasSubstr("?fieldSelector=spec.nodeName%3Dn%201&"
                                        "labelSelector=a%20in%20%28b%29%2Cc%21%3Dd&limit=2"));
  EXPECT_EQ(listing.accept,
            "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
  EXPECT_FALSE(listing.watch);
  answer(200, list("", 5));
  const Reflector::Request watch = reflector_->begin(now_, 0.999);
  EXPECT_EQ(watch.accept, "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  EXPECT_TRUE(watch.watch);
  EXPECT_THAT(watch.target, HasSubstr("timeoutSeconds=599"));
}

TEST_F(ReflectorTest, Pages) {
  next();
  answer(200, list(object("a", 1) + "," + object("b", 2), 10, "t/1"));
  EXPECT_FALSE(reflector_->counters().synced);
  EXPECT_EQ(next(), "/api/v1/pods?limit=2&continue=t%2F1");
  answer(200, list(object("c", 3), 10));
  EXPECT_THAT(recorder_.lines,
              ElementsAre("begin", "object a@1", "object b@2", "object c@3", "end"));
  EXPECT_EQ(reflector_->counters().lists, 1);
  EXPECT_EQ(reflector_->counters().pages, 2);
}

TEST_F(ReflectorTest, ContinueTokenExpires) {
  next();
  answer(200, list(object("a", 1), 10, "t"));
  next();
  answer(410, R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})");
  EXPECT_EQ(next(), "/api/v1/pods?limit=2");  // the newest, from the start
  EXPECT_GE(waited(), 0.4);
  answer(200, list(object("b", 2), 20));
  EXPECT_THAT(recorder_.lines, ElementsAre("begin", "object a@1", "begin", "object b@2", "end"));
  EXPECT_EQ(reflector_->counters().relists_gone, 1);
}

TEST_F(ReflectorTest, APageThatIsCutIsAskedForAgain) {
  next();
  const std::string first = list(object("a", 1) + "," + object("b", 2), 10, "t");
  cut(200, first.substr(0, first.size() - 20));
  EXPECT_THAT(next(), HasSubstr("resourceVersion=0"));
  answer(200, list(object("b", 2), 11, "t"));
  EXPECT_THAT(next(), HasSubstr("continue=t"));
  cut(200, list(object("c", 3), 11).substr(0, 70));
  EXPECT_THAT(next(), HasSubstr("continue=t"));
  answer(200, list(object("c", 3), 11));
  EXPECT_THAT(recorder_.lines,
              // What the first try told may be gone by now: it begins anew.
              ElementsAre("begin", "object a@1", HasSubstr("error "), "begin", "object b@2",
                          HasSubstr("error "), "object c@3", "end"));
}

TEST_F(ReflectorTest, APageThatIsWholeIsTakenHoweverItsConnectionEnded) {
  next();
  cut(200, list(object("a", 1), 10));
  EXPECT_THAT(recorder_.lines, ElementsAre("begin", "object a@1", "end"));
}

TEST_F(ReflectorTest, AnySplitOfTheBytes) {
  const std::string page = list(object("a", 1) + "," + object("b", 2), 10);
  const std::string events =
      event("ADDED", "c", 11) + kBookmark + event("DELETED", "a", 901) + kExpired;
  std::vector<std::string> whole;
  for (step_ = events.size(); step_ > 0; --step_) {
    recorder_.lines.clear();
    fresh();
    next();
    answer(200, page);
    next();
    answer(200, events);
    if (whole.empty()) {
      whole = recorder_.lines;
      EXPECT_THAT(whole, ElementsAre("begin", "object a@1", "object b@2", "end", "object c@11",
                                     "deleted a@901"));
    }
    ASSERT_EQ(recorder_.lines, whole) << step_;
  }
}

TEST_F(ReflectorTest, AWatchThatIsCutLosesNothing) {
  to_watch();
  const std::string events = event("ADDED", "b", 11) + event("ADDED", "c", 12);
  cut(200, events.substr(0, events.size() - 5));
  EXPECT_THAT(recorder_.lines, ElementsAre("object b@11", HasSubstr("error ")));
  EXPECT_THAT(next(), HasSubstr("watch=1"));
  EXPECT_GE(waited(), 0.4);
  EXPECT_LE(waited(), 0.8);
  reflector_->end({.status = 0, .failure = "refused"}, now_, 0.5);
  EXPECT_THAT(next(), HasSubstr("resourceVersion=11&"));
}

TEST_F(ReflectorTest, CutsAfterProgressDoNotAddUp) {
  to_watch();
  for (int i = 11; i < 20; ++i) {
    cut(200, event("MODIFIED", "a", i));
    next();
    EXPECT_EQ(waited(), 0.6);
  }
}

TEST_F(ReflectorTest, CutBetweenEventsWithoutATransportError) {
  to_watch();
  answer(200, event("ADDED", "b", 11).substr(0, 20));  // complete as HTTP goes
  EXPECT_THAT(recorder_.lines, ElementsAre(HasSubstr("was cut")));
  EXPECT_THAT(next(), HasSubstr("resourceVersion=10&"));
}

TEST_F(ReflectorTest, Bookmarks) {
  to_watch();
  now_ += 100s;
  answer(200, kBookmark);
  EXPECT_THAT(recorder_.lines, IsEmpty());
  EXPECT_EQ(reflector_->counters().bookmarks, 1);
  EXPECT_THAT(next(), HasSubstr("resourceVersion=900&"));
}

TEST_F(ReflectorTest, GoneInTheStream) {
  to_watch();
  answer(200, event("ADDED", "b", 11) + kExpired + event("ADDED", "c", 12));
  EXPECT_THAT(recorder_.lines, ElementsAre("object b@11"));
  EXPECT_EQ(next(), "/api/v1/pods?limit=2&resourceVersion=11&resourceVersionMatch=NotOlderThan");
  EXPECT_GE(waited(), 0.4);
  EXPECT_EQ(reflector_->counters().relists_gone, 1);
  answer(410, "{}");
  EXPECT_EQ(next(), "/api/v1/pods?limit=2");
}

TEST_F(ReflectorTest, GoneAsAStatus) {
  to_watch();
  answer(410, "{}");
  EXPECT_THAT(next(), Not(HasSubstr("watch=1")));
  EXPECT_EQ(reflector_->counters().relists_gone, 1);
  EXPECT_THAT(recorder_.lines, IsEmpty());
}

// Listed well, gone at once, again and again.
TEST_F(ReflectorTest, GoneForEverIsNotABusyLoop) {
  double last = 0;
  for (int i = 0; i < 8; ++i) {
    next();
    answer(200, list("", 10));
    next();
    answer(200, kExpired);
    next();
    EXPECT_GE(waited(), last);
    last = waited();
    answer(500, "");
  }
  EXPECT_EQ(last, 22.5);  // 30 s, of which half and half of the other half
}

TEST_F(ReflectorTest, OtherErrorsInTheStream) {
  to_watch();
  answer(200, R"({"type":"ERROR","object":{"code":500,"message":"etcd is\naway"}})");
  EXPECT_THAT(recorder_.lines, ElementsAre(HasSubstr("(500): etcd is?away")));
  EXPECT_THAT(next(), HasSubstr("watch=1"));
  answer(200, R"({"type":"ERROR","object":{"code":403}})");
  EXPECT_THAT(next(), Not(HasSubstr("watch=1")));
}

TEST_F(ReflectorTest, TooLargeVersion) {
  to_watch();
  answer(200, event("ADDED", "b", 11) + kExpired);
  EXPECT_THAT(next(), HasSubstr("resourceVersion=11"));
  answer(504, R"({"message":"Too large resource version: 11, current: 5"})");
  EXPECT_EQ(next(), "/api/v1/pods?limit=2");  // etcd was restored from a copy
}

TEST_F(ReflectorTest, BacksOffAndForgets) {
  next();
  std::vector<double> waits;
  for (int i = 0; i < 8; ++i) {
    reflector_->end({.status = 0, .failure = "refused"}, now_, 0.5);
    next();
    waits.push_back(waited());
  }
  EXPECT_THAT(waits, ElementsAre(0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 22.5, 22.5));
  answer(200, list("", 10));
  next();
  now_ += 10s;
  answer(200, event("ADDED", "a", 11));
  next();
  cut(200, "");
  next();
  EXPECT_EQ(waited(), 0.6);
}

TEST_F(ReflectorTest, BackoffIsBounded) {
  EXPECT_EQ(backoff(options_, 1, 0), 400ms);
  EXPECT_EQ(backoff(options_, 1'000'000'000, 0.999999), 29999ms);
}

TEST_F(ReflectorTest, RetryAfter) {
  next();
  answer(429, R"({"message":"slow down"})", {.complete = true, .retry_after = 7s});
  next();
  EXPECT_EQ(waited(), 7.6);  // and a random part, for others were told the same
  answer(503, "", {.complete = true, .retry_after = 999'999s});
  next();
  EXPECT_EQ(waited(), 121.2);
  EXPECT_THAT(recorder_.lines, ElementsAre(HasSubstr("(429): slow down"), HasSubstr("(503)")));
}

TEST_F(ReflectorTest, WatchesAreNotBegunMoreOftenThanOnceASecond) {
  to_watch();
  for (int i = 11; i < 20; ++i) {
    answer(200, event("MODIFIED", "a", i));
    next();
    EXPECT_EQ(waited(), 1);
  }
  answer(200, "");  // and nothing at all is a failure
  EXPECT_THAT(recorder_.lines.back(), HasSubstr("at once"));
  next();
  answer(200, "");
  next();
  EXPECT_EQ(waited(), 1.2);
  now_ += 2s;
  answer(200, "");  // the server ended it as it may
  next();
  EXPECT_EQ(waited(), 0);
}

TEST_F(ReflectorTest, Refusals) {
  next();
  answer(403, R"({"message":"User \"x\" cannot list resource \"pods\""})");
  EXPECT_THAT(recorder_.lines.back(),
              AllOf(HasSubstr("forbids to list pods (403): User \"x\" cannot list"),
                    HasSubstr("ClusterRole")));
  next();
  answer(401, "Unauthorized");
  EXPECT_THAT(recorder_.lines.back(), HasSubstr("(401): Unauthorized"));
  next();
  answer(404, "404 page not found\n");
  EXPECT_THAT(recorder_.lines.back(), HasSubstr("(404)"));
  EXPECT_THAT(next(), HasSubstr("resourceVersion=0"));
  answer(200, list("", 10));
  for (const int status : {401, 403, 429, 500, 503}) {
    EXPECT_THAT(next(), HasSubstr("watch=1"));
    answer(status, "{}");
  }
  EXPECT_THAT(next(), HasSubstr("resourceVersion=10&"));
  answer(400, "{}");  // the version is nothing that the server knows
  EXPECT_THAT(next(), Not(HasSubstr("watch=1")));
}

TEST_F(ReflectorTest, SilenceIsCountedAndResumed) {
  to_watch();
  (void)reflector_->on_body(200, event("ADDED", "b", 11));
  now_ += 240s;
  reflector_->end({.status = 200, .silent = true, .failure = "was silent"}, now_, 0.5);
  EXPECT_EQ(reflector_->counters().silent, 1);
  EXPECT_THAT(next(), HasSubstr("resourceVersion=11&"));
  EXPECT_LE(waited(), 0.8);
}

TEST_F(ReflectorTest, WhatIsNotAnObjectOfTheApi) {
  next();
  answer(200, list(R"(1,"x",{},{"metadata":{"name":"n"}},{"metadata":{"name":"n","uid":1}},)" +
                       object("a", 1),
                   10));
  EXPECT_THAT(recorder_.lines, ElementsAre("begin", "object a@1", "end"));
  EXPECT_EQ(reflector_->counters().skipped_objects, 5);
  next();
  answer(200, R"({"type":"ADDED","object":{}}{"type":"NEWS","object":{}}{"type":"ADDED"}{})" +
                  event("ADDED", "b", 11));
  EXPECT_EQ(recorder_.lines.back(), "object b@11");
  EXPECT_EQ(reflector_->counters().skipped_objects, 6);
  EXPECT_EQ(reflector_->counters().unknown_events, 3);
}

TEST_F(ReflectorTest, TooLargeAndTooDeepAreSkipped) {
  options_.max_object_bytes = 300;
  options_.max_decoded_bytes = 2000;
  fresh();
  next();
  answer(200, list("{\"x\":\"" + std::string(300, 'x') + "\"}," + std::string(70, '[') +
                       std::string(70, ']') + "," + object("a", 1),
                   10));
  EXPECT_THAT(recorder_.lines, ElementsAre("begin", "object a@1", "end"));
  EXPECT_EQ(reflector_->counters().skipped_objects, 2);
}

TEST_F(ReflectorTest, BrokenAnswers) {
  for (const char* body :
       {"<html>", "[]", "{}", R"({"metadata":{},"items":[]})", R"({"metadata":7})",
        R"({"metadata":{"resourceVersion":"1"},"items":[{"a"}]})", ""}) {
    next();
    answer(200, body);
    EXPECT_THAT(recorder_.lines.back(), HasSubstr("error ")) << body;
    EXPECT_FALSE(reflector_->counters().synced);
    EXPECT_THAT(recorder_.lines, Not(::testing::Contains("end")));
  }
  next();
  answer(200, list("", 1, std::string(9000, 't')));
  EXPECT_THAT(next(), HasSubstr("resourceVersion=0"));
  answer(200, list("", 1, "t"));
  next();
  answer(200, list("", 1, "t"));  // the same page for ever
  EXPECT_THAT(recorder_.lines.back(), HasSubstr("same page"));
  EXPECT_THAT(next(), HasSubstr("resourceVersion=0"));
}

TEST_F(ReflectorTest, ABrokenWatchIsListedAnew) {
  to_watch();
  answer(200, event("ADDED", "b", 11) + "{\"type\":nonsense}");
  EXPECT_THAT(next(), HasSubstr("limit=2&resourceVersion=11"));
  EXPECT_THAT(recorder_.lines, ElementsAre("object b@11", HasSubstr("not JSON")));
}

TEST_F(ReflectorTest, LongErrorBodiesAreNotRead) {
  next();
  EXPECT_TRUE(reflector_->on_body(500, std::string(10'000, 'x')));
  EXPECT_FALSE(reflector_->on_body(500, std::string(10'000, 'x')));
  reflector_->end({.status = 500}, now_, 0.5);
  EXPECT_LT(recorder_.lines.back().size(), 600);
}

}  // namespace
}  // namespace zerospan::k8s
