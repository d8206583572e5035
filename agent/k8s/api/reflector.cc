// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/reflector.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/k8s/api/decode.h"

namespace zerospan::k8s {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kGone = 410;
constexpr int kTooManyRequests = 429;
constexpr int kTimeout = 504;

// A watch that lives shorter and brings nothing is a failure.
constexpr std::chrono::seconds kShortWatch{1};
// Failures further back than this are forgotten.
constexpr std::chrono::seconds kSettled{60};
constexpr std::chrono::seconds kLongestRetryAfter{120};
constexpr size_t kMaxErrorBody = 16U << 10U;
constexpr size_t kMaxErrorText = 400;
constexpr size_t kMaxToken = 8U << 10U;  // of versions and pages; they go into URLs

// RFC 3986, a value in a query.
void append_parameter(std::string& target, std::string_view name, std::string_view value) {
  target += target.find('?') == std::string::npos ? '?' : '&';
  target += name;
  target += '=';
  for (const char c : value) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
        c == '.' || c == '_' || c == '~') {
      target += c;
    } else {
      target += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

// The server's words, fit for a line of a log.
std::string printable(std::string_view text) {
  std::string line(text.substr(0, kMaxErrorText));
  for (char& c : line) {
    if (c < ' ' || c == 0x7F) {  // what is not ASCII may have been cut too
      c = '?';
    }
  }
  return line;
}

int status_code_of(const json& object) {
  const auto found = object.find("code");
  return found != object.end() && found->is_number_integer() && found->get<int64_t>() > 0 &&
                 found->get<int64_t>() < 1000
             ? found->get<int>()
             : 0;
}

}  // namespace

milliseconds backoff(const ApiServerOptions& options, unsigned failures, double random) {
  milliseconds interval = options.min_backoff;
  for (unsigned i = 1; i < failures && interval < options.max_backoff; ++i) {
    interval *= 2;
  }
  interval = std::min(interval, options.max_backoff);
  return milliseconds(
      static_cast<int64_t>(static_cast<double>(interval.count()) * (0.5 + random / 2)));
}

Error error_of_status(int status, std::string_view body, std::string_view what) {
  std::string said;
  if (const auto decoded = decode(body, kMaxErrorBody * 8); decoded) {
    said = printable(string_at(*decoded, "message"));
  } else {
    said = printable(body);
  }
  const std::string_view separator = said.empty() ? "" : ": ";
  switch (status) {
    case kUnauthorized:
      return {ErrorCode::kPermission,
              fmt::format("the API server does not accept the credentials to {} (401){}{}; the "
                          "token's file is read again",
                          what, separator, said)};
    case kForbidden:
      return {ErrorCode::kPermission,
              fmt::format("the API server forbids to {} (403){}{}; grant the verbs get, list and "
                          "watch by a ClusterRole that is bound to this service account",
                          what, separator, said)};
    case kNotFound:
      return {ErrorCode::kNotFound, fmt::format("the API server has nothing there to {} (404){}{}",
                                                what, separator, said)};
    default:
      return {ErrorCode::kUnavailable,
              fmt::format("the API server refused to {} ({}){}{}", what, status, separator, said)};
  }
}

std::string_view accept_header(bool metadata_only, bool list) {
  if (!metadata_only) {
    return "Accept: application/json";
  }
  return list ? "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
              : "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
}

Reflector::Reflector(size_t index, const Collection& collection, const ApiServerOptions& options,
                     Observer& observer, TimePoint first)
    : index_(index), collection_(collection), options_(options), observer_(observer), due_(first) {}

std::optional<TimePoint> Reflector::due() const {
  return running_ ? std::nullopt : std::optional(due_);
}

std::string Reflector::describe(const char* verb) const {
  return fmt::format("{} {}", verb, collection_.name);
}

Reflector::Request Reflector::begin(TimePoint now, double random) {
  running_ = true;
  began_ = now;
  progress_ = told_begin_ = has_metadata_ = false;
  stop_.reset();
  error_body_.clear();
  page_version_.clear();
  page_continue_.clear();
  splitter_.emplace(watching_ ? JsonSplitter::Shape::kStream : JsonSplitter::Shape::kList,
                    options_.max_object_bytes);
  Request request{collection_.path, accept_header(collection_.metadata_only, !watching_),
                  watching_};
  std::string& target = request.target;
  if (!collection_.field_selector.empty()) {
    append_parameter(target, "fieldSelector", collection_.field_selector);
  }
  if (!collection_.label_selector.empty()) {
    append_parameter(target, "labelSelector", collection_.label_selector);
  }
  if (watching_) {
    ++counters_.watches;
    append_parameter(target, "watch", "1");
    append_parameter(target, "allowWatchBookmarks", "true");
    append_parameter(target, "resourceVersion", version_);
    const auto spread = static_cast<double>((options_.max_watch - options_.min_watch).count());
    const auto seconds = options_.min_watch.count() + static_cast<int64_t>(spread * random);
    append_parameter(target, "timeoutSeconds", fmt::to_string(seconds));
    return request;
  }
  ++counters_.pages;
  append_parameter(target, "limit", fmt::to_string(options_.page_size));
  if (!continue_.empty()) {
    append_parameter(target, "continue", continue_);
  } else {
    ++counters_.lists;
    if (!version_.empty()) {
      // From the server's cache, if that is at least as new as what was seen: no load on etcd.
      append_parameter(target, "resourceVersion", version_);
      append_parameter(target, "resourceVersionMatch", "NotOlderThan");
    }
  }
  return request;
}

bool Reflector::on_body(int status, std::string_view bytes) {
  if (status != kOk) {
    error_body_ += bytes.substr(0, kMaxErrorBody - error_body_.size());
    return error_body_.size() < kMaxErrorBody;
  }
  // Told again when a first page comes a second time: what it had before may be gone now.
  if (!watching_ && continue_.empty() && !told_begin_) {
    told_begin_ = true;
    observer_.on_list_begin(index_);
  }
  while (!stop_) {
    const auto piece = splitter_->next(bytes);
    if (!piece) {
      return true;
    }
    if (!on_piece(*piece)) {
      break;
    }
  }
  return false;
}

bool Reflector::stop(ErrorCode code, std::string message, int status) {
  stop_ = Stop{{code, std::move(message)}, status};
  return false;
}

bool Reflector::on_piece(const JsonSplitter::Piece& piece) {
  switch (piece.part) {
    case JsonSplitter::Part::kValue:
      return on_event(piece.json);
    case JsonSplitter::Part::kItem:
      return on_item(piece.json);
    case JsonSplitter::Part::kMetadata:
      return on_list_metadata(piece.json);
    case JsonSplitter::Part::kTooLong:
      ++counters_.skipped_objects;
      return true;
    case JsonSplitter::Part::kMalformed:
      break;
  }
  return stop(ErrorCode::kMalformed,
              fmt::format("what answers the request to {} does not speak the API's JSON; is the "
                          "URL the API server's?",
                          describe(watching_ ? "watch" : "list")));
}

bool Reflector::on_list_metadata(std::string_view text) {
  const auto decoded = decode(text, options_.max_decoded_bytes);
  if (!decoded) {
    return stop(ErrorCode::kMalformed, decoded.error().message);
  }
  page_version_ = string_at(*decoded, "resourceVersion");
  page_continue_ = string_at(*decoded, "continue");
  has_metadata_ = page_version_.size() <= kMaxToken && page_continue_.size() <= kMaxToken;
  return true;
}

bool Reflector::usable(const json& object) {
  if (string_at(object, "metadata", "name").empty() ||
      string_at(object, "metadata", "uid").empty()) {
    ++counters_.skipped_objects;
    return false;
  }
  return true;
}

bool Reflector::on_item(std::string_view text) {
  const auto object = decode(text, options_.max_decoded_bytes);
  if (!object) {
    if (object.error().code == ErrorCode::kMalformed) {
      return stop(ErrorCode::kMalformed, object.error().message);
    }
    ++counters_.skipped_objects;
  } else if (usable(*object)) {
    ++counters_.objects;
    observer_.on_object(index_, *object);
  }
  return true;
}

bool Reflector::on_event(std::string_view text) {
  const auto event = decode(text, options_.max_decoded_bytes);
  if (!event) {
    if (event.error().code == ErrorCode::kMalformed) {
      return stop(ErrorCode::kMalformed, event.error().message);
    }
    ++counters_.skipped_objects;
    return true;
  }
  const std::string type = string_at(*event, "type");
  const auto object = event->find("object");
  if (object == event->end() || !object->is_object()) {
    ++counters_.unknown_events;
    return true;
  }
  if (type == "ERROR") {
    const int status = status_code_of(*object);
    return stop(ErrorCode::kUnavailable,
                fmt::format("the API server ended the request to {} ({}): {}", describe("watch"),
                            status, printable(string_at(*object, "message"))),
                status);
  }
  std::string version = string_at(*object, "metadata", "resourceVersion");
  if (type == "BOOKMARK") {
    ++counters_.bookmarks;
  } else if (type != "ADDED" && type != "MODIFIED" && type != "DELETED") {
    ++counters_.unknown_events;
    return true;
  } else if (!usable(*object)) {
    return true;
  } else if (type == "DELETED") {
    ++counters_.deleted;
    observer_.on_deleted(index_, *object);
  } else {
    ++counters_.objects;
    observer_.on_object(index_, *object);
  }
  if (!version.empty() && version.size() <= kMaxToken) {
    version_ = std::move(version);
  }
  progress_ = true;
  return true;
}

void Reflector::report(const Error& error) {
  ++counters_.errors;
  observer_.on_error(index_, error);
}

void Reflector::relist(bool newest) {
  watching_ = false;
  continue_.clear();
  if (newest) {
    version_.clear();
  }
}

void Reflector::fail_until(const Outcome& outcome, TimePoint now, double random) {
  failures_ = now - began_ >= kSettled ? 1 : failures_ + 1;
  due_ = now + backoff(options_, failures_, random) +
         std::clamp<std::chrono::seconds>(outcome.retry_after.value_or(std::chrono::seconds(0)),
                                          std::chrono::seconds(0), kLongestRetryAfter);
}

void Reflector::end(const Outcome& outcome, TimePoint now, double random) {
  running_ = false;
  counters_.silent += outcome.silent ? 1 : 0;
  if (watching_) {
    end_watch(outcome, now, random);
  } else {
    end_list(outcome, now, random);
  }
  splitter_.reset();
}

void Reflector::end_list(const Outcome& outcome, TimePoint now, double random) {
  const std::string what = describe("list");
  if (stop_ && outcome.status == kOk) {
    report(stop_->error);
    relist(false);
  } else if (outcome.status != kOk) {
    // What a version or a page's token asked for is gone, or the server has not got there yet.
    const bool gone = outcome.status == kGone;
    if (gone || outcome.status == kBadRequest ||
        (outcome.status == kTimeout && continue_.empty())) {
      counters_.relists_gone += gone ? 1 : 0;
      relist(true);
    }
    if (!gone) {
      report(outcome.status != 0 ? error_of_status(outcome.status, error_body_, what)
                                 : Error{ErrorCode::kUnavailable,
                                         fmt::format("cannot {}: {}", what, outcome.failure)});
    }
  } else if (!splitter_->complete()) {
    // The same page is asked for again: its objects may come twice.
    report({ErrorCode::kUnavailable,
            fmt::format("the answer to the request to {} was cut: {}", what, outcome.failure)});
  } else if (!has_metadata_ || page_version_.empty() ||
             (!page_continue_.empty() && page_continue_ == continue_)) {
    report({ErrorCode::kMalformed,
            fmt::format("the answer to the request to {} has no version, or the same page again; "
                        "is the URL the API server's?",
                        what)});
    relist(false);
  } else {
    continue_ = page_continue_;
    due_ = now;
    if (continue_.empty()) {
      version_ = page_version_;
      counters_.synced = true;
      watching_ = true;
      observer_.on_list_end(index_);
    }
    return;
  }
  fail_until(outcome, now, random);
}

void Reflector::end_watch(const Outcome& outcome, TimePoint now, double random) {
  if (progress_) {
    failures_ = 0;
  }
  if (outcome.status == kOk && !stop_ && outcome.complete && splitter_->complete() &&
      (progress_ || now - began_ >= kShortWatch)) {
    failures_ = 0;
    due_ = std::max(now, began_ + kShortWatch);  // no more than one a second
    return;
  }
  const std::string what = describe("watch");
  if (outcome.status == kOk && stop_) {
    const int status = stop_->status;
    if (status == kGone) {
      ++counters_.relists_gone;
      relist(false);
    } else {
      report(stop_->error);
      if (status != kTooManyRequests && status < 500) {
        relist(false);
      }
    }
  } else if (outcome.status == kOk) {
    // Resumed from the last whole event.
    if (!outcome.complete || !splitter_->complete()) {
      report({ErrorCode::kUnavailable,
              fmt::format("the request to {} was cut: {}", what, outcome.failure)});
    } else {
      report({ErrorCode::kUnavailable,
              fmt::format("the API server ended the request to {} at once", what)});
    }
  } else if (outcome.status == kGone) {
    ++counters_.relists_gone;
    relist(false);
  } else if (outcome.status == 0) {
    report({ErrorCode::kUnavailable, fmt::format("cannot {}: {}", what, outcome.failure)});
  } else {
    report(error_of_status(outcome.status, error_body_, what));
    if (outcome.status == kBadRequest || outcome.status == kNotFound) {
      relist(false);
    }
  }
  fail_until(outcome, now, random);
}

}  // namespace zerospan::k8s
