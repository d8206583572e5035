// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The walk that injection goes by, over arbitrary bytes in arbitrary operations. Input: a byte that
// says how the rest is cut. Where nothing is between its operations, the result is that of one
// operation; the program's bytes are all there; and what was injected is read again as exactly
// that.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/structure/http1_injector.h"

namespace {

using zerospan::structure::Http1Injector;

void require(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "broken: %s\n", what);
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const size_t step = data[0] % 67 + 1;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (input.find(zerospan::structure::kInjected) != std::string_view::npos) {
    return 0;
  }
  Http1Injector whole;
  const std::string out = whole.send(input);
  Http1Injector cut;
  std::string pieces;
  for (size_t at = 0; at < input.size(); at += step) {
    pieces += cut.send(input.substr(at, step));
  }
  require(whole.walk().off == cut.walk().off, "the same end in pieces");
  require(whole.heads() == cut.heads(), "the same heads in pieces");
  require(zerospan::structure::without_injected(pieces) == input, "the program's bytes in pieces");
  require(out.size() == input.size() + whole.injected() * zerospan::structure::kInjected.size(),
          "nothing but headers is added");
  require(zerospan::structure::without_injected(out) == input, "the program's bytes");
  Http1Injector again;
  require(again.send(out) == out, "exactly one header");
  require(again.heads() == whole.heads(), "the same heads with headers");
  return 0;
}
