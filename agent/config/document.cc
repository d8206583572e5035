// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/config/document.h"

#include <fmt/format.h>

#include "agent/config/options.h"

namespace zerospan::config {

namespace {

constexpr const char* kIntroduction =
    R"(<!-- Generated from agent/config/options.cc by zerospan_config_doc. Do not edit. -->
# Configuration

Every option has a key in the YAML file (`--config FILE`) and a `ZEROSPAN_` environment variable;
many have an OpenTelemetry variable and a flag too. A flag wins over the environment, the
environment over the file, the file over the default; among an option's variables the one that is
named first wins. An empty variable counts as unset.

```yaml
selection:
  executables: ["*/nginx", "*/python3*"]
  exclude:
    ports: [9100, 9400-9500]
http:
  routes: ["/users/{id}"]
exporter:
  endpoint: http://collector:4318
  headers:
    authorization: Bearer abc
```

- **Selection.** A process is selected when any one of the lists matches it, or by `all`;
  `exclude` beats both. A flag that selects processes replaces the whole selection of file and
  environment.
- **Lists.** In a variable the items are separated by commas. Of the flags, those whose argument is
  shown with a comma are split at commas; all may be repeated.
- **Durations** have a unit: `100ms`, `5s`, `2m`, `1h`. In an `OTEL_` variable a plain number is in
  milliseconds.
- **Sizes** are bytes, or have a unit: `64KiB`, `4MiB`, `1GiB`.
- **Globs** know `*`, `?` and `[...]`.
- **Errors.** An unknown key, a key that comes twice, and a value of the wrong type or out of range
  are errors: zerospan names the place and does not start. YAML anchors, aliases and tags are
  refused.
- **Changes.** `run` follows the file: an edit in place, a renamed file and a changed symbolic link (as a
  Kubernetes ConfigMap has it) are seen within about a second, and `SIGHUP` reads it at once. Flags and environment
  still win. A file with an error is refused as a whole, the log says where, and all stays as it was. Of the
  others, the options marked "at once" change without a restart; what was changed of the rest is named in the
  log and waits for one.
- `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are read from the environment of the *traced*
  programs, never from zerospan's own.
)";

std::string code(const std::string& text) {
  return "`" + text + "`";
}

std::string flag_of(const Option& option) {
  return option.flag_argument.empty() ? option.flag : option.flag + " " + option.flag_argument;
}

}  // namespace

std::string config_document() {
  std::string out = kIntroduction;
  std::string section;
  for (const Option& option : option_table()) {
    const size_t dot = option.key.rfind('.');
    const std::string of = dot == std::string::npos ? "(top level)" : option.key.substr(0, dot);
    if (of != section) {
      section = of;
      out += "\n## " + section + "\n";
    }
    out += fmt::format("\n### {}\n\n{}\n\n", code(option.key), option.help);
    out += fmt::format("- Type: {}\n", option.type);
    const bool unset = option.default_text.empty() || option.default_text == "\"\"";
    out += fmt::format("- Default: {}\n", unset ? "not set" : code(option.default_text));
    out +=
        fmt::format("- Changes: {}\n", option.reload == Reload::kLive ? "at once" : "at restart");
    if (!option.variables.empty()) {
      out += "- Environment: ";
      for (size_t i = 0; i < option.variables.size(); ++i) {
        out += (i > 0 ? ", " : "") + code(option.variables[i]);
      }
      out += "\n";
    }
    if (!option.flag.empty()) {
      out += fmt::format("- Flag: {}\n", code(flag_of(option)));
    }
  }
  return out;
}

}  // namespace zerospan::config
