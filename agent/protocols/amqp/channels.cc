// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Methods to messages: what frames mean to the channel that they are of.

#include "agent/protocols/amqp/connection.h"

#include <algorithm>
#include <utility>

namespace zerospan::protocols::amqp {
namespace {

constexpr unsigned kReplySuccess = 200;

}  // namespace

Connection::Channel& Connection::channel(uint16_t number) {
  const auto found = channels_.find(number);
  if (found != channels_.end()) {
    return found->second;
  }
  if (channels_.size() >= options_.max_channels) {
    ++counters_->limits_hit;
    close_channel(channels_.begin()->first, model::Outcome::kComplete, model::kBodyEndUnknown);
  }
  return channels_[number];
}

void Connection::on_connection_method(bool client, uint32_t method, Reader& arguments) {
  if (method != kConnectionClose || client) {
    return;
  }
  const uint64_t code = arguments.read(2);
  if (!arguments.ok() || code == kReplySuccess) {
    return;
  }
  const std::string text = std::to_string(code);
  const bool waits = pending_ != 0;
  for (auto& [number, channel] : channels_) {
    fail_channel(channel, text);
  }
  if (!waits) {
    tell_server_close(
        "connection.close", text,
        side(role_ == model::Role::kServer ? model::Direction::kSend : model::Direction::kReceive)
            .begin);
  }
}

void Connection::on_client_method(Channel& c, Side& s, uint32_t method,
                                  std::string_view arguments) {
  Reader reader(arguments);
  switch (method) {
    case kChannelOpen:
      close_channel(s.channel, model::Outcome::kNoResponse, model::kIncompleteNone);
      {
        Channel& fresh = channel(s.channel);
        fresh.known = true;
        fresh.tags_whole = true;
      }
      return;
    case kChannelCloseOk:
      close_channel(s.channel, model::Outcome::kNoResponse, model::kIncompleteNone);
      return;
    case kBasicAck:
    case kBasicNack:
    case kBasicReject:
      on_settle(c, s, method, reader);
      return;
    case kBasicPublish: {
      reader.read(2);
      const std::string_view exchange = reader.read_short_string();
      const std::string_view routing_key = reader.read_short_string();
      if (c.contents[1]) {
        // Its end was lost, and nobody has noticed.
        c.contents[1]->incomplete |= model::kGap;
        end_content(c, true);
      }
      Content content;
      content.method = method;
      content.begin = s.begin;
      content.whole_at = s.first ? operations_ : 0;
      content.incomplete = s.gap ? model::kGap : model::kIncompleteNone;
      content.message.type = model::MessagingOperation::kSend;
      content.message.operation = "publish";
      content.message.routing_key = routing_key;
      if (reader.ok()) {
        content.message.destination = join_destination(exchange, routing_key, {});
      } else {
        content.incomplete |= model::kHeadTruncated;
      }
      c.contents[1] = std::move(content);
      return;
    }
    default:
      break;
  }
  if (auto call = read_call(method, arguments)) {
    on_call(c, s, method, std::move(*call));
  }
}

void Connection::on_server_method(Channel& c, Side& s, uint32_t method,
                                  std::string_view arguments) {
  Reader reader(arguments);
  switch (method) {
    case kChannelClose: {
      const uint64_t code = reader.read(2);
      if (!reader.ok() || code == kReplySuccess) {
        return;
      }
      const std::string text = std::to_string(code);
      const bool waits = !c.calls.empty() || !c.publishes.empty();
      fail_channel(c, text);
      if (!waits) {
        tell_server_close("channel.close", text, s.begin);
      }
      return;
    }
    case kChannelCloseOk:
      close_channel(s.channel, model::Outcome::kNoResponse, model::kIncompleteNone);
      return;
    case kBasicAck:
    case kBasicNack: {
      EarlyConfirm confirm;
      confirm.number = reader.read(8);
      confirm.multiple = (reader.read(1) & 1U) != 0;
      confirm.refused = method == kBasicNack;
      confirm.begin_ns = s.begin.time_ns;
      confirm.end_ns = op_.time_ns;
      if (reader.ok()) {
        on_confirm(c, confirm);
      }
      return;
    }
    case kBasicDeliver:
    case kBasicGetOk:
    case kBasicReturn: {
      if (c.contents[0]) {
        c.contents[0]->incomplete |= model::kGap;
        end_content(c, false);
      }
      Content content;
      content.method = method;
      content.begin = s.begin;
      content.incomplete = s.gap ? model::kGap : model::kIncompleteNone;
      model::MessagingExchange& message = content.message;
      std::string_view consumer;
      Consumer from;
      if (method == kBasicReturn) {
        content.error_code = std::to_string(reader.read(2));
        reader.read_short_string();
        message.operation = "return";
      } else {
        message.type = model::MessagingOperation::kReceive;
        message.operation = method == kBasicDeliver ? "deliver" : "get";
        consumer = method == kBasicDeliver ? reader.read_short_string() : std::string_view();
        message.delivery_tag = reader.read(8);
        reader.read(1);
        if (const auto found = c.consumers.find(std::string(consumer));
            method == kBasicDeliver && found != c.consumers.end()) {
          from = found->second;
        } else if (method == kBasicGetOk && !c.calls.empty() &&
                   c.calls.front().answer == kBasicGetOk) {
          from.queue =
              std::get<model::MessagingExchange>(c.calls.front().exchange->payload).destination;
          from.without_ack = c.calls.front().without_ack;
        }
      }
      const std::string_view exchange = reader.read_short_string();
      const std::string_view routing_key = reader.read_short_string();
      message.routing_key = routing_key;
      if (reader.ok()) {
        message.destination = join_destination(exchange, routing_key, from.queue);
      } else {
        content.incomplete |= model::kHeadTruncated;
      }
      if (message.delivery_tag && *message.delivery_tag != 0) {
        note_tag(c, *message.delivery_tag, !from.without_ack, message.destination);
      }
      c.contents[0] = std::move(content);
      return;
    }
    default:
      break;
  }
  const auto number = static_cast<uint16_t>(method & 0xffffU);
  if (number % 10 != 1 && method != kBasicGetEmpty) {
    return;
  }
  if (method >> 16U == 20) {
    return;
  }
  Answer answer;
  answer.method = method;
  answer.begin_ns = s.begin.time_ns;
  answer.end_ns = op_.time_ns;
  answer.incomplete = s.gap ? model::kGap : model::kIncompleteNone;
  if (method == kQueueDeclareOk || method == kBasicConsumeOk) {
    answer.queue = reader.read_short_string();
  }
  on_answer(c, std::move(answer));
}

void Connection::on_call(Channel& c, const Side& s, uint32_t method, Call&& call) {
  if (method == kConfirmSelect) {
    c.confirms = true;
    c.numbers_known = true;
    c.published = 0;
    c.missed = 0;
    c.settled_below = 0;
  }
  model::MessagingExchange message;
  message.operation = call.name;
  message.destination = std::move(call.queue);
  if (method == kBasicGet) {
    message.type = model::MessagingOperation::kReceive;
  }
  Pending pending;
  pending.exchange = make(s.begin, true, std::move(message), s.first ? operations_ : 0);
  pending.exchange->incomplete |= s.gap   ? model::kGap
                                  : s.cut ? model::kHeadTruncated
                                          : model::kIncompleteNone;
  pending.method = method;
  pending.answer = call.answer;
  pending.tag = std::move(call.tag);
  pending.without_ack = call.without_ack;
  auto& told = std::get<model::MessagingExchange>(pending.exchange->payload);
  if (method == kBasicConsume && !pending.tag.empty() &&
      c.consumers.size() < options_.max_consumers) {
    c.consumers[pending.tag] = {told.destination, pending.without_ack};
  } else if (method == kBasicCancel) {
    if (const auto found = c.consumers.find(pending.tag); found != c.consumers.end()) {
      told.destination = found->second.queue;
    }
  }
  if (!c.closed_by.empty()) {
    told.error_code = c.closed_by;
    pending.exchange->response_end_ns = op_.time_ns;
    tell(std::move(pending));
    return;
  }
  if (!call.answered) {
    pending.exchange->response_end_ns = op_.time_ns;
    tell(std::move(pending));
    return;
  }
  if (c.early_answer) {
    Answer answer = std::move(*c.early_answer);
    c.early_answer.reset();
    const bool fits =
        answer.method == pending.answer || (method == kBasicGet && answer.method == kBasicGetEmpty);
    if (fits && c.calls.empty() && answer.end_ns >= s.begin.departed_ns) {
      answer_call(c, std::move(pending), std::move(answer));
      return;
    }
    ++counters_->responses_without_request;
  }
  push(c.calls, std::move(pending));
}

void Connection::on_answer(Channel& c, Answer&& answer) {
  const bool fits = !c.calls.empty() &&
                    (c.calls.front().answer == answer.method ||
                     (c.calls.front().method == kBasicGet && answer.method == kBasicGetEmpty));
  if (fits) {
    answer_call(c, pop(c.calls, 0), std::move(answer));
    return;
  }
  // On a client another thread may have read it before the call was recorded.
  if (role_ == model::Role::kClient && c.calls.empty() && !c.early_answer) {
    c.early_answer = std::move(answer);
    return;
  }
  ++counters_->responses_without_request;
  c.doubt = true;
}

void Connection::answer_call(Channel& c, Pending&& pending, Answer&& answer) {
  model::Exchange& exchange = *pending.exchange;
  exchange.response_start_ns = answer.begin_ns;
  exchange.response_end_ns = std::max(answer.end_ns, exchange.request_start_ns);
  exchange.incomplete |= answer.incomplete | (c.doubt ? model::kGap : model::kIncompleteNone);
  if (c.calls.empty()) {
    c.doubt = false;
  }
  auto& messaging = std::get<model::MessagingExchange>(exchange.payload);
  if (answer.method == kBasicGetEmpty) {
    if (pending.announced) {
      tell(std::move(pending));
    } else {
      ++counters_->idle_polls;
    }
    return;
  }
  if (answer.method == kBasicGetOk) {
    std::string queue = std::move(messaging.destination);
    messaging = std::move(answer.message);
    messaging.system = model::MessagingSystem::kRabbitmq;
    if (messaging.destination.empty()) {
      messaging.destination = std::move(queue);
    }
  } else if (answer.method == kQueueDeclareOk && messaging.destination.empty()) {
    messaging.destination = std::move(answer.queue);
  } else if (answer.method == kBasicConsumeOk && pending.tag.empty() && !answer.queue.empty() &&
             c.consumers.size() < options_.max_consumers) {
    c.consumers[answer.queue] = {messaging.destination, pending.without_ack};
  } else if (answer.method == kBasicCancelOk) {
    c.consumers.erase(pending.tag);
  }
  tell(std::move(pending));
}

void Connection::end_content(Channel& c, bool client) {
  std::optional<Content>& held = c.contents[client ? 1 : 0];
  Content content = std::move(*held);
  held.reset();
  if (client) {
    end_publish(c, std::move(content));
  } else {
    end_deliver(c, std::move(content));
  }
}

void Connection::end_publish(Channel& c, Content&& content) {
  Pending pending;
  pending.method = kBasicPublish;
  const uint32_t incomplete = content.incomplete;
  pending.exchange = make(content.begin, true, std::move(content.message), content.whole_at);
  model::Exchange& exchange = *pending.exchange;
  exchange.incomplete |= incomplete;
  exchange.response_end_ns = op_.time_ns;
  auto& messaging = std::get<model::MessagingExchange>(exchange.payload);
  if (!c.confirms) {
    c.published_without = c.published_without || c.known;
    exchange.incomplete |= c.known ? model::kIncompleteNone : model::kBodyEndUnknown;
    messaging.error_code = c.closed_by;
    tell(std::move(pending));
    return;
  }
  pending.number = ++c.published;
  if (!c.closed_by.empty() || !c.numbers_known) {
    messaging.error_code = c.closed_by;
    exchange.incomplete |= c.closed_by.empty() ? model::kGap : model::kIncompleteNone;
    tell(std::move(pending));
    return;
  }
  for (auto early = c.early_confirms.begin(); early != c.early_confirms.end(); ++early) {
    if (early->multiple ? early->number >= pending.number : early->number == pending.number) {
      confirm(std::move(pending), *early);
      if (early->number == c.published) {
        c.early_confirms.erase(early);
      }
      return;
    }
  }
  push(c.publishes, std::move(pending));
}

void Connection::on_confirm(Channel& c, const EarlyConfirm& confirmed) {
  if (!c.confirms) {
    return;  // they were selected before we watched
  }
  // Those that are seen, and with `multiple` all up to it.
  bool any = false;
  while (confirmed.multiple && !c.publishes.empty() &&
         (c.publishes.front().number <= confirmed.number || confirmed.number == 0)) {
    confirm(pop(c.publishes, 0), confirmed);
    any = true;
  }
  if (!confirmed.multiple) {
    const auto found = std::lower_bound(
        c.publishes.begin(), c.publishes.end(), confirmed.number,
        [](const Pending& pending, uint64_t number) { return pending.number < number; });
    if (found != c.publishes.end() && found->number == confirmed.number) {
      confirm(pop(c.publishes, static_cast<size_t>(found - c.publishes.begin())), confirmed);
      any = true;
    }
  }
  if (!c.numbers_known) {
    if (confirmed.number > c.published + c.missed) {
      counters_->messages_missed += confirmed.number - c.published - c.missed;
      c.missed = confirmed.number - c.published;
    }
  } else if (confirmed.number > c.published && role_ == model::Role::kClient) {
    if (c.early_confirms.size() >= options_.max_early) {
      ++counters_->limits_hit;
      c.early_confirms.pop_front();
    }
    c.early_confirms.push_back(confirmed);
  } else if (!any && confirmed.number > c.settled_below) {
    ++counters_->responses_without_request;
  }
}

void Connection::confirm(Pending&& pending, const EarlyConfirm& confirmed) {
  model::Exchange& exchange = *pending.exchange;
  exchange.response_start_ns = confirmed.begin_ns;
  exchange.response_end_ns = std::max(confirmed.end_ns, exchange.request_end_ns);
  if (confirmed.refused) {
    std::get<model::MessagingExchange>(exchange.payload).error_code = "nack";
  }
  tell(std::move(pending));
}

void Connection::end_deliver(Channel& c, Content&& content) {
  content.message.error_code = std::move(content.error_code);
  if (content.method == kBasicGetOk) {
    Answer answer;
    answer.method = kBasicGetOk;
    answer.begin_ns = content.begin.time_ns;
    answer.end_ns = op_.time_ns;
    answer.incomplete = content.incomplete;
    answer.message = std::move(content.message);
    on_answer(c, std::move(answer));
    return;
  }
  auto exchange = make(content.begin, false, std::move(content.message));
  exchange->incomplete |= content.incomplete;
  tell_now(std::move(exchange));
}

// Deliveries of a channel are numbered, whoever they are for.
void Connection::note_tag(Channel& c, uint64_t tag, bool unsettled,
                          const std::string& destination) {
  if ((c.last_tag != 0 || c.known) && tag > c.last_tag + 1) {
    counters_->messages_missed += tag - c.last_tag - 1;
    c.tags_whole = false;
  }
  c.last_tag = std::max(c.last_tag, tag);
  if (!unsettled || (!c.deliveries.empty() && c.deliveries.back().tag >= tag)) {
    return;
  }
  if (deliveries_ >= options_.max_deliveries) {
    c.tags_whole = false;
    if (c.deliveries.empty()) {
      return;
    }
    c.deliveries.pop_front();
    --deliveries_;
  }
  c.deliveries.push_back({tag, destination});
  ++deliveries_;
}

void Connection::on_settle(Channel& c, const Side& s, uint32_t method, Reader& arguments) {
  const uint64_t tag = arguments.read(8);
  const bool multiple = (arguments.read(1) & 1U) != 0 && method != kBasicReject;
  if (!arguments.ok()) {
    return;
  }
  model::MessagingExchange message;
  message.type = model::MessagingOperation::kSettle;
  message.operation = method == kBasicAck ? "ack" : method == kBasicNack ? "nack" : "reject";
  message.delivery_tag = tag;
  auto first = c.deliveries.begin();
  auto last = std::upper_bound(
      first, c.deliveries.end(), tag,
      [](uint64_t wanted, const Delivery& delivery) { return wanted < delivery.tag; });
  if (multiple && tag == 0) {
    last = c.deliveries.end();
  }
  if (!multiple) {
    first = last != first && std::prev(last)->tag == tag ? std::prev(last) : last;
  }
  if (first != last) {
    const std::string& destination = first->destination;
    if (std::all_of(first, last, [&](const Delivery& delivery) {
          return delivery.destination == destination;
        })) {
      message.destination = destination;
    }
  }
  const auto count = static_cast<size_t>(last - first);
  if (multiple && c.tags_whole) {
    message.message_count = count;
  }
  c.deliveries.erase(first, last);
  deliveries_ -= count;
  auto exchange = make(s.begin, true, std::move(message), s.first ? operations_ : 0);
  exchange->incomplete |= s.gap ? model::kGap : model::kIncompleteNone;
  tell_now(std::move(exchange));
}

// The server has closed the channel for an error: what waits will not be answered.
void Connection::fail_channel(Channel& c, std::string_view code) {
  c.closed_by = code;
  for (std::deque<Pending>* queue : {&c.calls, &c.publishes}) {
    while (!queue->empty()) {
      Pending pending = pop(*queue, 0);
      model::Exchange& exchange = *pending.exchange;
      exchange.response_start_ns = op_.time_ns;
      exchange.response_end_ns = std::max(op_.time_ns, exchange.request_start_ns);
      std::get<model::MessagingExchange>(exchange.payload).error_code = code;
      tell(std::move(pending));
    }
  }
}

void Connection::tell_server_close(std::string_view operation, std::string_view code,
                                   const Origin& begin) {
  model::MessagingExchange message;
  message.operation = operation;
  message.error_code = code;
  tell_now(make(begin, false, std::move(message)));
}

void Connection::close_channel(uint16_t number, model::Outcome outcome, uint32_t incomplete) {
  const auto found = channels_.find(number);
  if (found == channels_.end()) {
    return;
  }
  Channel& c = found->second;
  for (const bool client : {true, false}) {
    if (std::optional<Content>& content = c.contents[client ? 1 : 0]; content) {
      content->incomplete |= model::kBodyEndUnknown;
      end_content(c, client);
    }
  }
  close_pending(c, outcome, incomplete);
  deliveries_ -= c.deliveries.size();
  channels_.erase(found);
}

void Connection::close_all(model::Outcome outcome, uint32_t incomplete) {
  while (!channels_.empty()) {
    close_channel(channels_.begin()->first, outcome, incomplete);
  }
}

void Connection::close_pending(Channel& c, model::Outcome outcome, uint32_t incomplete) {
  for (std::deque<Pending>* queue : {&c.calls, &c.publishes}) {
    while (!queue->empty()) {
      Pending pending = pop(*queue, 0);
      ++counters_->requests_without_response;
      pending.exchange->outcome = outcome;
      pending.exchange->incomplete |= incomplete;
      pending.exchange->response_end_ns = std::max(op_.time_ns, pending.exchange->request_start_ns);
      tell(std::move(pending));
    }
  }
}

std::unique_ptr<model::Exchange> Connection::make(const Origin& begin, bool client,
                                                  model::MessagingExchange&& message,
                                                  uint64_t whole_at) {
  auto exchange = std::make_unique<model::Exchange>();
  exchange->role = role_;
  exchange->request_start_ns = begin.departed_ns;
  exchange->request_end_ns = op_.time_ns;
  exchange->response_end_ns = op_.time_ns;
  exchange->thread_id = begin.thread_id;
  if (client) {
    exchange->request_id = begin.request_id;
    exchange->evidence = begin.evidence;
    // Libraries for event loops write when the loop comes round, whoever it was that published. Of
    // those that share a connection among threads or goroutines, one may flush what another has
    // written on another channel. Go's goroutine for heartbeats was started by whoever connected,
    // and flushes what it finds too; but not without a heartbeat.
    const bool alone = whole_at == operations_ && op_ends_;
    const bool believed =
        begin.evidence == model::Evidence::kNone ||
        (!several_channels_ &&
         ((begin.evidence == model::Evidence::kThread && (alone || seen_from_start_)) ||
          (begin.evidence == model::Evidence::kGoroutine && alone)));
    exchange->evidence = believed ? begin.evidence : model::Evidence::kAmbiguous;
  }
  message.system = model::MessagingSystem::kRabbitmq;
  exchange->payload = std::move(message);
  return exchange;
}

void Connection::push(std::deque<Pending>& queue, Pending&& pending) {
  if (pending_ >= options_.max_pending) {
    ++counters_->limits_hit;
    ++counters_->requests_without_response;
    const bool none_older = queue.empty();
    Pending given_up = none_older ? std::move(pending) : pop(queue, 0);
    given_up.exchange->incomplete |= model::kBodyEndUnknown;
    tell(std::move(given_up));
    if (none_older) {
      return;
    }
  }
  // Whether a span is made of a poll tells its answer.
  if (pending.method != kBasicGet) {
    announce(pending);
  }
  ++pending_;
  queue.push_back(std::move(pending));
}

Connection::Pending Connection::pop(std::deque<Pending>& queue, size_t index) {
  const auto at = queue.begin() + static_cast<ptrdiff_t>(index);
  Pending pending = std::move(*at);
  queue.erase(at);
  --pending_;
  return pending;
}

void Connection::announce(Pending& pending) {
  model::Exchange& exchange = *pending.exchange;
  exchange.sequence = next_sequence_++;
  pending.announced = true;
  sink_->on_request(request_start(exchange));
}

void Connection::tell(Pending&& pending) {
  if (!pending.announced) {
    announce(pending);
  }
  ++counters_->exchanges;
  sink_->on_exchange(std::move(*pending.exchange));
}

void Connection::tell_now(std::unique_ptr<model::Exchange> exchange) {
  Pending pending;
  pending.exchange = std::move(exchange);
  tell(std::move(pending));
}

}  // namespace zerospan::protocols::amqp
