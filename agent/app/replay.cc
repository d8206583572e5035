// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "agent/app/agent.h"
#include "agent/app/commands.h"
#include "agent/app/settings.h"
#include "agent/app/span_output.h"
#include "agent/kernel/recording.h"
#include "agent/selfobs/logging.h"

namespace zerospan::app {

namespace {

// The pipelines of a recorded run, one per ring as they were then.
class Replay {
 public:
  Replay(PipelineOptions options, SpanOutput& output)
      : options_(std::move(options)), output_(output) {}

  Status on_entry(const kernel::Entry& entry) {
    switch (entry.type) {
      case kernel::EntryType::kRecord: {
        Result<Pipeline*> pipeline = at(entry.ring);
        if (!pipeline) {
          return tl::unexpected(pipeline.error());
        }
        (*pipeline)->on_record(entry.bytes);
        offer((*pipeline)->take_spans((*pipeline)->last_record_ns()));
        return {};
      }
      case kernel::EntryType::kClock: {
        std::array<uint64_t, 2> values{};
        if (entry.bytes.size() != sizeof(values)) {
          return fail(ErrorCode::kMalformed, "the recording has a malformed clock entry");
        }
        std::memcpy(values.data(), entry.bytes.data(), sizeof(values));
        Result<Pipeline*> pipeline = at(entry.ring);
        if (!pipeline) {
          return tl::unexpected(pipeline.error());
        }
        (*pipeline)->set_clock({values[0], values[1]});
        return {};
      }
      case kernel::EntryType::kProcess: {
        Result<RecordedProcess> process =
            decode_process({reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()});
        if (!process) {
          return tl::unexpected(process.error());
        }
        processes_[{entry.ring, process->pid}] = process->process;
        return {};
      }
      case kernel::EntryType::kEnd: {
        uint64_t time_ns = 0;
        if (entry.bytes.size() == sizeof(time_ns)) {
          std::memcpy(&time_ns, entry.bytes.data(), sizeof(time_ns));
        }
        finish(entry.ring, time_ns);
        return {};
      }
    }
    return {};
  }

  // A recording that was cut off has no end entries.
  void finish_all() {
    for (const auto& [ring, pipeline] : pipelines_) {
      finish(ring, pipeline->last_record_ns());
    }
    hand_on();
  }

  [[nodiscard]] Statistics statistics() const {
    Statistics statistics;
    for (const auto& [ring, pipeline] : pipelines_) {
      add(statistics.pipeline, pipeline->counters());
    }
    output_.count(statistics);
    return statistics;
  }

 private:
  Result<Pipeline*> at(uint8_t ring) {
    std::unique_ptr<Pipeline>& slot = pipelines_[ring];
    if (!slot) {
      Result<std::unique_ptr<Pipeline>> made = Pipeline::make(options_, [this, ring](uint32_t pid) {
        const auto found = processes_.find({ring, pid});
        return found == processes_.end() ? Process() : found->second;
      });
      if (!made) {
        return tl::unexpected(made.error());
      }
      slot = std::move(*made);
    }
    return slot.get();
  }

  void finish(uint8_t ring, uint64_t time_ns) {
    const auto found = pipelines_.find(ring);
    if (found != pipelines_.end()) {
      found->second->finish(time_ns);
      offer(found->second->take_spans(time_ns));
    }
  }

  // In batches of one size, each written before the next: the same file gives the same bytes.
  void offer(std::vector<model::Span>&& spans) {
    for (model::Span& span : spans) {
      batch_.push_back(std::move(span));
      if (batch_.size() == kBatchSpans) {
        hand_on();
      }
    }
  }
  void hand_on() {
    output_.offer(std::exchange(batch_, {}));
    output_.drain();
  }

  static constexpr size_t kBatchSpans = 256;
  PipelineOptions options_;
  SpanOutput& output_;
  std::vector<model::Span> batch_;
  std::map<uint8_t, std::unique_ptr<Pipeline>> pipelines_;
  std::map<std::pair<uint8_t, uint32_t>, Process> processes_;
};

}  // namespace

int run_replay(const config::Command& command) {
  selfobs::log::configure(log_options(command.config));
  Result<std::unique_ptr<kernel::RecordingReader>> reader =
      kernel::RecordingReader::open(command.recording);
  if (!reader) {
    return failed(reader.error());
  }
  Result<std::unique_ptr<SpanOutput>> output =
      make_trace_output(command.config, command.format, command.output);
  if (!output) {
    return failed(output.error());
  }
  Replay replay(pipeline_options(command.config, (*reader)->seed()), **output);
  kernel::Entry entry;
  int exit_code = 0;
  while (true) {
    const Result<bool> more = (*reader)->next(entry);
    if (!more) {
      exit_code = failed(more.error());
      break;
    }
    if (!*more) {
      break;
    }
    if (const Status status = replay.on_entry(entry); !status) {
      exit_code = failed(status.error());
      break;
    }
  }
  if ((*reader)->truncated()) {
    std::fprintf(stderr, "zerospan: %s was cut off inside its last entry\n",
                 command.recording.c_str());
  }
  replay.finish_all();
  (*output)->finish(std::chrono::seconds(60));
  const Statistics statistics = replay.statistics();
  std::fputs((*output)->summary(statistics).c_str(), stderr);
  if (!command.stats_file.empty()) {
    if (const Status written = write_statistics(command.stats_file, statistics); !written) {
      exit_code = failed(written.error());
    }
  }
  return exit_code;
}

}  // namespace zerospan::app
