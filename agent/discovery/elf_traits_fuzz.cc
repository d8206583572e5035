// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/elf_traits.h"

#include <cstdlib>
#include <cstring>

namespace {

class MemorySource final : public zerospan::discovery::ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool read(uint64_t offset, std::span<std::byte> out) override {
    // The reader promises a bounded number of bounded reads.
    if (++reads_ > 10'000 || out.size() > 4096) {
      std::abort();
    }
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
      return false;
    }
    if (!out.empty()) {
      std::memcpy(out.data(), bytes_.data() + offset, out.size());
    }
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  int reads_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemorySource source({reinterpret_cast<const std::byte*>(data), size});
  static_cast<void>(zerospan::discovery::read_elf_traits(source));
  return 0;
}
