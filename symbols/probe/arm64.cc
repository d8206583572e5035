// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/probe/arm64.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>
#include <string>

namespace zerospan::symbols::probe::arm64 {
namespace {

constexpr size_t kBytes = 4;  // of each instruction
constexpr size_t kMaxPrologue = 64;
constexpr size_t kMaxGrowBlock = 48;
constexpr size_t kMaxSlices = 16;
constexpr int64_t kBatchOfIds = 16;  // runtime/proc.go, _GoidCacheBatch
constexpr size_t kMaxBetween = 16;   // instructions of one assignment of Go's
constexpr uint32_t kStackOrZero = 31;
constexpr uint32_t kClosure = 26;
constexpr uint32_t kGoroutine = 28;

enum class Kind : uint8_t {
  kOther,
  kJump,         // b
  kCall,         // bl, blr
  kConditional,  // b.cond, cbz, cbnz, tbz, tbnz
  kIndirect,     // br
  kReturn,
  kRefused,  // where the kernel allows no uprobe: aarch64_insn_is_steppable()
};

int64_t signed_bits(uint32_t word, unsigned low, unsigned count) {
  const uint32_t value = word >> low & ((1U << count) - 1);
  return static_cast<int64_t>(value) - ((value >> (count - 1)) != 0 ? int64_t{1} << count : 0);
}

// A load or store of X registers, or of W or smaller ones (`bytes` below 8): no index, no
// write-back.
struct Access {
  bool store = false;
  bool pair = false;
  uint32_t bytes = 0;  // of each register
  uint32_t first = 0;
  uint32_t second = 0;  // of a pair
  uint32_t base = 0;
  int64_t offset = 0;
};

class Instruction {
 public:
  explicit Instruction(uint32_t word) : word_(word) {}
  [[nodiscard]] uint32_t word() const { return word_; }
  [[nodiscard]] bool is(uint32_t mask, uint32_t value) const { return (word_ & mask) == value; }
  [[nodiscard]] uint32_t rd() const { return word_ & 31U; }
  [[nodiscard]] uint32_t rn() const { return word_ >> 5U & 31U; }
  [[nodiscard]] uint32_t rs() const { return word_ >> 16U & 31U; }

  [[nodiscard]] Kind kind() const {
    if (is(0xfc000000, 0x14000000)) {
      return Kind::kJump;
    }
    if (is(0xfc000000, 0x94000000) || is(0xfffffc1f, 0xd63f0000)) {
      return Kind::kCall;
    }
    if (is(0xff000010, 0x54000000) || is(0x7c000000, 0x34000000)) {
      return Kind::kConditional;
    }
    if (is(0xfffffc1f, 0xd61f0000)) {
      return Kind::kIndirect;
    }
    if (is(0xfffffc1f, 0xd65f0000)) {
      return Kind::kReturn;
    }
    const bool hint = is(0xfffff01f, 0xd503201f);
    const bool system = is(0xfe000000, 0xd4000000) && !hint;
    const bool exclusive = is(0x3f000000, 0x08000000);
    const bool literal = is(0x3b000000, 0x18000000);
    const bool undefined = is(0xffff0000, 0);
    return system || exclusive || literal || undefined ? Kind::kRefused : Kind::kOther;
  }

  // Where a direct branch goes, in bytes from here.
  [[nodiscard]] std::optional<int64_t> target() const {
    if (is(0x7c000000, 0x14000000)) {
      return signed_bits(word_, 0, 26) * 4;
    }
    if (is(0x7e000000, 0x36000000)) {
      return signed_bits(word_, 5, 14) * 4;
    }
    return kind() == Kind::kConditional ? std::optional(signed_bits(word_, 5, 19) * 4)
                                        : std::nullopt;
  }

  [[nodiscard]] std::optional<Access> access() const {
    if (is(0x3f000000, 0x39000000)) {  // unsigned offset
      const uint32_t size = word_ >> 30U;
      const uint32_t operation = word_ >> 22U & 3U;
      if (operation == 2 && size == 3) {
        return std::nullopt;  // a prefetch
      }
      return Access{.store = operation == 0,
                    .bytes = 1U << size,
                    .first = rd(),
                    .base = rn(),
                    .offset = static_cast<int64_t>((word_ >> 10U & 0xfffU) << size)};
    }
    if (is(0xffe00c00, 0xf8000000) || is(0xffe00c00, 0xf8400000)) {  // stur, ldur of X registers
      return Access{.store = is(0x00400000, 0),
                    .bytes = 8,
                    .first = rd(),
                    .base = rn(),
                    .offset = signed_bits(word_, 12, 9)};
    }
    if (is(0x7f800000, 0x29000000)) {  // stp, ldp
      const uint32_t bytes = word_ >> 31U != 0 ? 8 : 4;
      return Access{.store = is(0x00400000, 0),
                    .pair = true,
                    .bytes = bytes,
                    .first = rd(),
                    .second = word_ >> 10U & 31U,
                    .base = rn(),
                    .offset = signed_bits(word_, 15, 7) * bytes};
    }
    return std::nullopt;
  }

  [[nodiscard]] bool is_address_of_page() const { return is(0x9f000000, 0x90000000); }  // adrp
  [[nodiscard]] int64_t page() const {
    return (signed_bits(word_, 5, 19) * 4 + (word_ >> 29U & 3U)) * 4096;
  }
  // add Rd, Rn, #value; of W registers too, and Go adds to what it loaded as such as to X
  // registers.
  [[nodiscard]] std::optional<uint32_t> added() const {
    return is(0x7f800000, 0x11000000)
               ? std::optional((word_ >> 10U & 0xfffU) << ((word_ >> 22U & 1U) * 12))
               : std::nullopt;
  }
  // movz, and orr of the zero register: what the whole register is then.
  [[nodiscard]] std::optional<int64_t> constant() const {
    if (is(0x7f800000, 0x52800000)) {
      return static_cast<int64_t>(uint64_t{word_ >> 5U & 0xffffU} << (word_ >> 21U & 3U) * 16);
    }
    if (is(0xffc003e0, 0xb24003e0)) {  // orr Xd, xzr, #: a run of ones, turned to the right
      const uint32_t turn = word_ >> 16U & 63U;
      const uint32_t ones = (word_ >> 10U & 63U) + 1;
      if (ones == 64 || turn == 0) {
        return std::nullopt;
      }
      const uint64_t run = (uint64_t{1} << ones) - 1;
      return static_cast<int64_t>(run >> turn | run << (64 - turn));
    }
    return std::nullopt;
  }

  // The registers that it writes (31: the stack pointer); none: it is not known.
  [[nodiscard]] std::optional<std::vector<uint32_t>> writes() const {
    const auto only = [&](bool flags, bool thirty_one_is_stack) {
      const bool none = rd() == kStackOrZero && (flags || !thirty_one_is_stack);
      return none ? std::vector<uint32_t>{} : std::vector{rd()};
    };
    const bool flags = is(0x20000000, 0x20000000);
    if (is(0x1f800000, 0x11000000) || is(0x1fe00000, 0x0b200000)) {
      return only(flags, true);  // add, sub, cmp of a constant or an extended register
    }
    if (is(0x1f200000, 0x0b000000) || is(0x1f800000, 0x12800000) || is(0x1f000000, 0x10000000)) {
      return only(false, false);  // of a shifted register; movz and alike; adr, adrp
    }
    if (is(0x1f000000, 0x0a000000)) {
      return only(false, false);  // mov, and, orr of registers
    }
    if (is(0x1f800000, 0x12000000)) {
      return only((word_ >> 29U & 3U) == 3, true);  // and, orr, ands of a constant
    }
    if (const auto memory = access()) {
      if (memory->store) {
        return std::vector<uint32_t>{};
      }
      return memory->pair ? std::vector{memory->first, memory->second} : std::vector{memory->first};
    }
    if (is(0xffe00c00, 0xf8000c00)) {
      return std::vector{rn()};  // str of an X register, to the address that its base then is
    }
    if (is(0xfffff01f, 0xd503201f) || kind() == Kind::kConditional || kind() == Kind::kJump) {
      return std::vector<uint32_t>{};  // nop
    }
    return std::nullopt;
  }
  // Also if it is not known.
  [[nodiscard]] bool may_write(uint32_t reg) const {
    const auto written = writes();
    return !written || std::find(written->begin(), written->end(), reg) != written->end();
  }

  [[nodiscard]] std::string text() const {
    if (is(0xff000010, 0x54000000)) {
      constexpr auto kConditions =
          std::to_array<const char*>({"eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc",  //
                                      "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"});
      return std::string("b.") + kConditions.at(word_ & 15U);
    }
    if (is(0x7c000000, 0x34000000)) {
      return std::string(is(0x02000000, 0) ? "cb" : "tb") + (is(0x01000000, 0) ? "z" : "nz");
    }
    switch (kind()) {
      case Kind::kJump:
        return "b";
      case Kind::kCall:
        return is(0xfc000000, 0x94000000) ? "bl" : "blr";
      case Kind::kReturn:
        return "ret";
      default: {
        std::array<char, 24> text{};
        std::snprintf(text.data(), text.size(), ".inst 0x%08x", word_);
        return text.data();
      }
    }
  }

 private:
  uint32_t word_;
};

class Code {
 public:
  explicit Code(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] size_t size() const { return bytes_.size() - bytes_.size() % kBytes; }
  [[nodiscard]] std::optional<Instruction> at(uint64_t offset) const {
    if (offset % kBytes != 0 || offset >= size()) {
      return std::nullopt;
    }
    uint32_t word = 0;
    for (size_t i = 0; i < kBytes; ++i) {
      word |= std::to_integer<uint32_t>(bytes_[offset + i]) << (8 * i);
    }
    return Instruction(word);
  }

 private:
  std::span<const std::byte> bytes_;
};

template <typename Visit>
void for_each(std::span<const std::byte> bytes, const Visit& visit) {
  const Code code(bytes);
  for (uint64_t offset = 0; offset < code.size(); offset += kBytes) {
    visit(offset, *code.at(offset));
  }
}

bool writes_argument(const Instruction& instruction, Abi abi) {
  const auto written = instruction.writes();
  return !written || std::any_of(written->begin(), written->end(), [&](uint32_t reg) {
    return reg == kStackOrZero ||
           (abi == Abi::kSystemV ? reg <= 8 : reg <= 15 || reg == kClosure || reg == kGoroutine);
  });
}

bool begins_anew(const Code& code, uint64_t offset) {
  for (size_t i = 0; i < kMaxGrowBlock; ++i, offset += kBytes) {
    const auto instruction = code.at(offset);
    const Kind kind = instruction ? instruction->kind() : Kind::kReturn;
    if (kind == Kind::kConditional || kind == Kind::kReturn || kind == Kind::kIndirect) {
      return false;
    }
    if (kind == Kind::kJump) {
      return offset + static_cast<uint64_t>(*instruction->target()) == 0;
    }
  }
  return false;
}

// What registers hold along the code: constants, and addresses that are relative to it. Known no
// longer where the code is come to from elsewhere, or after what may have changed it.
class Registers {
 public:
  explicit Registers(uint64_t address) : address_(address) {}
  void follow(uint64_t offset, const Instruction& at) {
    const auto address = address_of(at, offset);
    const auto constant = at.constant();
    const auto written = at.writes();
    const Kind kind = at.kind();
    if (!written || kind == Kind::kJump) {
      constants_ = {};
      addresses_ = {};
      return;
    }
    for (const uint32_t reg : *written) {
      constants_.at(reg).reset();
      addresses_.at(reg).reset();
    }
    if (written->size() == 1 && written->front() != kStackOrZero) {
      constants_.at(written->front()) = constant;
      addresses_.at(written->front()) = address;
    }
  }
  [[nodiscard]] std::optional<int64_t> constant(uint32_t reg) const { return constants_.at(reg); }
  [[nodiscard]] std::optional<uint64_t> address(uint32_t reg) const { return addresses_.at(reg); }

 private:
  [[nodiscard]] std::optional<uint64_t> address_of(const Instruction& at, uint64_t offset) const {
    if (at.is_address_of_page()) {
      return ((address_ + offset) & ~uint64_t{4095}) + static_cast<uint64_t>(at.page());
    }
    const auto added = at.added();
    const auto base = addresses_.at(at.rn());
    return added && base && at.is(0x80000000, 0x80000000) ? std::optional(*base + *added)
                                                          : std::nullopt;
  }

  uint64_t address_;
  std::array<std::optional<int64_t>, 32> constants_{};
  std::array<std::optional<uint64_t>, 32> addresses_{};
};

}  // namespace

Result<Site> place(std::span<const std::byte> bytes, uint64_t /*address*/, Abi abi) {
  const Code code(bytes);
  const auto entry = code.at(0);
  if (!entry) {
    return fail(ErrorCode::kMalformed, "The function does not begin with an arm64 instruction.");
  }
  std::set<uint64_t> targets;
  for_each(bytes, [&](uint64_t offset, const Instruction& at) {
    if (const auto target = at.target(); target && at.kind() != Kind::kCall) {
      targets.insert(offset + static_cast<uint64_t>(*target));
    }
  });
  std::optional<Site> branch;
  for (uint64_t offset = 0; offset < kMaxPrologue * kBytes; offset += kBytes) {
    const auto at = code.at(offset);
    if (!at || (offset != 0 && targets.contains(offset))) {
      break;
    }
    const auto target = at->target();
    const Kind kind = at->kind();
    const bool check =
        kind == Kind::kConditional && begins_anew(code, offset + static_cast<uint64_t>(*target));
    if (target && (!branch || branch->may_repeat)) {
      branch = Site{.offset = offset,
                    .kind = probe::Kind::kEmulated,
                    .may_repeat = check || (offset == 0 && targets.contains(0)),
                    .instruction = at->text()};
    }
    if (!(check || kind == Kind::kOther) || writes_argument(*at, abi)) {
      break;
    }
  }
  if (branch) {
    return *branch;
  }
  if (entry->kind() == Kind::kReturn || entry->kind() == Kind::kRefused) {
    return fail(ErrorCode::kUnsupported,
                "The function begins with `" + entry->text() + "`, where no uprobe can be.");
  }
  return Site{.offset = 0,
              .kind = probe::Kind::kStepped,
              .may_repeat = targets.contains(0),
              .instruction = entry->text()};
}

std::optional<uint64_t> find_goidgen(std::span<const std::byte> code, uint64_t address) {
  Registers registers(address);
  std::set<uint64_t> found;
  for_each(code, [&](uint64_t offset, const Instruction& at) {
    // ldadd of X registers, whatever its order of memory: with the processor's own atomic
    // operations. Without them there is a loop over the same address.
    if (at.is(0xff20fc00, 0xf8200000) && registers.constant(at.rs()) == kBatchOfIds) {
      if (const auto target = registers.address(at.rn())) {
        found.insert(*target);
      }
    }
    registers.follow(offset, at);
  });
  return found.size() == 1 ? std::optional(*found.begin()) : std::nullopt;
}

std::vector<uint64_t> find_slices(std::span<const std::byte> code, uint64_t address) {
  Registers registers(address);
  std::set<uint64_t> words;
  for_each(code, [&](uint64_t offset, const Instruction& at) {
    if (const auto access = at.access(); access && access->bytes == 8) {
      if (const auto base = registers.address(access->base)) {
        const uint64_t first = *base + static_cast<uint64_t>(access->offset);
        words.insert(first);
        if (access->pair) {
          words.insert(first + 8);
        }
      }
    }
    registers.follow(offset, at);
  });
  std::vector<uint64_t> slices;
  for (const uint64_t word : words) {
    if (words.contains(word + 8) && words.contains(word + 16) && slices.size() < kMaxSlices) {
      slices.push_back(word);
    }
  }
  return slices;
}

std::optional<uint32_t> find_captured(std::span<const std::byte> code, uint32_t field) {
  std::array<std::optional<uint32_t>, 32> captured{};
  std::array<std::optional<uint32_t>, 32> loaded{};  // whose field a register has
  std::array<std::optional<uint32_t>, 32> increased{};
  bool entry = true;
  std::set<uint32_t> found;
  for_each(code, [&](uint64_t /*offset*/, const Instruction& at) {
    const auto access = at.access();
    const bool is_field = access && !access->pair && access->bytes == 4 && access->offset == field;
    if (is_field && access->store && increased.at(access->first) == access->base &&
        captured.at(access->base)) {
      found.insert(*captured.at(access->base));
    }
    const auto written = at.writes();
    const auto source = at.added() == 2U ? loaded.at(at.rn()) : std::nullopt;
    if (!written) {
      loaded = {};
      increased = {};
      entry = false;
      return;
    }
    for (const uint32_t reg : *written) {
      if (entry && access && access->bytes == 8 && access->base == kClosure && reg != kClosure) {
        const int64_t at_word = access->offset + (reg == access->second && access->pair ? 8 : 0);
        if (at_word > 0 && at_word <= 128) {
          captured.at(reg) = static_cast<uint32_t>(at_word);
        }
      }
      loaded.at(reg) = is_field ? std::optional(access->base) : std::nullopt;
      increased.at(reg) = source;
    }
    entry = entry && !at.may_write(kClosure);
  });
  return found.size() == 1 ? std::optional(*found.begin()) : std::nullopt;
}

namespace {

// str Xvalue, [Xbase, #field]
std::optional<Access> stored(const Instruction& at, uint32_t field) {
  const auto access = at.access();
  return access && access->store && !access->pair && access->bytes == 8 &&
                 access->offset == field && access->base != kStackOrZero &&
                 access->first != kStackOrZero
             ? access
             : std::nullopt;
}

// The store of the length is at `offset`.
std::optional<StringStore> string_store_at(const Code& code, uint64_t offset, uint32_t field,
                                           uint32_t base) {
  std::optional<uint64_t> branch;
  std::optional<uint32_t> flag;  // has runtime.writeBarrier
  bool page = false;             // the instruction before begins to address a variable
  std::set<uint32_t> changed;
  for (size_t i = 1; i < kMaxBetween; ++i) {
    const uint64_t here = offset + i * kBytes;
    const auto at = code.at(here);
    if (!at) {
      return std::nullopt;
    }
    const Kind kind = at->kind();
    if (!branch) {
      // cbz or cbnz of W registers
      if (flag && at->is(0xfe000000, 0x34000000) && at->rd() == *flag) {
        branch = here;
        continue;
      }
      if (at->is(0xffffffff, 0xd503201f)) {
        continue;  // nop
      }
      const auto access = at->access();
      flag = page && access && !access->store && !access->pair && access->bytes == 4
                 ? std::optional(access->first)
                 : std::nullopt;
      page = at->is_address_of_page();
      if (kind != Kind::kOther || at->may_write(base)) {
        return std::nullopt;
      }
      continue;
    }
    if (const auto store = stored(*at, field); store && store->base == base) {
      return changed.contains(store->first)
                 ? std::nullopt
                 : std::optional(StringStore{.offset = *branch,
                                             .instruction = code.at(*branch)->text(),
                                             .field = field,
                                             .base = static_cast<uint8_t>(base),
                                             .address = static_cast<uint8_t>(store->first)});
    }
    // The call between is of the garbage collector's, which changes no register but its result.
    if (kind == Kind::kCall) {
      continue;
    }
    const auto written = at->writes();
    if (kind != Kind::kOther || !written || at->may_write(base)) {
      return std::nullopt;
    }
    changed.insert(written->begin(), written->end());
  }
  return std::nullopt;
}

}  // namespace

std::optional<StringStore> find_string_store(std::span<const std::byte> bytes, uint32_t field) {
  const Code code(bytes);
  std::optional<StringStore> found;
  for (uint64_t offset = 0; offset < code.size(); offset += kBytes) {
    const auto length = stored(*code.at(offset), field + sizeof(uint64_t));
    const auto store = length ? string_store_at(code, offset, field, length->base) : std::nullopt;
    if (store && found) {
      return std::nullopt;
    }
    found = store ? store : found;
  }
  return found;
}

}  // namespace zerospan::symbols::probe::arm64
