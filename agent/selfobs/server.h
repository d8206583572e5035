// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The agent's own HTTP endpoint: /metrics, /healthz and /readyz.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "agent/core/result.h"
#include "agent/selfobs/metrics.h"

namespace zerospan::selfobs {

// Whether the agent does its work yet, and if not, why. Thread-safe. Starts as not ready.
class Readiness {
 public:
  void set_ready();
  void set_not_ready(std::string reason);
  // Empty: ready.
  [[nodiscard]] std::string reason() const;

 private:
  mutable std::mutex mutex_;
  std::string reason_ = "starting";
};

// Serves until destroyed, on one thread of its own, without keep-alive, a bounded number of
// connections at a time, each for at most five seconds. HTTP/1.1 (RFC 9112), GET and HEAD:
//   /metrics  200, the text exposition
//   /healthz  200 as long as the process can answer
//   /readyz   200 when ready, else 503 with the reason
class Server {
 public:
  // `address` is IPV4:PORT, [IPV6]:PORT or localhost:PORT; port 0 takes a free one. The error says
  // the address and the reason; the agent can do its work without this endpoint. `metrics` and
  // `readiness` must outlive the server.
  [[nodiscard]] static Result<Server> start(std::string_view address, Metrics& metrics,
                                            const Readiness& readiness);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  // The port that is listened on.
  [[nodiscard]] uint16_t port() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace zerospan::selfobs
