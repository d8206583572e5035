// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/peers.h"

#include <arpa/inet.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>

#include "agent/k8s/pod.h"

namespace zerospan::k8s {
namespace {

using nlohmann::json;

const json& list_of(const json& object, const char* key) {
  static const json kNone = json::array();
  if (!object.is_object()) {
    return kNone;
  }
  const auto found = object.find(key);
  return found == object.end() || !found->is_array() ? kNone : *found;
}

std::vector<uint16_t> ports_of(const json& holder) {
  std::vector<uint16_t> ports;
  for (const json& each : list_of(holder, "ports")) {
    if (each.is_object() && each.contains("port") && each["port"].is_number_integer()) {
      const auto port = each["port"].get<int64_t>();
      if (port > 0 && port <= UINT16_MAX) {
        ports.push_back(static_cast<uint16_t>(port));
      }
    }
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

std::vector<std::string> texts_of(const json& holder, const char* key) {
  std::vector<std::string> texts;
  for (const json& each : list_of(holder, key)) {
    if (each.is_string()) {
      texts.push_back(each.get<std::string>());
    }
  }
  return texts;
}

}  // namespace

size_t Peers::PlaceHash::operator()(const Place& place) const {
  const std::string_view bytes(reinterpret_cast<const char*>(place.address.data()),
                               place.address.size());
  return std::hash<std::string_view>()(bytes) ^ (size_t{place.port} << 16U);
}

std::optional<Peers::Place> Peers::place(const std::string& address, uint16_t port) {
  Place place;
  place.port = port;
  in_addr ipv4{};
  if (::inet_pton(AF_INET, address.c_str(), &ipv4) == 1) {
    place.address[10] = place.address[11] = 0xff;
    std::copy_n(reinterpret_cast<const uint8_t*>(&ipv4), sizeof(ipv4), &place.address[12]);
    return place;
  }
  if (::inet_pton(AF_INET6, address.c_str(), place.address.data()) == 1) {
    return place;
  }
  return std::nullopt;
}

Peers::Object Peers::read_service(const json& object) {
  Object service;
  service.name = read_metadata(object, "name") + "." + read_metadata(object, "namespace");
  if (!object.is_object() || !object.contains("spec")) {
    return service;
  }
  const json& spec = object["spec"];
  const std::vector<uint16_t> ports = ports_of(spec);
  for (const std::string& address : texts_of(spec, "clusterIPs")) {  // "None" is no address
    for (const uint16_t port : ports) {
      if (const auto at = place(address, port)) {
        service.places.push_back(*at);
      }
    }
  }
  return service;
}

Peers::Object Peers::read_slice(const json& object) {
  Object slice;
  const TextMap labels = read_labels(object);
  const auto service = labels.find("kubernetes.io/service-name");
  if (service == labels.end()) {
    return slice;
  }
  slice.name = service->second + "." + read_metadata(object, "namespace");
  const std::vector<uint16_t> ports = ports_of(object);
  for (const json& endpoint : list_of(object, "endpoints")) {
    for (const std::string& address : texts_of(endpoint, "addresses")) {
      for (const uint16_t port : ports) {
        if (const auto at = place(address, port)) {
          slice.places.push_back(*at);
        }
      }
    }
  }
  return slice;
}

void Peers::unlink(const Object& object) {
  for (const Place& each : object.places) {
    const auto [first, last] = places_.equal_range(each);
    const auto found =
        std::find_if(first, last, [&](const auto& entry) { return entry.second == &object; });
    if (found != last) {
      places_.erase(found);
    }
  }
}

void Peers::begin_list(Kind kind) {
  const std::lock_guard lock(mutex_);
  ++lists_[static_cast<size_t>(kind)];
}

void Peers::put(Kind kind, const json& object) {
  Object now = kind == Kind::kService ? read_service(object) : read_slice(object);
  const std::lock_guard lock(mutex_);
  now.list = lists_[static_cast<size_t>(kind)];
  Object& entry = objects_[static_cast<size_t>(kind)][read_metadata(object, "uid")];
  if (entry.name == now.name && entry.places == now.places) {
    entry.list = now.list;
    return;
  }
  unlink(entry);
  if (places_.size() + now.places.size() > max_addresses_) {
    const size_t room = max_addresses_ - std::min(max_addresses_, places_.size());
    refused_ += now.places.size() - room;
    now.places.resize(room);
  }
  entry = std::move(now);
  for (const Place& each : entry.places) {
    places_.emplace(each, &entry);
  }
}

void Peers::remove(Kind kind, const json& object) {
  const std::lock_guard lock(mutex_);
  Objects& objects = objects_[static_cast<size_t>(kind)];
  if (const auto found = objects.find(read_metadata(object, "uid")); found != objects.end()) {
    unlink(found->second);
    objects.erase(found);
  }
}

void Peers::end_list(Kind kind) {
  const std::lock_guard lock(mutex_);
  const uint64_t list = lists_[static_cast<size_t>(kind)];
  std::erase_if(objects_[static_cast<size_t>(kind)], [&](const auto& entry) {
    const bool gone = entry.second.list < list;
    if (gone) {
      unlink(entry.second);
    }
    return gone;
  });
}

std::string Peers::name(std::string_view address, uint16_t port) const {
  const auto wanted = place(std::string(address), port);
  if (!wanted) {
    return {};
  }
  const std::shared_lock lock(mutex_);
  const auto [first, last] = places_.equal_range(*wanted);
  std::string found;
  for (auto entry = first; entry != last; ++entry) {
    if (!found.empty() && found != entry->second->name) {
      return {};
    }
    found = entry->second->name;
  }
  return found;
}

Peers::Counters Peers::counters() const {
  const std::shared_lock lock(mutex_);
  return {objects_[0].size() + objects_[1].size(), places_.size(), refused_};
}

}  // namespace zerospan::k8s
