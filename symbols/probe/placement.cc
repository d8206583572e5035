// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/probe/placement.h"

#include <Zydis/Zydis.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace zerospan::symbols::probe {
namespace {

// A prologue is a dozen instructions; Go's longest check of the stack is eight.
constexpr size_t kMaxPrologue = 64;
// Between the call of morestack and the jump back: the spilled arguments, at most ten to store and
// to load again.
constexpr size_t kMaxGrowBlock = 48;

struct Instruction {
  ZydisDecodedInstruction decoded{};
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};
  [[nodiscard]] size_t length() const { return decoded.length; }
  // Where a relative branch goes, from the function's entry; maybe outside of it.
  [[nodiscard]] std::optional<uint64_t> target(uint64_t offset) const {
    if (decoded.raw.imm[0].is_relative == 0) {
      return std::nullopt;
    }
    return offset + length() + decoded.raw.imm[0].value.u;
  }
};

class Code {
 public:
  explicit Code(std::span<const std::byte> bytes) : bytes_(bytes) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::optional<Instruction> at(uint64_t offset) const {
    Instruction instruction;
    if (offset >= bytes_.size() || !ZYAN_SUCCESS(ZydisDecoderDecodeFull(
                                       &decoder_, bytes_.data() + offset, bytes_.size() - offset,
                                       &instruction.decoded, instruction.operands.data()))) {
      return std::nullopt;
    }
    return instruction;
  }

 private:
  std::span<const std::byte> bytes_;
  ZydisDecoder decoder_{};
};

bool is_conditional_branch(const Instruction& instruction) {
  return instruction.decoded.meta.category == ZYDIS_CATEGORY_COND_BR;
}
bool is_call(const Instruction& instruction) {
  return instruction.decoded.meta.category == ZYDIS_CATEGORY_CALL;
}
bool is_jump(const Instruction& instruction) {
  return instruction.decoded.meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}
bool is_return(const Instruction& instruction) {
  return instruction.decoded.meta.category == ZYDIS_CATEGORY_RET;
}

enum class Emulation : uint8_t { kNo, kStraight, kBranch };

Emulation emulation_of(const Instruction& instruction) {
  const ZydisDecodedInstruction& decoded = instruction.decoded;
  const uint8_t opcode = decoded.opcode;
  const bool rex_b_only = decoded.raw.rex.W == 0 && decoded.raw.rex.R == 0 &&
                          decoded.raw.rex.X == 0 && decoded.raw.rex.B == 1;
  if (decoded.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
    return Emulation::kNo;
  }
  if (decoded.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT) {
    if (opcode >= 0x50 && opcode <= 0x57 &&
        (decoded.length == 1 || (decoded.length == 2 && rex_b_only))) {
      return Emulation::kStraight;
    }
    if (opcode == 0x90 && decoded.length == 1) {
      return Emulation::kStraight;
    }
    const bool branch =
        opcode == 0xe8 || opcode == 0xe9 || opcode == 0xeb || (opcode >= 0x70 && opcode <= 0x7f);
    return branch && decoded.raw.prefix_count == 0 ? Emulation::kBranch : Emulation::kNo;
  }
  if (decoded.opcode_map == ZYDIS_OPCODE_MAP_0F && opcode >= 0x80 && opcode <= 0x8f &&
      decoded.raw.prefix_count == 0) {
    return Emulation::kBranch;
  }
  return Emulation::kNo;
}

// What the kernel refuses to put a uprobe on (is_prefix_bad and good_insns_64 there): told here by
// the ways in which compilers could produce it.
bool is_refused(const Instruction& instruction) {
  const ZydisDecodedInstruction& decoded = instruction.decoded;
  for (size_t i = 0; i < decoded.raw.prefix_count; ++i) {
    constexpr auto kBad = std::to_array<uint8_t>({0x26, 0x2e, 0x36, 0x3e, 0xf0});
    if (std::find(kBad.begin(), kBad.end(), decoded.raw.prefixes[i].value) != kBad.end()) {
      return true;
    }
  }
  switch (decoded.meta.category) {
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
      return true;
    default:
      return decoded.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
  }
}

bool carries_argument(ZydisRegister whole, Abi abi) {
  switch (whole) {
    case ZYDIS_REGISTER_RSP:
    case ZYDIS_REGISTER_RCX:
    case ZYDIS_REGISTER_RDI:
    case ZYDIS_REGISTER_RSI:
    case ZYDIS_REGISTER_R8:
    case ZYDIS_REGISTER_R9:
      return true;
    case ZYDIS_REGISTER_RDX:
      return abi == Abi::kSystemV;
    case ZYDIS_REGISTER_RAX:
    case ZYDIS_REGISTER_RBX:
    case ZYDIS_REGISTER_R10:
    case ZYDIS_REGISTER_R11:
    case ZYDIS_REGISTER_R14:
      return abi == Abi::kGoInternal;
    default:
      return false;
  }
}

bool writes_argument(const Instruction& instruction, Abi abi) {
  for (size_t i = 0; i < instruction.decoded.operand_count; ++i) {
    const ZydisDecodedOperand& operand = instruction.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
        carries_argument(
            ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value), abi)) {
      return true;
    }
  }
  return false;
}

// Is there the block that lets the stack grow and begins the function anew?
bool begins_anew(const Code& code, uint64_t offset) {
  for (size_t i = 0; i < kMaxGrowBlock; ++i) {
    const std::optional<Instruction> instruction = code.at(offset);
    if (!instruction || is_conditional_branch(*instruction) || is_return(*instruction)) {
      return false;
    }
    if (is_jump(*instruction)) {
      return instruction->target(offset) == 0;
    }
    offset += instruction->length();
  }
  return false;
}

// The offsets, sorted, that branches inside the function go to; none if it cannot be decoded to its
// end. Indirect jumps are not followed: compilers use them for the arms of a switch, never to come
// back into a prologue.
std::optional<std::vector<uint64_t>> branch_targets(const Code& code) {
  std::vector<uint64_t> targets;
  for (uint64_t offset = 0; offset < code.size();) {
    const std::optional<Instruction> instruction = code.at(offset);
    if (!instruction) {
      return std::nullopt;
    }
    const std::optional<uint64_t> target = instruction->target(offset);
    if (target && !is_call(*instruction) && *target < code.size()) {
      targets.push_back(*target);
    }
    offset += instruction->length();
  }
  std::sort(targets.begin(), targets.end());
  return targets;
}

std::string text_of(const Instruction& instruction, uint64_t address) {
  ZydisFormatter formatter;
  std::array<char, 128> text{};
  if (!ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_ATT)) ||
      !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
          &formatter, &instruction.decoded, instruction.operands.data(),
          instruction.decoded.operand_count_visible, text.data(), text.size(), address, nullptr))) {
    return {};
  }
  return text.data();
}

}  // namespace

std::string_view to_string(Kind kind) {
  return kind == Kind::kEmulated ? "emulated" : "stepped";
}

Result<Site> place(std::span<const std::byte> bytes, uint64_t address, Abi abi) {
  const Code code(bytes);
  const std::optional<Instruction> entry = code.at(0);
  if (!entry) {
    return fail(ErrorCode::kMalformed, "The function does not begin with an x86-64 instruction.");
  }
  const auto site = [&](uint64_t offset, const Instruction& instruction, Kind kind, bool repeat) {
    return Site{offset, kind, repeat, text_of(instruction, address + offset)};
  };
  const std::optional<std::vector<uint64_t>> targets = branch_targets(code);
  const auto is_target = [&](uint64_t offset) {
    return !targets || std::binary_search(targets->begin(), targets->end(), offset);
  };
  // The entry is a target only of the block behind morestack.
  const bool grows = !targets || is_target(0);
  std::optional<Site> branch;
  uint64_t offset = 0;
  for (size_t i = 0; i < kMaxPrologue; ++i) {
    const std::optional<Instruction> instruction = code.at(offset);
    if (!instruction || (offset != 0 && is_target(offset))) {
      break;
    }
    const Emulation emulation = emulation_of(*instruction);
    const std::optional<uint64_t> target = instruction->target(offset);
    const bool check = is_conditional_branch(*instruction) && target && begins_anew(code, *target);
    if (emulation == Emulation::kStraight) {
      return site(offset, *instruction, Kind::kEmulated, offset == 0 && grows);
    }
    if (emulation == Emulation::kBranch && (!branch || branch->may_repeat)) {
      branch = site(offset, *instruction, Kind::kEmulated, check || (offset == 0 && grows));
    }
    const bool goes_on = check || !(is_conditional_branch(*instruction) || is_jump(*instruction) ||
                                    is_call(*instruction) || is_return(*instruction));
    if (!goes_on || writes_argument(*instruction, abi)) {
      break;
    }
    offset += instruction->length();
  }
  if (branch) {
    return *branch;
  }
  if (is_return(*entry) || is_refused(*entry)) {
    return fail(ErrorCode::kUnsupported, "The function begins with `" + text_of(*entry, address) +
                                             "`, where no uprobe can be.");
  }
  return site(0, *entry, Kind::kStepped, grows);
}

}  // namespace zerospan::symbols::probe
