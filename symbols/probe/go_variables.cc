// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/probe/go_variables.h"

#include <Zydis/Zydis.h>

#include <algorithm>
#include <array>
#include <set>

namespace zerospan::symbols::probe {
namespace {

constexpr size_t kMaxSlices = 16;
constexpr int64_t kBatchOfIds = 16;  // runtime/proc.go, _GoidCacheBatch

struct Instruction {
  ZydisDecodedInstruction decoded{};
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};
  uint64_t address = 0;

  // What an operand in memory refers to, if that is relative to the code.
  [[nodiscard]] std::optional<uint64_t> target(const ZydisDecodedOperand& operand) const {
    ZyanU64 value = 0;
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.base != ZYDIS_REGISTER_RIP ||
        !ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded, &operand, address, &value))) {
      return std::nullopt;
    }
    return value;
  }
};

// One after the other; what cannot be decoded (data among the code) ends it.
template <typename Visit>
void for_each(std::span<const std::byte> code, uint64_t address, const Visit& visit) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  for (size_t offset = 0; offset < code.size();) {
    Instruction instruction;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code.data() + offset, code.size() - offset,
                                             &instruction.decoded, instruction.operands.data()))) {
      return;
    }
    instruction.address = address + offset;
    visit(instruction);
    offset += instruction.decoded.length;
  }
}

ZydisRegister whole(ZydisRegister part) {
  return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, part);
}

}  // namespace

std::optional<uint64_t> find_goidgen(std::span<const std::byte> code, uint64_t address) {
  // What registers were loaded with last, along the code: it is one stretch without branches.
  std::array<std::optional<int64_t>, ZYDIS_REGISTER_MAX_VALUE + 1> constants{};
  std::array<std::optional<uint64_t>, ZYDIS_REGISTER_MAX_VALUE + 1> addresses{};
  std::set<uint64_t> found;
  for_each(code, address, [&](const Instruction& at) {
    const ZydisDecodedOperand& first = at.operands[0];
    const ZydisDecodedOperand& second = at.operands[1];
    if (at.decoded.mnemonic == ZYDIS_MNEMONIC_XADD && second.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        second.size == 64 && constants.at(second.reg.value) == kBatchOfIds &&
        first.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      std::optional<uint64_t> target = at.target(first);
      if (!target && first.mem.index == ZYDIS_REGISTER_NONE && first.mem.disp.value == 0) {
        target = addresses.at(first.mem.base);
      }
      if (target) {
        found.insert(*target);
      }
    }
    if (first.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (first.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      const ZydisRegister reg = whole(first.reg.value);
      constants.at(reg).reset();
      addresses.at(reg).reset();
      if (at.decoded.mnemonic == ZYDIS_MNEMONIC_MOV &&
          second.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        constants.at(reg) = second.imm.value.s;
      } else if (at.decoded.mnemonic == ZYDIS_MNEMONIC_LEA) {
        addresses.at(reg) = at.target(second);
      }
    }
  });
  return found.size() == 1 ? std::optional(*found.begin()) : std::nullopt;
}

std::vector<uint64_t> find_slices(std::span<const std::byte> code, uint64_t address) {
  std::set<uint64_t> words;
  for_each(code, address, [&](const Instruction& at) {
    if (at.decoded.mnemonic != ZYDIS_MNEMONIC_MOV) {
      return;
    }
    for (size_t i = 0; i < 2; ++i) {
      if (const auto target = at.target(at.operands.at(i));
          target && at.operands.at(i).size == 64) {
        words.insert(*target);
      }
    }
  });
  std::vector<uint64_t> slices;
  for (const uint64_t word : words) {
    if (words.contains(word + 8) && words.contains(word + 16) && slices.size() < kMaxSlices) {
      slices.push_back(word);
    }
  }
  return slices;
}

std::optional<int64_t> find_tls(std::span<const std::byte> code, uint64_t address) {
  std::array<std::optional<int64_t>, ZYDIS_REGISTER_MAX_VALUE + 1> constants{};
  std::optional<int64_t> found;
  for_each(code, address, [&](const Instruction& at) {
    if (found || at.decoded.mnemonic != ZYDIS_MNEMONIC_MOV) {
      return;
    }
    const ZydisDecodedOperand& first = at.operands[0];
    const ZydisDecodedOperand& second = at.operands[1];
    if (first.type == ZYDIS_OPERAND_TYPE_REGISTER && second.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
      constants.at(whole(first.reg.value)) = second.imm.value.s;
    } else if (first.type == ZYDIS_OPERAND_TYPE_REGISTER && first.size == 64 &&
               second.type == ZYDIS_OPERAND_TYPE_MEMORY &&
               second.mem.segment == ZYDIS_REGISTER_FS && second.mem.index == ZYDIS_REGISTER_NONE) {
      if (second.mem.base == ZYDIS_REGISTER_NONE) {
        found = second.mem.disp.value;
      } else if (const auto base = constants.at(second.mem.base)) {
        found = *base + second.mem.disp.value;
      }
    }
  });
  return found;
}

std::optional<uint32_t> find_captured(std::span<const std::byte> code, uint32_t field) {
  // Which of the closure's variables a register was loaded with at the entry, before RDX has
  // another value. What branches do to it later need not be followed: the compiler keeps a variable
  // in one register unless it spills it, and loads it into the same one again.
  std::array<std::optional<uint32_t>, ZYDIS_REGISTER_MAX_VALUE + 1> captured{};
  std::array<ZydisRegister, ZYDIS_REGISTER_MAX_VALUE + 1> loaded{};  // of the field's struct
  std::array<bool, ZYDIS_REGISTER_MAX_VALUE + 1> increased{};
  bool entry = true;
  std::set<uint32_t> found;
  const auto is_field = [&](const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.size == 32 &&
           operand.mem.index == ZYDIS_REGISTER_NONE && operand.mem.disp.value == field;
  };
  for_each(code, 0, [&](const Instruction& at) {
    const ZydisDecodedOperand& first = at.operands[0];
    const ZydisDecodedOperand& second = at.operands[1];
    const bool move = at.decoded.mnemonic == ZYDIS_MNEMONIC_MOV;
    const bool adds_two = at.decoded.mnemonic == ZYDIS_MNEMONIC_ADD &&
                          second.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && second.imm.value.s == 2;
    const auto note = [&](ZydisRegister base) {
      if (const auto variable = captured.at(base)) {
        found.insert(*variable);
      }
    };
    if (is_field(first) && adds_two) {
      note(first.mem.base);
    } else if (is_field(first) && move && second.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      const ZydisRegister value = whole(second.reg.value);
      if (increased.at(value) && loaded.at(value) == first.mem.base) {
        note(first.mem.base);
      }
    }
    if (first.type != ZYDIS_OPERAND_TYPE_REGISTER ||
        (first.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) {
      return;
    }
    const ZydisRegister reg = whole(first.reg.value);
    if (entry && move && first.size == 64 && second.type == ZYDIS_OPERAND_TYPE_MEMORY &&
        second.mem.base == ZYDIS_REGISTER_RDX && second.mem.index == ZYDIS_REGISTER_NONE &&
        second.mem.disp.value > 0 && second.mem.disp.value <= 128) {
      captured.at(reg) = static_cast<uint32_t>(second.mem.disp.value);
    }
    entry = entry && reg != ZYDIS_REGISTER_RDX;
    increased.at(reg) = adds_two && loaded.at(reg) != ZYDIS_REGISTER_NONE;
    if (!adds_two) {
      loaded.at(reg) = move && is_field(second) ? second.mem.base : ZYDIS_REGISTER_NONE;
    }
  });
  return found.size() == 1 ? std::optional(*found.begin()) : std::nullopt;
}

}  // namespace zerospan::symbols::probe
