// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/codecs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

#include "agent/config/suggest.h"
#include "agent/propagation/self_check.h"

namespace zerospan::config {

namespace {

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

template <typename T>
std::optional<T> parse_within(std::string_view text, T least, T most) {
  const auto value = parse_number<uint64_t>(text);
  if (!value || *value < least || *value > most) {
    return std::nullopt;
  }
  return static_cast<T>(*value);
}

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// A decimal number and its unit, as a whole multiple of the smallest unit; nothing when the unit is
// unknown, the number is negative or the result is over 2^53.
std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto value = parse_number<double>(text.substr(0, digits));
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& candidate) {
    return candidate.name == text.substr(digits);
  });
  if (!value || unit == units.end()) {
    return std::nullopt;
  }
  const double result = *value * static_cast<double>(unit->factor);
  if (!(result <= 9007199254740992.0) || result != std::floor(result)) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(result);
}

constexpr std::array kSizeUnits = {Unit{"", 1}, Unit{"B", 1}, Unit{"KiB", 1U << 10U},
                                   Unit{"MiB", 1U << 20U}, Unit{"GiB", 1U << 30U}};
constexpr std::array kTimeUnits = {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                   Unit{"h", 3'600'000}};

std::string show_size(uint64_t bytes) {
  for (size_t i = kSizeUnits.size() - 1; i > 1; --i) {
    if (bytes > 0 && bytes % kSizeUnits[i].factor == 0) {
      return fmt::format("{}{}", bytes / kSizeUnits[i].factor, kSizeUnits[i].name);
    }
  }
  return std::to_string(bytes);
}

std::string show_duration(Milliseconds time) {
  const auto count = static_cast<uint64_t>(time.count());
  for (size_t i = kTimeUnits.size() - 1; i > 0; --i) {
    if (count > 0 && count % kTimeUnits[i].factor == 0) {
      return fmt::format("{}{}", count / kTimeUnits[i].factor, kTimeUnits[i].name);
    }
  }
  return fmt::format("{}ms", count);
}

std::string show_text(const std::string& value) {
  return "\"" + value + "\"";
}

bool is_token(std::string_view name) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

Codec<std::string> token(std::string type, std::string expected, bool lower_case) {
  return scalar_codec<std::string>(
      std::move(type), std::move(expected),
      [lower_case](const Value& value) -> std::optional<std::string> {
        if (!is_token(value.scalar)) {
          return std::nullopt;
        }
        std::string name = value.scalar;
        for (char& c : name) {
          c = lower_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        }
        return name;
      },
      show_text);
}

std::optional<std::string> percent_decode(std::string_view encoded) {
  std::string out;
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] != '%') {
      out += encoded[i];
      continue;
    }
    unsigned byte = 0;
    const std::string_view digits = encoded.substr(i + 1, 2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2) {
      return std::nullopt;
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

// A map of names to texts; `check_entry` gives what was expected of a wrong entry.
Codec<StringMap> map_codec(
    std::string type,
    std::function<std::optional<std::string>(const std::string&, const std::string&)> check_entry) {
  Codec<StringMap> codec;
  codec.type = std::move(type);
  codec.shape = Option::Shape::kMap;
  codec.read = [check = std::move(check_entry)](const Value& value,
                                                StringMap& out) -> std::optional<Complaint> {
    if (value.kind != Value::Kind::kMap) {
      return complaint(value, value.mark.line > 0 ? "a map of names to values"
                                                  : "a list such as name=value,name2=value2");
    }
    StringMap result;
    for (size_t i = 0; i < value.items.size(); ++i) {
      const Value& item = value.items[i];
      const std::string inner = "." + value.keys[i];
      if (item.kind != Value::Kind::kScalar) {
        Complaint wrong = complaint(item, "a text");
        wrong.inner = inner;
        return wrong;
      }
      const auto text = value.percent_encoded ? percent_decode(item.scalar) : item.scalar;
      if (!text) {
        Complaint wrong = complaint(item, "a percent-encoded text, such as Bearer%20token");
        wrong.inner = inner;
        return wrong;
      }
      if (const auto expected = check(value.keys[i], *text)) {
        return Complaint{value.key_marks[i], inner, describe(Value::of(value.keys[i])), *expected};
      }
      result.emplace_back(value.keys[i], *text);
    }
    out = std::move(result);
    return std::nullopt;
  };
  codec.show = [](const StringMap& map) {
    std::string out = "{";
    for (const auto& [key, value] : map) {
      out += (out.size() > 1 ? ", " : "") + key + ": " + show_text(value);
    }
    return out + "}";
  };
  return codec;
}

std::optional<Complaint> read_service_rule(const Value& value, ServiceRule& rule) {
  static const std::vector<std::string> kKeys = {"executable", "command_line", "port", "name",
                                                 "namespace"};
  if (value.kind != Value::Kind::kMap) {
    return complaint(value, "a map such as {executable: \"*/shop\", name: shop}");
  }
  bool selective = false;
  for (size_t i = 0; i < value.items.size(); ++i) {
    const std::string& key = value.keys[i];
    const Value& item = value.items[i];
    const auto text_into = [&](std::string& out) {
      return text("text", "a text that is not empty").read(item, out);
    };
    std::optional<Complaint> wrong;
    if (key == "executable") {
      selective = true;
      wrong = text_into(rule.executable);
    } else if (key == "command_line") {
      selective = true;
      wrong = text_into(rule.command_line);
    } else if (key == "port") {
      selective = true;
      uint32_t port = 0;
      wrong = number(1, 65535).read(item, port);
      rule.port = static_cast<uint16_t>(port);
    } else if (key == "name") {
      wrong = text_into(rule.name);
    } else if (key == "namespace") {
      wrong = text_into(rule.namespace_name);
    } else {
      return Complaint{
          value.key_marks[i], "", "the unknown key " + describe(Value::of(key)),
          "executable, command_line, port, name or namespace" + did_you_mean(key, kKeys)};
    }
    if (wrong) {
      wrong->inner = "." + key + wrong->inner;
      return wrong;
    }
  }
  if (rule.name.empty() || !selective) {
    return Complaint{
        value.mark, "",
        rule.name.empty() ? "a rule without a name" : "a rule that matches every process",
        "name, and at least one of executable, command_line and port"};
  }
  return std::nullopt;
}

std::optional<Complaint> read_pod_selector(const Value& value, PodSelector& selector) {
  static const std::vector<std::string> kKeys = {"namespaces", "owner_kind", "owner_name",
                                                 "pod_labels", "containers"};
  if (value.kind != Value::Kind::kMap || value.items.empty()) {
    return complaint(value, "a map such as {namespaces: [shop], owner_kind: Deployment}");
  }
  const Codec<std::string> glob = text("glob", "a glob");
  for (size_t i = 0; i < value.items.size(); ++i) {
    const std::string& key = value.keys[i];
    const Value& item = value.items[i];
    std::optional<Complaint> wrong;
    if (key == "namespaces") {
      wrong = list_of(glob).read(item, selector.namespaces);
    } else if (key == "owner_kind") {
      wrong = text("kind", "a kind such as Deployment").read(item, selector.owner_kind);
    } else if (key == "owner_name") {
      wrong = glob.read(item, selector.owner_name);
    } else if (key == "pod_labels") {
      wrong = string_map().read(item, selector.pod_labels);
    } else if (key == "containers") {
      wrong = list_of(glob).read(item, selector.containers);
    } else {
      return Complaint{value.key_marks[i], "", "the unknown key " + describe(Value::of(key)),
                       "namespaces, owner_kind, owner_name, pod_labels or containers" +
                           did_you_mean(key, kKeys)};
    }
    if (wrong) {
      wrong->inner = "." + key + wrong->inner;
      return wrong;
    }
  }
  return std::nullopt;
}

}  // namespace

Complaint complaint(const Value& value, std::string expected) {
  return {value.mark, "", describe(value), std::move(expected)};
}

Codec<bool> boolean() {
  return scalar_codec<bool>(
      "bool", "true or false",
      [](const Value& value) -> std::optional<bool> {
        if (value.scalar == "true" || value.scalar == "True" || value.scalar == "TRUE") {
          return true;
        }
        if (value.scalar == "false" || value.scalar == "False" || value.scalar == "FALSE") {
          return false;
        }
        return std::nullopt;
      },
      [](const bool& value) -> std::string { return value ? "true" : "false"; });
}

Codec<uint32_t> number(uint32_t least, uint32_t most) {
  return scalar_codec<uint32_t>(
      fmt::format("{} to {}", least, most),
      fmt::format("a whole number from {} to {}", least, most),
      [=](const Value& value) { return parse_within(value.scalar, least, most); },
      [](const uint32_t& value) { return std::to_string(value); });
}

Codec<std::optional<uint32_t>> number_or_auto(uint32_t least, uint32_t most) {
  using Number = std::optional<uint32_t>;
  return scalar_codec<Number>(
      fmt::format("auto | {} to {}", least, most),
      fmt::format("auto or a whole number from {} to {}", least, most),
      [=](const Value& value) -> std::optional<Number> {
        if (value.scalar == "auto") {
          return Number();
        }
        const auto parsed = parse_within(value.scalar, least, most);
        return parsed ? std::optional<Number>(parsed) : std::nullopt;
      },
      [](const Number& value) { return value ? std::to_string(*value) : "auto"; });
}

Codec<double> ratio() {
  return scalar_codec<double>(
      "0 to 1", "a number from 0 to 1, such as 0.1",
      [](const Value& value) -> std::optional<double> {
        const auto parsed = parse_number<double>(value.scalar);
        return parsed && *parsed >= 0.0 && *parsed <= 1.0 ? parsed : std::nullopt;
      },
      [](const double& value) { return fmt::format("{}", value); });
}

Codec<uint32_t> size(uint32_t least, uint32_t most) {
  return scalar_codec<uint32_t>(
      fmt::format("size, {} to {}", show_size(least), show_size(most)),
      fmt::format("a size from {} to {}, such as 4096 or 4KiB", show_size(least), show_size(most)),
      [=](const Value& value) -> std::optional<uint32_t> {
        const auto bytes = parse_with_unit(value.scalar, kSizeUnits);
        return bytes && *bytes >= least && *bytes <= most
                   ? std::optional<uint32_t>(static_cast<uint32_t>(*bytes))
                   : std::nullopt;
      },
      [](const uint32_t& value) { return show_size(value); });
}

Codec<uint64_t> size_power_of_two(uint64_t least, uint64_t most) {
  return scalar_codec<uint64_t>(
      fmt::format("size, a power of two, {} to {}", show_size(least), show_size(most)),
      fmt::format("a size that is a power of two, from {} to {}, such as 4MiB", show_size(least),
                  show_size(most)),
      [=](const Value& value) -> std::optional<uint64_t> {
        const auto bytes = parse_with_unit(value.scalar, kSizeUnits);
        return bytes && *bytes >= least && *bytes <= most && std::has_single_bit(*bytes)
                   ? bytes
                   : std::nullopt;
      },
      [](const uint64_t& value) { return show_size(value); });
}

Codec<Milliseconds> duration(Milliseconds least, Milliseconds most) {
  return scalar_codec<Milliseconds>(
      fmt::format("duration, {} to {}", show_duration(least), show_duration(most)),
      fmt::format("a duration from {} to {}, such as 100ms or 5s", show_duration(least),
                  show_duration(most)),
      [=](const Value& value) -> std::optional<Milliseconds> {
        auto time = parse_with_unit(value.scalar, kTimeUnits);
        if (!time && (value.bare_milliseconds || value.scalar == "0")) {
          time = parse_number<uint64_t>(value.scalar);
        }
        if (!time || *time < static_cast<uint64_t>(least.count()) ||
            *time > static_cast<uint64_t>(most.count())) {
          return std::nullopt;
        }
        return Milliseconds(static_cast<int64_t>(*time));
      },
      [](const Milliseconds& value) { return show_duration(value); });
}

Codec<std::string> text(std::string type, std::string what) {
  return scalar_codec<std::string>(
      std::move(type), std::move(what),
      [](const Value& value) {
        return value.scalar.empty() ? std::nullopt : std::optional<std::string>(value.scalar);
      },
      show_text);
}

Codec<std::string> self_test_check() {
  std::vector<Choice<std::string>> names;
  for (const propagation::CheckDescription& check : propagation::self_test_checks()) {
    names.push_back({check.name, std::string(check.name)});
  }
  return choice_of<std::string>(std::move(names));
}

Codec<uint32_t> pid() {
  constexpr uint32_t kMost = 1U << 22U;  // PID_MAX_LIMIT of a 64-bit kernel
  Codec<uint32_t> codec = scalar_codec<uint32_t>(
      "pid", "a process id",
      [](const Value& value) { return parse_within(value.scalar, 1U, kMost); },
      [](const uint32_t& value) { return std::to_string(value); });
  return codec;
}

Codec<PortRange> port_range() {
  return scalar_codec<PortRange>(
      "port or range", "a port from 1 to 65535 or a range such as 8000-8100",
      [](const Value& value) -> std::optional<PortRange> {
        const std::string_view range = value.scalar;
        const size_t dash = range.find('-');
        const auto first = parse_within<uint16_t>(range.substr(0, dash), 1, 65535);
        const auto last = dash == std::string_view::npos
                              ? first
                              : parse_within<uint16_t>(range.substr(dash + 1), 1, 65535);
        if (!first || !last || *first > *last) {
          return std::nullopt;
        }
        return PortRange{*first, *last};
      },
      [](const PortRange& range) {
        return range.first == range.last ? std::to_string(range.first)
                                         : fmt::format("{}-{}", range.first, range.last);
      });
}

Codec<std::string> container_id() {
  return scalar_codec<std::string>(
      "container id", "the first 4 to 64 hexadecimal digits of a container id, in lower case",
      [](const Value& value) -> std::optional<std::string> {
        const std::string& id = value.scalar;
        if (id.size() < 4 || id.size() > 64 ||
            id.find_first_not_of("0123456789abcdef") != std::string::npos) {
          return std::nullopt;
        }
        return id;
      },
      show_text);
}

Codec<std::string> route_template() {
  return scalar_codec<std::string>(
      "route", "a route that begins with a slash, such as /users/{id}",
      [](const Value& value) {
        return value.scalar.starts_with('/') ? std::optional<std::string>(value.scalar)
                                             : std::nullopt;
      },
      show_text);
}

Codec<std::string> header_name() {
  return token("header name", "the name of a header, such as content-type", true);
}

Codec<std::string> method_name() {
  return token("method", "the name of an HTTP method, such as GET", false);
}

Codec<std::string> endpoint() {
  return scalar_codec<std::string>(
      "URL", "a URL such as http://localhost:4318, or for grpc also HOST:PORT",
      [](const Value& value) -> std::optional<std::string> {
        std::string_view rest = value.scalar;
        const size_t scheme = rest.find("://");
        if (scheme != std::string_view::npos) {
          if (rest.substr(0, scheme) != "http" && rest.substr(0, scheme) != "https") {
            return std::nullopt;
          }
          rest.remove_prefix(scheme + 3);
        }
        if (rest.empty() || rest.front() == '/' || rest.front() == ':' ||
            std::any_of(rest.begin(), rest.end(), [](char c) { return c <= 0x20 || c == 0x7f; })) {
          return std::nullopt;
        }
        return value.scalar;
      },
      show_text);
}

Codec<std::optional<ListenAddress>> listen_address() {
  using Address = std::optional<ListenAddress>;
  return scalar_codec<Address>(
      "HOST:PORT | off", "HOST:PORT such as 127.0.0.1:9465 or [::1]:9465, or off",
      [](const Value& value) -> std::optional<Address> {
        const std::string_view text = value.scalar;
        if (text == "off") {
          return Address();
        }
        const size_t colon = text.rfind(':');
        if (colon == std::string_view::npos) {
          return std::nullopt;
        }
        std::string_view host = text.substr(0, colon);
        const auto port = parse_within<uint16_t>(text.substr(colon + 1), 0, 65535);
        if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
          host = host.substr(1, host.size() - 2);
        } else if (host.find(':') != std::string_view::npos) {
          return std::nullopt;
        }
        if (!port || host.empty()) {
          return std::nullopt;
        }
        return Address(ListenAddress{std::string(host), *port});
      },
      [](const Address& address) -> std::string {
        return address ? fmt::format("{}:{}", address->host, address->port) : "off";
      });
}

Codec<std::vector<propagation::Format>> propagators() {
  using Formats = std::vector<propagation::Format>;
  const auto names = list_of(text("propagator", "the name of a propagator"));
  Codec<Formats> codec;
  codec.type = names.type;
  codec.shape = Option::Shape::kList;
  codec.read = [names](const Value& value, Formats& out) -> std::optional<Complaint> {
    std::vector<std::string> given;
    if (auto wrong = names.read(value, given)) {
      return wrong;
    }
    for (size_t i = 0; i < given.size(); ++i) {
      const bool alone = given.size() == 1;
      if (!propagation::parse_formats(std::span(&given[i], 1)) || (given[i] == "none" && !alone)) {
        std::string known;
        for (const auto& entry : propagation::format_names()) {
          known += std::string(entry.name) + ", ";
        }
        const bool listed = value.kind == Value::Kind::kList;
        return Complaint{listed ? value.items[i].mark : value.mark,
                         listed ? "[" + std::to_string(i) + "]" : "", describe(Value::of(given[i])),
                         "any of " + known + "or none alone"};
      }
    }
    out = propagation::parse_formats(given).value();
    return std::nullopt;
  };
  codec.show = [](const Formats& formats) {
    std::string out = "[";
    for (const propagation::Format format : formats) {
      for (const auto& entry : propagation::format_names()) {
        if (entry.format == format) {
          out += (out.size() > 1 ? ", " : "") + std::string(entry.name);
        }
      }
    }
    return out + "]";
  };
  return codec;
}

Codec<StringMap> string_map() {
  return map_codec("map", [](const std::string& key, const std::string& /*value*/) {
    return key.empty() ? std::optional<std::string>("a name") : std::nullopt;
  });
}

Codec<StringMap> header_map() {
  return map_codec(
      "map", [](const std::string& key, const std::string& value) -> std::optional<std::string> {
        // A line break in a value would let it add headers of its own.
        if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
          return "a header value without line breaks";
        }
        return is_token(key) ? std::nullopt : std::optional<std::string>("the name of a header");
      });
}

Codec<std::vector<ServiceRule>> service_rules() {
  Codec<ServiceRule> rule;
  rule.type = "rules";
  rule.read = read_service_rule;
  rule.show = [](const ServiceRule& shown) { return shown.name; };
  Codec<std::vector<ServiceRule>> codec = list_of(std::move(rule));
  codec.shape = Option::Shape::kRules;
  return codec;
}

// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
Codec<std::string> label_key() {
  return scalar_codec<std::string>(
      "label key", "the key of a label, such as app.kubernetes.io/name",
      [](const Value& value) -> std::optional<std::string> {
        const std::string_view key = value.scalar;
        const auto allowed = [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.' || c == '/';
        };
        const bool fits = !key.empty() && key.front() != '/' && key.back() != '/' &&
                          std::count(key.begin(), key.end(), '/') <= 1 &&
                          std::all_of(key.begin(), key.end(), allowed);
        return fits ? std::optional<std::string>(key) : std::nullopt;
      },
      show_text);
}

Codec<std::vector<PodSelector>> pod_selectors() {
  Codec<PodSelector> selector;
  selector.type = "selectors";
  selector.read = read_pod_selector;
  selector.show = [](const PodSelector&) { return std::string("{...}"); };
  Codec<std::vector<PodSelector>> codec = list_of(std::move(selector));
  codec.shape = Option::Shape::kRules;
  return codec;
}

}  // namespace zerospan::config
