// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The names of Services behind addresses: their cluster addresses, and those of the pods that
// EndpointSlices list. Fed by the client's thread; name() may be called from any thread.
//
// Sources: Service v1 and EndpointSlice discovery.k8s.io/v1,
// https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace zerospan::k8s {

class Peers {
 public:
  enum class Kind : uint8_t { kService, kEndpointSlice };

  // Of addresses with their ports; what is over it has no name, and is counted. One takes some 80
  // bytes.
  explicit Peers(size_t max_addresses = 262'144) : max_addresses_(max_addresses) {}

  void begin_list(Kind kind);
  void put(Kind kind, const nlohmann::json& object);
  void remove(Kind kind, const nlohmann::json& object);
  void end_list(Kind kind);  // what did not come since begin_list is gone

  // SERVICE.NAMESPACE; empty if no Service has this address and port, or more than one.
  [[nodiscard]] std::string name(std::string_view address, uint16_t port) const;

  struct Counters {
    uint64_t objects = 0;    // now
    uint64_t addresses = 0;  // now, with their ports
    uint64_t refused = 0;    // addresses beyond the limit, when they came
  };
  [[nodiscard]] Counters counters() const;

 private:
  struct Place {
    std::array<uint8_t, 16> address{};  // IPv4 as RFC 4291 section 2.5.5.2 maps it
    uint16_t port = 0;
    bool operator==(const Place&) const = default;
  };
  struct PlaceHash {
    size_t operator()(const Place& place) const;
  };
  struct Object {
    std::string name;
    std::vector<Place> places;
    uint64_t list = 0;  // the number of the last list of its kind that had it
  };
  using Objects = std::unordered_map<std::string, Object>;  // by uid

  [[nodiscard]] static std::optional<Place> place(const std::string& address, uint16_t port);
  [[nodiscard]] static Object read_service(const nlohmann::json& object);
  [[nodiscard]] static Object read_slice(const nlohmann::json& object);
  void unlink(const Object& object);

  size_t max_addresses_;
  mutable std::shared_mutex mutex_;
  std::array<Objects, 2> objects_;  // by Kind
  std::array<uint64_t, 2> lists_{};
  std::unordered_multimap<Place, const Object*, PlaceHash> places_;
  uint64_t refused_ = 0;
};

}  // namespace zerospan::k8s
