// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/model/exchange.h"

#include <strings.h>

namespace zerospan::model {

std::string_view HeaderBlock::find(std::string_view name) const {
  const std::string_view raw = raw_;
  for (const Field& f : fields_) {
    if (f.name_length == name.size() &&
        strncasecmp(raw.data() + f.name_at, name.data(), name.size()) == 0) {
      // A present but empty field still points into the head, so that data() != nullptr tells it
      // from an absent one.
      return raw.substr(f.value_at, f.value_length);
    }
  }
  return {};
}

}  // namespace zerospan::model
