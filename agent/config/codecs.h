// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// How values of each type are read, shown and described. Used by options.cc only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/options.h"
#include "agent/config/value.h"

namespace zerospan::config {

template <typename T>
struct Codec {
  std::string type;  // for the documentation
  Option::Shape shape = Option::Shape::kScalar;
  std::function<std::optional<Complaint>(const Value&, T&)> read;
  std::function<std::string(const T&)> show;  // as it would be written in YAML
};

template <typename T>
struct Choice {
  std::string_view name;
  T value;
};

[[nodiscard]] Complaint complaint(const Value& value, std::string expected);

// A codec of one scalar. `parse` gets the text and gives nothing when it does not fit.
template <typename T>
Codec<T> scalar_codec(std::string type, std::string expected,
                      std::function<std::optional<T>(const Value&)> parse,
                      std::function<std::string(const T&)> show) {
  Codec<T> codec;
  codec.type = std::move(type);
  codec.read = [expected = std::move(expected), parse = std::move(parse)](
                   const Value& value, T& out) -> std::optional<Complaint> {
    if (value.kind == Value::Kind::kScalar) {
      if (std::optional<T> parsed = parse(value)) {
        out = std::move(*parsed);
        return std::nullopt;
      }
    }
    return complaint(value, expected);
  };
  codec.show = std::move(show);
  return codec;
}

// A list; a lone scalar is a list of one.
template <typename T>
Codec<std::vector<T>> list_of(Codec<T> element) {
  Codec<std::vector<T>> codec;
  codec.type = "list of " + element.type;
  codec.shape = Option::Shape::kList;
  codec.read = [read = element.read](const Value& value,
                                     std::vector<T>& out) -> std::optional<Complaint> {
    const bool lone = value.kind == Value::Kind::kScalar;
    if (!lone && value.kind != Value::Kind::kList) {
      return complaint(value, "a list");
    }
    std::vector<T> result;
    for (size_t i = 0; i < (lone ? 1 : value.items.size()); ++i) {
      T item{};
      if (auto wrong = read(lone ? value : value.items[i], item)) {
        wrong->inner = (lone ? "" : "[" + std::to_string(i) + "]") + wrong->inner;
        return wrong;
      }
      result.push_back(std::move(item));
    }
    out = std::move(result);
    return std::nullopt;
  };
  codec.show = [show = element.show](const std::vector<T>& items) {
    std::string out = "[";
    for (const T& item : items) {
      out += (out.size() > 1 ? ", " : "") + show(item);
    }
    return out + "]";
  };
  return codec;
}

// The same list, if it is no longer.
template <typename T>
Codec<std::vector<T>> at_most(size_t most, Codec<std::vector<T>> codec) {
  codec.read = [most, read = codec.read](const Value& value,
                                         std::vector<T>& out) -> std::optional<Complaint> {
    std::vector<T> items;
    if (auto wrong = read(value, items)) {
      return wrong;
    }
    if (items.size() > most) {
      return complaint(value, "a list of at most " + std::to_string(most));
    }
    out = std::move(items);
    return std::nullopt;
  };
  return codec;
}

template <typename T>
Codec<T> choice_of(std::vector<Choice<T>> choices) {
  std::string names;
  std::string type;
  for (size_t i = 0; i < choices.size(); ++i) {
    names += (i == 0 ? "" : i + 1 == choices.size() ? " or " : ", ") + std::string(choices[i].name);
    type += (i == 0 ? "" : " | ") + std::string(choices[i].name);
  }
  return scalar_codec<T>(
      type, names,
      [choices](const Value& value) -> std::optional<T> {
        for (const auto& choice : choices) {
          if (choice.name == value.scalar) {
            return choice.value;
          }
        }
        return std::nullopt;
      },
      [choices](const T& shown) -> std::string {
        for (const auto& choice : choices) {
          if (choice.value == shown) {
            return std::string(choice.name);
          }
        }
        return {};
      });
}

[[nodiscard]] Codec<bool> boolean();
[[nodiscard]] Codec<uint32_t> number(uint32_t least, uint32_t most);
[[nodiscard]] Codec<std::optional<uint32_t>> number_or_auto(uint32_t least, uint32_t most);
[[nodiscard]] Codec<double> ratio();
// Bytes: "4096", "64KiB", "4MiB", "1GiB".
[[nodiscard]] Codec<uint32_t> size(uint32_t least, uint32_t most);
[[nodiscard]] Codec<uint64_t> size_power_of_two(uint64_t least, uint64_t most);
// "100ms", "1.5s", "2m", "1h"; "0" needs no unit.
[[nodiscard]] Codec<Milliseconds> duration(Milliseconds least, Milliseconds most);
// Any text that is not empty; `what` completes "expected".
[[nodiscard]] Codec<std::string> text(std::string type, std::string what);
[[nodiscard]] Codec<uint32_t> pid();
[[nodiscard]] Codec<PortRange> port_range();
[[nodiscard]] Codec<std::string> container_id();
[[nodiscard]] Codec<std::string> route_template();
[[nodiscard]] Codec<std::string> header_name();  // made lower case
[[nodiscard]] Codec<std::string> method_name();  // RFC 9110 token, case kept
[[nodiscard]] Codec<std::string> endpoint();
[[nodiscard]] Codec<std::optional<ListenAddress>> listen_address();
[[nodiscard]] Codec<std::vector<propagation::Format>> propagators();
[[nodiscard]] Codec<std::string> self_test_check();  // of propagation::self_test_checks()
[[nodiscard]] Codec<StringMap> string_map();
[[nodiscard]] Codec<StringMap> header_map();
[[nodiscard]] Codec<std::vector<ServiceRule>> service_rules();
[[nodiscard]] Codec<std::string> label_key();
[[nodiscard]] Codec<std::vector<PodSelector>> pod_selectors();

}  // namespace zerospan::config
