// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/span_output.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

#include "agent/app/settings.h"
#include "agent/selfobs/logging.h"
#include "agent/viewer/json_lines.h"
#include "agent/viewer/summary.h"
#include "agent/viewer/tree_view.h"
#include "exporter/transport/make_exporter.h"

namespace zerospan::app {

namespace {

namespace log = selfobs::log;

class ExportOutput final : public SpanOutput {
 public:
  explicit ExportOutput(std::unique_ptr<batch::SpanExporter> exporter)
      : exporter_(std::move(exporter)) {}

  void offer(std::vector<model::Span>&& spans) override { exporter_->offer(std::move(spans)); }
  void tick() override {}
  void drain() override { exporter_->flush(std::chrono::minutes(5)); }
  Result<std::function<void()>> prepare(const config::Config& config) override {
    if (config.exporter.kind != config::ExporterKind::kOtlp) {
      return [] {};
    }
    Result<std::unique_ptr<batch::Transport>> transport =
        transport::make_transport(exporter_options(config));
    if (!transport) {
      return tl::unexpected(transport.error());
    }
    // std::function must be copyable.
    auto next = std::make_shared<std::unique_ptr<batch::Transport>>(std::move(*transport));
    return [this, next] { exporter_->replace_transport(std::move(*next)); };
  }
  void finish(std::chrono::milliseconds deadline) override { exporter_->shutdown(deadline); }
  void count(Statistics& statistics) const override {
    const batch::ExportCounters& counters = exporter_->counters();
    statistics.spans_exported = counters.spans_exported;
    statistics.export_requests = counters.requests;
    statistics.export_seconds = static_cast<double>(counters.send_ns) / 1e9;
    for (size_t i = 0; i < batch::kDropReasons; ++i) {
      const auto reason = static_cast<batch::DropReason>(i);
      statistics.spans_dropped[std::string(batch::drop_reason_name(reason))] =
          counters.dropped(reason);
    }
    statistics.spans_queued =
        counters.spans_offered - counters.spans_exported - counters.dropped_total();
  }
  [[nodiscard]] std::string summary(const Statistics&) const override { return {}; }

 private:
  std::unique_ptr<batch::SpanExporter> exporter_;
};

// OTEL_TRACES_EXPORTER=none: everything is done but the sending.
class NoOutput final : public SpanOutput {
 public:
  void offer(std::vector<model::Span>&& spans) override { discarded_ += spans.size(); }
  void tick() override {}
  void drain() override {}
  Result<std::function<void()>> prepare(const config::Config&) override {
    return [] {};
  }
  void finish(std::chrono::milliseconds) override {}
  void count(Statistics& statistics) const override {
    statistics.spans_dropped["no_exporter"] = discarded_;
  }
  [[nodiscard]] std::string summary(const Statistics&) const override { return {}; }

 private:
  std::atomic<uint64_t> discarded_{0};
};

// For a person, or a script that reads simple JSON. Spans wait in a bounded queue for the main
// thread, which writes.
class ViewOutput final : public SpanOutput {
 public:
  ViewOutput(config::OutputFormat format, std::FILE* file, bool owned)
      : format_(format),
        file_(file),
        owned_(owned),
        terminal_(viewer::detect_terminal(::fileno(file))),
        tree_({.terminal = terminal_}, [this](std::string_view text) { write(text); }) {}
  ~ViewOutput() override {
    if (owned_) {
      std::fclose(file_);
    }
  }

  void offer(std::vector<model::Span>&& spans) override {
    const std::lock_guard lock(mutex_);
    for (model::Span& span : spans) {
      if (queue_.size() >= kMaxQueued) {
        ++dropped_;
      } else {
        queue_.push_back(std::move(span));
      }
    }
  }

  void tick() override {
    std::vector<model::Span> spans;
    {
      const std::lock_guard lock(mutex_);
      spans.swap(queue_);
    }
    const uint64_t now_ns = log::monotonic_ns();
    for (const model::Span& span : spans) {
      summary_.add(span);
      if (format_ == config::OutputFormat::kTree) {
        tree_.add(span, now_ns);
      } else {
        write(viewer::json_line(span));
      }
    }
    shown_ += spans.size();
    tree_.tick(now_ns);
    std::fflush(file_);
  }

  void drain() override { tick(); }
  Result<std::function<void()>> prepare(const config::Config&) override {
    return [] {};
  }

  void finish(std::chrono::milliseconds) override {
    tick();
    tree_.flush();
    std::fflush(file_);
  }

  void count(Statistics& statistics) const override {
    const std::lock_guard lock(mutex_);
    statistics.spans_exported = shown_;
    statistics.spans_dropped["view_queue_full"] = dropped_;
    statistics.spans_queued = queue_.size();
  }

  [[nodiscard]] std::string summary(const Statistics& statistics) const override {
    return summary_.render(viewer::detect_terminal(STDERR_FILENO), losses(statistics),
                           statistics.pipeline.parents.health_checks);
  }

 private:
  static constexpr size_t kMaxQueued = 200'000;

  void write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() && !failed_) {
      failed_ = true;
      log::error("spans cannot be written: {}", error_from_errno(errno, "output").message);
    }
  }

  config::OutputFormat format_;
  std::FILE* file_;
  bool owned_;
  bool failed_ = false;
  viewer::Terminal terminal_;
  viewer::TreeView tree_;
  viewer::Summary summary_;
  mutable std::mutex mutex_;
  std::vector<model::Span> queue_;
  uint64_t dropped_ = 0;
  std::atomic<uint64_t> shown_{0};
};

Result<std::unique_ptr<SpanOutput>> start_exporter(transport::ExporterOptions options) {
  options.batch.on_report = [](bool healthy, const std::string& message) {
    if (healthy) {
      log::info("export works{}{}", message.empty() ? "" : ": ", message);
    } else {
      log::error("spans cannot be exported: {}", message);
    }
  };
  Result<std::unique_ptr<batch::SpanExporter>> exporter =
      transport::make_exporter(std::move(options));
  if (!exporter) {
    return tl::unexpected(exporter.error());
  }
  return std::make_unique<ExportOutput>(std::move(*exporter));
}

}  // namespace

Result<std::unique_ptr<SpanOutput>> make_export_output(const config::Config& config) {
  if (config.exporter.kind == config::ExporterKind::kNone) {
    return std::make_unique<NoOutput>();
  }
  return start_exporter(exporter_options(config));
}

Result<std::unique_ptr<SpanOutput>> make_trace_output(const config::Config& config,
                                                      config::OutputFormat format,
                                                      const std::string& path) {
  if (format == config::OutputFormat::kOtlpJson) {
    transport::ExporterOptions options = exporter_options(config);
    options.protocol = path.empty() ? transport::Protocol::kStdout : transport::Protocol::kFile;
    options.file_path = path;
    return start_exporter(std::move(options));
  }
  std::FILE* file = path.empty() ? stdout : std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    return tl::unexpected(error_from_errno(errno, "opening the output " + path));
  }
  return std::make_unique<ViewOutput>(format, file, !path.empty());
}

}  // namespace zerospan::app
