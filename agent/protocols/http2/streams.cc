// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/http2/streams.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::http2 {
namespace {

constexpr uint32_t kRefusedStream = 7;  // section 7

auto by_id(std::vector<std::unique_ptr<Stream>>& streams, uint32_t id) {
  return std::lower_bound(
      streams.begin(), streams.end(), id,
      [](const std::unique_ptr<Stream>& stream, uint32_t wanted) { return stream->id < wanted; });
}

// Makes it new, keeping the buffers that the sink left in it.
void renew(Stream& stream) {
  model::HttpExchange& http = stream.http();
  http.method.clear();
  http.target.clear();
  http.scheme.clear();
  http.request_headers.clear();
  http.response_headers.clear();
  http.status = 0;
  http.request_body_size = http.response_body_size = 0;
  http.request_body_size_exact = http.response_body_size_exact = true;
  http.upgraded = false;
  http.reset.reset();
  http.grpc.reset();

  model::Exchange& exchange = stream.exchange;
  exchange.sequence = 0;
  exchange.request_start_ns = exchange.request_end_ns = 0;
  exchange.response_start_ns = exchange.response_end_ns = 0;
  exchange.request_id = 0;
  exchange.evidence = model::Evidence::kNone;
  exchange.batch_index = exchange.thread_id = 0;
  exchange.outcome = model::Outcome::kComplete;
  exchange.incomplete = model::kIncompleteNone;
  stream.request_seen = stream.request_done = false;
  stream.response_begun = stream.response_done = false;
  stream.suspect = stream.response_lost = false;
  stream.field_bytes = 0;
  stream.requests.clear();
  stream.responses.clear();
}

}  // namespace

Stream* Streams::find(uint32_t id) {
  // The newest is asked for most often.
  if (!open_.empty() && open_.back()->id == id) {
    return open_.back().get();
  }
  const auto found = by_id(open_, id);
  return found != open_.end() && (*found)->id == id ? found->get() : nullptr;
}

Stream& Streams::open(uint32_t id, uint64_t now_ns, ExchangeSink& sink) {
  if (open_.size() >= limits_.max_streams ||
      (field_bytes_ >= limits_.max_memory_bytes && !open_.empty())) {
    ++counters_->limits_hit;
    const auto quietest =
        std::min_element(open_.begin(), open_.end(),
                         [](const auto& a, const auto& b) { return a->last_ns < b->last_ns; });
    give_up(**quietest, sink);
  }
  std::unique_ptr<Stream> stream = std::move(spare_);
  if (stream == nullptr) {
    stream = std::make_unique<Stream>();
    stream->http().version_major = 2;
    stream->http().version_minor = 0;
  }
  stream->id = id;
  stream->last_ns = now_ns;
  ++unrequested_;
  return **open_.insert(by_id(open_, id), std::move(stream));
}

void Streams::adopt(UpgradedRequest&& request) {
  auto stream = std::make_unique<Stream>();
  stream->id = 1;
  stream->request_seen = stream->request_done = true;
  stream->last_ns = request.exchange.request_end_ns;
  stream->exchange = std::move(request.exchange);
  model::HttpExchange& http = stream->http();
  http.version_major = 2;
  http.version_minor = 0;
  next_sequence_ = request.next_sequence;
  charge(*stream, http.request_headers.raw().size() + http.target.size());
  open_.push_back(std::move(stream));
}

void Streams::announce(Stream& stream, model::Role role, ExchangeSink& sink) {
  model::Exchange& exchange = stream.exchange;
  stream.request_seen = true;
  --unrequested_;
  exchange.sequence = next_sequence_++;
  exchange.role = role;
  if (role == model::Role::kServer) {
    const bool same = exchange.request_id != 0 && exchange.request_id == last_request_id_;
    batch_index_ = same ? batch_index_ + 1 : 0;
    last_request_id_ = exchange.request_id;
    exchange.batch_index = batch_index_;
  }
  RequestStart start = request_start(exchange);
  start.stream_id = stream.id;
  sink.on_request(start);
}

void Streams::charge(Stream& stream, size_t bytes) {
  stream.field_bytes += bytes;
  field_bytes_ += bytes;
}

void Streams::settle(Stream& stream, ExchangeSink& sink) {
  if (!stream.response_done || !stream.request_seen) {
    return;
  }
  if (stream.request_done) {
    emit(stream, sink);
    return;
  }
  ++waiting_;
  next_expiry_ns_ = std::min(next_expiry_ns_, stream.last_ns + limits_.linger_ns);
}

void Streams::reset(Stream& stream, const model::StreamReset& reset, uint64_t time_ns,
                    ExchangeSink& sink) {
  if (!stream.response_done) {
    stream.exchange.outcome = model::Outcome::kReset;
    stream.http().reset = reset;
    stream.exchange.response_end_ns = time_ns;
  }
  stream.request_done = stream.response_done = true;
  settle(stream, sink);
}

void Streams::refuse_above(uint32_t last_id, uint64_t time_ns, ExchangeSink& sink) {
  for (size_t i = open_.size(); i > 0 && open_[i - 1]->id > last_id; --i) {
    Stream& stream = *open_[i - 1];
    if (!stream.response_begun && stream.request_seen) {
      reset(stream, {kRefusedStream, false}, time_ns, sink);
    }
  }
}

void Streams::drop_unrequested(uint32_t below_id) {
  for (size_t i = open_.size(); i > 0 && unrequested_ != 0; --i) {
    const Stream& stream = *open_[i - 1];
    if (!stream.request_seen && stream.id < below_id) {
      ++counters_->responses_without_request;
      remove(stream.id);
    }
  }
}

void Streams::lose(bool requests, uint64_t now_ns) {
  for (const std::unique_ptr<Stream>& stream : open_) {
    if (requests ? stream->request_done : stream->response_done) {
      continue;  // all of it was seen
    }
    stream->exchange.incomplete |= model::kGap;
    if (requests) {
      stream->requests.lose();
      stream->http().request_body_size_exact = false;
    } else {
      stream->responses.lose();
      stream->response_lost = true;
      stream->http().response_body_size_exact = false;
    }
    stream->suspect = true;
    ++waiting_;
    next_expiry_ns_ = std::min(next_expiry_ns_, now_ns + limits_.suspect_ns);
  }
}

void Streams::expire(uint64_t now_ns, ExchangeSink& sink) {
  if (waiting_ == 0 || now_ns < next_expiry_ns_) {
    return;
  }
  waiting_ = 0;
  next_expiry_ns_ = UINT64_MAX;
  for (size_t i = open_.size(); i > 0; --i) {
    Stream& stream = *open_[i - 1];
    const bool answered = stream.response_done && stream.request_seen;
    if (!answered && !stream.suspect) {
      continue;
    }
    const uint64_t expiry = stream.last_ns + (answered ? limits_.linger_ns : limits_.suspect_ns);
    if (now_ns < expiry) {
      ++waiting_;
      next_expiry_ns_ = std::min(next_expiry_ns_, expiry);
    } else if (answered) {
      emit(stream, sink);
    } else {
      give_up(stream, sink);
    }
  }
}

void Streams::close(model::Outcome interrupted, model::Outcome unanswered, uint32_t flags,
                    uint64_t time_ns, ExchangeSink& sink) {
  while (!open_.empty()) {
    Stream& stream = *open_.front();
    if (!stream.request_seen) {
      ++counters_->responses_without_request;
      remove(stream.id);
      continue;
    }
    if (!stream.response_done) {
      stream.exchange.incomplete |= flags;
      // Frames that were lost may have ended it in order.
      stream.exchange.outcome = stream.response_lost    ? model::Outcome::kComplete
                                : stream.response_begun ? interrupted
                                                        : unanswered;
      stream.exchange.response_end_ns = time_ns;
    }
    emit(stream, sink);
  }
}

// What ends nobody knows how: told as far as it was seen.
void Streams::give_up(Stream& stream, ExchangeSink& sink) {
  if (!stream.request_seen) {
    ++counters_->responses_without_request;
    remove(stream.id);
    return;
  }
  stream.exchange.incomplete |= model::kGap | model::kBodyEndUnknown;
  if (stream.exchange.response_end_ns == 0) {
    stream.exchange.response_end_ns = stream.last_ns;
  }
  emit(stream, sink);
}

void Streams::emit(Stream& stream, ExchangeSink& sink) {
  model::HttpExchange& http = stream.http();
  if (http.grpc) {
    http.grpc->requests = stream.requests.messages();
    http.grpc->responses = stream.responses.messages();
  }
  if (http.status == 0) {
    ++counters_->requests_without_response;
  }
  ++counters_->exchanges;
  sink.on_exchange(std::move(stream.exchange));
  remove(stream.id);
}

void Streams::remove(uint32_t id) {
  const auto found = by_id(open_, id);
  field_bytes_ -= (*found)->field_bytes;
  unrequested_ -= (*found)->request_seen ? 0 : 1;
  if (spare_ == nullptr) {
    spare_ = std::move(*found);
    renew(*spare_);
  }
  open_.erase(found);
}

size_t Streams::memory_bytes() const {
  return open_.size() * (sizeof(Stream) + sizeof(void*)) + field_bytes_;
}

}  // namespace zerospan::protocols::http2
