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

namespace {

// Go's code has the instructions of one assignment close together.
constexpr size_t kMaxBetween = 16;

std::optional<uint8_t> word_in_pt_regs(ZydisRegister reg) {
  constexpr auto kWords = std::to_array<ZydisRegister>(
      {ZYDIS_REGISTER_R15, ZYDIS_REGISTER_R14, ZYDIS_REGISTER_R13, ZYDIS_REGISTER_R12,
       ZYDIS_REGISTER_RBP, ZYDIS_REGISTER_RBX, ZYDIS_REGISTER_R11, ZYDIS_REGISTER_R10,
       ZYDIS_REGISTER_R9, ZYDIS_REGISTER_R8, ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_RCX,
       ZYDIS_REGISTER_RDX, ZYDIS_REGISTER_RSI, ZYDIS_REGISTER_RDI});
  const auto* const found = std::find(kWords.begin(), kWords.end(), reg);
  return found == kWords.end() ? std::nullopt
                               : std::optional(static_cast<uint8_t>(found - kWords.begin()));
}

bool writes(const Instruction& at, ZydisRegister reg) {
  return std::any_of(at.operands.begin(), at.operands.begin() + at.decoded.operand_count,
                     [&](const ZydisDecodedOperand& operand) {
                       return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
                              (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
                              whole(operand.reg.value) == reg;
                     });
}

// mov %value, field(%base), of 64 bits.
bool stores(const Instruction& at, uint32_t field) {
  const ZydisDecodedOperand& to = at.operands[0];
  return at.decoded.mnemonic == ZYDIS_MNEMONIC_MOV && to.type == ZYDIS_OPERAND_TYPE_MEMORY &&
         to.size == 64 && to.mem.index == ZYDIS_REGISTER_NONE && to.mem.disp.value == field &&
         word_in_pt_regs(to.mem.base) && at.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
         word_in_pt_regs(at.operands[1].reg.value);
}

// cmpl $0, runtime.writeBarrier(%rip)
bool asks_for_barrier(const Instruction& at) {
  return at.decoded.mnemonic == ZYDIS_MNEMONIC_CMP &&
         at.operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY && at.operands[0].size == 32 &&
         at.operands[0].mem.base == ZYDIS_REGISTER_RIP &&
         at.operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && at.operands[1].imm.value.s == 0;
}

bool branches_on_equal(const Instruction& at) {
  return (at.decoded.mnemonic == ZYDIS_MNEMONIC_JZ || at.decoded.mnemonic == ZYDIS_MNEMONIC_JNZ) &&
         at.decoded.raw.prefix_count == 0;
}

bool goes_elsewhere(const Instruction& at) {
  return at.decoded.meta.category == ZYDIS_CATEGORY_COND_BR ||
         at.decoded.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
         at.decoded.meta.category == ZYDIS_CATEGORY_RET;
}

// The store of the length is at `code[0]`.
std::optional<StringStore> string_store_at(std::span<const Instruction> code, uint32_t field) {
  const ZydisRegister base = code[0].operands[0].mem.base;
  size_t branch = 0;
  bool asks = false;
  std::set<ZydisRegister> changed;
  for (size_t i = 1; i < std::min(code.size(), kMaxBetween); ++i) {
    const Instruction& at = code[i];
    if (branch == 0) {
      const bool asked = asks;  // and nothing but padding was in between
      asks = asks_for_barrier(at) || (asks && at.decoded.mnemonic == ZYDIS_MNEMONIC_NOP);
      if (branches_on_equal(at) && asked) {
        branch = i;
      } else if (goes_elsewhere(at) || at.decoded.meta.category == ZYDIS_CATEGORY_CALL ||
                 writes(at, base)) {
        return std::nullopt;
      }
      continue;
    }
    if (stores(at, field) && at.operands[0].mem.base == base) {
      const ZydisRegister address = at.operands[1].reg.value;
      if (changed.contains(address)) {
        return std::nullopt;
      }
      return StringStore{.offset = code[branch].address,
                         .instruction = ZydisMnemonicGetString(code[branch].decoded.mnemonic),
                         .field = field,
                         .base = *word_in_pt_regs(base),
                         .address = *word_in_pt_regs(address)};
    }
    // The call between is of the garbage collector's, which changes no register but its result.
    if (goes_elsewhere(at) || writes(at, base)) {
      return std::nullopt;
    }
    for (const ZydisDecodedOperand& operand : at.operands) {
      if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
          (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
        changed.insert(whole(operand.reg.value));
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<StringStore> find_string_store(std::span<const std::byte> code, uint32_t field) {
  std::vector<Instruction> instructions;
  for_each(code, 0, [&](const Instruction& at) { instructions.push_back(at); });
  std::optional<StringStore> found;
  for (size_t i = 0; i < instructions.size(); ++i) {
    if (!stores(instructions[i], field + sizeof(uint64_t))) {
      continue;
    }
    auto store = string_store_at(std::span(instructions).subspan(i), field);
    if (store && found) {
      return std::nullopt;
    }
    found = store ? std::move(store) : std::move(found);
  }
  return found;
}

}  // namespace zerospan::symbols::probe
