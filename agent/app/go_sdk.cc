// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/go_sdk.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace zerospan::app {
namespace {

using discovery::GoSdk;

constexpr std::chrono::milliseconds kFirstInterval{20};
constexpr std::chrono::milliseconds kLongestInterval{600'000};
constexpr std::chrono::milliseconds kDecideAfter{500};
// One look at a goroutine takes about a microsecond.
constexpr size_t kMaxGoroutines = 16'384;
// How much of a stack is looked at: above the queue's frame are those of an export under way.
constexpr size_t kStackWords = 1024;

bool read_memory(uint32_t pid, uint64_t address, std::span<uint64_t> out) {
  const iovec local{out.data(), out.size_bytes()};
  const iovec remote{reinterpret_cast<void*>(address), out.size_bytes()};
  return ::process_vm_readv(static_cast<pid_t>(pid), &local, 1, &remote, 1, 0) ==
         static_cast<ssize_t>(out.size_bytes());
}

// Whether one of the goroutines waits inside this code. A g begins with its stack's bounds, and
// behind g.m follows g.sched, which begins with the stack pointer of a goroutine that waits
// (runtime/runtime2.go); a stack pointer outside of the stack is not believed.
bool waits_in(uint32_t pid, uint64_t allgs, uint32_t g_m, uint64_t begin, uint64_t end) {
  std::array<uint64_t, 2> slice{};  // address, length
  if (!read_memory(pid, allgs, std::span(slice))) {
    return false;
  }
  std::vector<uint64_t> goroutines(std::min<uint64_t>(slice[1], kMaxGoroutines));
  if (!read_memory(pid, slice[0], std::span(goroutines))) {
    return false;
  }
  std::vector<uint64_t> words(kStackWords);
  for (const uint64_t g : goroutines) {
    std::array<uint64_t, 2> stack{};
    uint64_t pointer = 0;
    if (!read_memory(pid, g, std::span(stack)) ||
        !read_memory(pid, g + g_m + sizeof(pointer), std::span(&pointer, 1)) ||
        pointer < stack[0] || pointer >= stack[1]) {
      continue;
    }
    const auto frames =
        std::span(words).first(std::min<uint64_t>((stack[1] - pointer) / 8, kStackWords));
    if (read_memory(pid, pointer, frames) &&
        std::any_of(frames.begin(), frames.end(),
                    [&](uint64_t word) { return word > begin && word < end; })) {
      return true;
    }
  }
  return false;
}

}  // namespace

GoSdkFacts go_sdk_facts(const symbols::go::GoBinary& binary) {
  return {.otel = binary.otel,
          .allgs = binary.runtime.allgs.value_or(0),
          .g_m = binary.offsets.get(symbols::go::Field::kGM)};
}

void GoSdkWatch::begin(uint32_t pid, std::shared_ptr<GoSdk> found, const GoSdkFacts& facts,
                       uint64_t bias) {
  watched_.erase(pid);
  if (!found) {
    return;
  }
  const symbols::go::OtelModules& otel = facts.otel;
  const model::OwnSdk spans{.makes = otel.makes, .sends_context = otel.propagates};
  if (otel.makes == 0) {
    found->set(GoSdk::State::kNone, {});
    return;
  }
  if (otel.exports_at_once || !otel.functions_known || facts.allgs == 0 || !facts.g_m) {
    found->set(GoSdk::State::kRuns, spans);  // nothing could show that it does not
    return;
  }
  if (!otel.queue) {
    found->set(GoSdk::State::kIdle, spans);  // it has no span processor
    return;
  }
  const Clock::time_point now = Clock::now();
  Watched watched{.found = std::move(found),
                  .spans = spans,
                  .allgs = facts.allgs + bias,
                  .g_m = *facts.g_m,
                  .queue_begin = otel.queue->address + bias,
                  .queue_end = otel.queue->address + otel.queue->size + bias,
                  .since = now,
                  .next = now,
                  .interval = kFirstInterval};
  if (look(pid, watched)) {
    watched_.insert_or_assign(pid, std::move(watched));
  }
}

bool GoSdkWatch::look(uint32_t pid, Watched& watched) {
  if (waits_in(pid, watched.allgs, watched.g_m, watched.queue_begin, watched.queue_end)) {
    watched.found->set(GoSdk::State::kRuns, watched.spans);
    return false;
  }
  const Clock::time_point now = Clock::now();
  if (now - watched.since >= kDecideAfter) {
    watched.found->set(GoSdk::State::kIdle, watched.spans);
  }
  watched.next = now + watched.interval;
  watched.interval = std::min(watched.interval * 2, kLongestInterval);
  return true;
}

void GoSdkWatch::on_listen(uint32_t pid) {
  const auto found = watched_.find(pid);
  if (found == watched_.end()) {
    return;
  }
  Watched& watched = found->second;
  if (!watched.listens) {
    // What it has set up may take its place only now, and was not there to be found before.
    watched.listens = true;
    watched.since = Clock::now();
    watched.interval = kFirstInterval;
    watched.found->set(GoSdk::State::kUnknown, watched.spans);
  }
  if (!look(pid, watched)) {
    watched_.erase(found);
  }
}

void GoSdkWatch::look_when_due() {
  const Clock::time_point now = Clock::now();
  for (auto at = watched_.begin(); at != watched_.end();) {
    const bool done = at->second.next <= now && !look(at->first, at->second);
    at = done ? watched_.erase(at) : std::next(at);
  }
}

std::optional<GoSdkWatch::Clock::time_point> GoSdkWatch::next() const {
  std::optional<Clock::time_point> next;
  for (const auto& [pid, watched] : watched_) {
    next = std::min(next.value_or(watched.next), watched.next);
  }
  return next;
}

}  // namespace zerospan::app
