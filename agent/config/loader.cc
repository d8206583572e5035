// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "agent/config/options.h"
#include "agent/config/suggest.h"
#include "agent/config/value.h"

namespace zerospan::config {

namespace {

enum class Level : uint8_t { kDefault, kFile, kEnvironment, kFlag };

// Where an option's value came from.
struct Origin {
  Level level = Level::kDefault;
  std::string place;  // "FILE:LINE:COLUMN: KEY", "environment variable NAME", "flag NAME"
};

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidArgument, std::move(message));
}

class Loader {
 public:
  Loader() : origins_(option_table().size()) {}

  Status read_file(const Sources& sources) {
    if (sources.yaml.empty()) {
      return {};
    }
    const Result<Value> root = read_yaml(sources.yaml, sources.file_name);
    if (!root) {
      return tl::unexpected<Error>(root.error());
    }
    return read_section(sources.file_name, *root, "");
  }

  Status read_environment(const Environment& environment) {
    const std::vector<Option>& table = option_table();
    for (size_t i = 0; i < table.size(); ++i) {
      for (const std::string& name : table[i].variables) {
        const std::optional<std::string> text = environment(name);
        if (!text || text->empty()) {
          continue;
        }
        Value value = value_from_text(table[i], *text, true);
        value.bare_milliseconds = name.starts_with("OTEL_");
        value.percent_encoded = name.starts_with("OTEL_");
        if (Status status = set(i, value, Level::kEnvironment, "environment variable " + name);
            !status) {
          return status;
        }
        break;
      }
    }
    return {};
  }

  Status read_flags(const std::vector<FlagValue>& flags) {
    const std::vector<Option>& table = option_table();
    const bool selects = std::any_of(flags.begin(), flags.end(), [&](const FlagValue& flag) {
      return table[flag.option].selector;
    });
    if (selects) {
      config_.selection.include = {};
      config_.selection.all = false;
    }
    for (const FlagValue& flag : flags) {
      const Option& option = table[flag.option];
      Value value;
      if (option.shape == Option::Shape::kList) {
        value.kind = Value::Kind::kList;
        for (const std::string& text : flag.texts) {
          Value part = value_from_text(option, text, option.flag_splits);
          if (part.kind == Value::Kind::kList) {
            std::move(part.items.begin(), part.items.end(), std::back_inserter(value.items));
          } else {
            value.items.push_back(std::move(part));
          }
        }
      } else {
        value = value_from_text(option, flag.texts.back(), false);
      }
      if (Status status = set(flag.option, value, Level::kFlag, "flag " + option.flag); !status) {
        return status;
      }
    }
    return {};
  }

  Result<Config> finish(const Sources& sources) {
    Exporter& exporter = config_.exporter;
    if (exporter.batch_size > exporter.queue_size) {
      // The one that the operator set is to blame; both may be.
      const std::string key = origin("exporter.batch_size").level != Level::kDefault
                                  ? "exporter.batch_size"
                                  : "exporter.queue_size";
      return invalid(fmt::format(
          "{}: the batch size is {} and the queue size {}; expected a batch that fits into the "
          "queue.",
          origin(key).place, exporter.batch_size, exporter.queue_size));
    }
    if (exporter.client_certificate.empty() != exporter.client_key.empty()) {
      const bool lone_key = exporter.client_certificate.empty();
      return invalid(fmt::format(
          "{}: found {} alone, expected exporter.client_certificate and exporter.client_key "
          "together.",
          origin(lone_key ? "exporter.client_key" : "exporter.client_certificate").place,
          lone_key ? "a key" : "a certificate"));
    }
    if (Status status = resolve_endpoint(); !status) {
      return tl::unexpected<Error>(status.error());
    }
    resolve_kubernetes(sources);
    return std::move(config_);
  }

 private:
  void resolve_kubernetes(const Sources& sources) {
    Kubernetes& kubernetes = config_.kubernetes;
    if (kubernetes.api_server.empty() && sources.environment) {
      const auto host = sources.environment("KUBERNETES_SERVICE_HOST");
      const auto port = sources.environment("KUBERNETES_SERVICE_PORT");
      if (host) {
        const bool ipv6 = host->find(':') != std::string::npos;
        kubernetes.api_server = fmt::format(
            fmt::runtime(ipv6 ? "https://[{}]:{}" : "https://{}:{}"), *host, port.value_or("443"));
      }
    }
    const bool selected_by_flags =
        std::any_of(sources.flags.begin(), sources.flags.end(),
                    [](const FlagValue& flag) { return option_table()[flag.option].selector; });
    if (kubernetes.mode == KubernetesMode::kAuto) {
      kubernetes.mode =
          sources.pods_by_default && !selected_by_flags && !kubernetes.api_server.empty()
              ? KubernetesMode::kOn
              : KubernetesMode::kOff;
    }
  }

  // The keys that may stand in the section `prefix` ("" or "capture.").
  static std::vector<std::string> keys_of(std::string_view prefix) {
    std::vector<std::string> keys;
    for (const Option& option : option_table()) {
      if (!option.key.starts_with(prefix)) {
        continue;
      }
      const std::string rest = option.key.substr(prefix.size());
      std::string key = rest.substr(0, rest.find('.'));
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
        keys.push_back(std::move(key));
      }
    }
    return keys;
  }

  Status read_section(const std::string& file, const Value& section, const std::string& prefix) {
    const std::vector<Option>& table = option_table();
    const std::vector<std::string> known = keys_of(prefix);
    for (size_t i = 0; i < section.items.size(); ++i) {
      const Value& item = section.items[i];
      const std::string& key = section.keys[i];
      const std::string path = prefix + key;
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        return invalid(unknown_key(file, section.key_marks[i], path, key, known));
      }
      if (item.kind == Value::Kind::kNull) {
        continue;  // "key:" with nothing behind it, as in a template with all lines commented out
      }
      const auto option = std::find_if(table.begin(), table.end(),
                                       [&](const Option& entry) { return entry.key == path; });
      if (option == table.end()) {
        if (item.kind != Value::Kind::kMap) {
          return invalid(fmt::format("{}:{}:{}: {}: found {}, expected a map with any of {}.", file,
                                     item.mark.line, item.mark.column, path, describe(item),
                                     fmt::join(keys_of(path + "."), ", ")));
        }
        if (Status status = read_section(file, item, path + "."); !status) {
          return status;
        }
        continue;
      }
      const auto index = static_cast<size_t>(option - table.begin());
      if (Status status = set(index, item, Level::kFile, file); !status) {
        return status;
      }
    }
    return {};
  }

  static std::string unknown_key(const std::string& file, Mark mark, const std::string& path,
                                 const std::string& key, const std::vector<std::string>& known) {
    return fmt::format("{}:{}:{}: {}: found an unknown key, expected any of {}{}", file, mark.line,
                       mark.column, describe(Value::of(path)), fmt::join(known, ", "), [&] {
                         std::string hint = did_you_mean(key, known);
                         return hint.empty() ? std::string(".") : hint;
                       }());
  }

  // Sets an option. `source` is the file's name, or what names the variable or flag.
  Status set(size_t index, const Value& value, Level level, const std::string& source) {
    const Option& option = option_table()[index];
    const auto place = [&](Mark mark, const std::string& inner) {
      return level == Level::kFile
                 ? fmt::format("{}:{}:{}: {}{}", source, mark.line, mark.column, option.key, inner)
                 : source + " (" + option.key + ")";
    };
    if (const std::optional<Complaint> wrong = option.set(value, config_)) {
      const char last = wrong->expected.empty() ? '.' : wrong->expected.back();
      return invalid(fmt::format("{}: found {}, expected {}{}", place(wrong->mark, wrong->inner),
                                 wrong->found, wrong->expected, last == '?' ? "" : "."));
    }
    origins_[index] = {level, place(value.mark, "")};
    return {};
  }

  [[nodiscard]] const Origin& origin(std::string_view key) const {
    const std::vector<Option>& table = option_table();
    const auto option = std::find_if(table.begin(), table.end(),
                                     [&](const Option& entry) { return entry.key == key; });
    return origins_[static_cast<size_t>(option - table.begin())];
  }

  // https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp
  Status resolve_endpoint() {
    Exporter& exporter = config_.exporter;
    const Origin& base = origin("exporter.endpoint");
    const Origin& traces = origin("exporter.traces_endpoint");
    const bool verbatim = traces.level != Level::kDefault && traces.level >= base.level;
    std::string url = verbatim ? exporter.given_traces_endpoint : exporter.given_endpoint;
    const std::string& place = verbatim ? traces.place : base.place;
    const bool grpc = exporter.protocol == Protocol::kGrpc;
    if (url.empty()) {
      url = grpc ? "http://localhost:4317" : "http://localhost:4318";
    }
    if (url.find("://") == std::string::npos) {
      if (!grpc) {
        return invalid(fmt::format(
            "{}: found {}, expected a URL that begins with http:// or https://, because the "
            "protocol is not grpc.",
            place, describe(Value::of(url))));
      }
      url.insert(0, exporter.insecure ? "http://" : "https://");
    }
    const bool has_path = url.find('/', url.find("://") + 3) != std::string::npos;
    if (!grpc && !verbatim) {
      if (url.back() != '/') {
        url += '/';
      }
      url += "v1/traces";
    } else if (!grpc && !has_path) {
      url += '/';
    }
    exporter.endpoint = std::move(url);
    return {};
  }

  Config config_;
  std::vector<Origin> origins_;  // beside option_table()
};

}  // namespace

Result<Config> load(const Sources& sources) {
  Loader loader;
  if (Status status = loader.read_file(sources); !status) {
    return tl::unexpected<Error>(status.error());
  }
  if (sources.environment) {
    if (Status status = loader.read_environment(sources.environment); !status) {
      return tl::unexpected<Error>(status.error());
    }
  }
  if (Status status = loader.read_flags(sources.flags); !status) {
    return tl::unexpected<Error>(status.error());
  }
  return loader.finish(sources);
}

ConfigChange change(Config running, Config wanted) {
  ConfigChange result;
  for (const Option& option : option_table()) {
    if (option.equal(running, wanted)) {
      continue;
    }
    if (option.reload == Reload::kLive) {
      result.applied.push_back(option.key);
    } else {
      option.copy(running, wanted);
      result.needs_restart.push_back(option.key);
    }
  }
  result.config = std::move(wanted);
  return result;
}

}  // namespace zerospan::config
