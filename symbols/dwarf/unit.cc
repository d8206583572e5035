// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/dwarf/unit.h"

#include <algorithm>

#include "symbols/dwarf/constants.h"

namespace zerospan::symbols::dwarf {
namespace {

constexpr uint64_t kFormat64 = 0xffffffff;
constexpr uint64_t kFirstReservedLength = 0xfffffff0;

Value number(uint64_t value) {
  return {Value::Kind::kNumber, value, {}};
}

Value block(Reader& reader, uint64_t length) {
  // A member's offset as DWARF 2 and 3 wrote it, and as some compilers still do.
  if (length < 2 || length > 11) {
    reader.skip(length);
    return {};
  }
  const uint64_t end = reader.position() + length;
  if (reader.number(1) != kOpPlusUconst) {
    reader.skip(length - 1);
    return {};
  }
  const uint64_t offset = reader.uleb();
  if (reader.position() != end) {
    if (reader.position() < end) {
      reader.skip(end - reader.position());
    }
    return {};
  }
  return {Value::Kind::kMemberOffset, offset, {}};
}

Value skipped(Reader& reader, uint64_t bytes) {
  reader.skip(bytes);
  return {};
}

}  // namespace

std::optional<UnitHeader> read_unit_header(Reader& reader) {
  UnitHeader unit;
  unit.begin = reader.position();
  reader.set_limit(UINT64_MAX);
  uint64_t length = reader.number(4);
  if (length == kFormat64) {
    unit.offset_size = 8;
    length = reader.number(8);
  } else if (length >= kFirstReservedLength) {
    return std::nullopt;
  }
  if (reader.failed() || length > reader.size() - std::min(reader.size(), reader.position())) {
    return std::nullopt;
  }
  unit.end = reader.position() + length;
  reader.set_limit(unit.end);
  const auto version = static_cast<uint16_t>(reader.number(2));
  if (version < 2 || version > 5) {
    return reader.failed() ? std::nullopt : std::optional(unit);
  }
  unit.version = version;
  if (version == 5) {
    const uint64_t type = reader.number(1);
    unit.address_size = static_cast<uint8_t>(reader.number(1));
    unit.abbreviations = reader.number(unit.offset_size);
    if (type == kUnitSkeleton || type == kUnitSplitCompile) {
      reader.skip(8);
    } else if (type == kUnitType || type == kUnitSplitType) {
      reader.skip(8 + unit.offset_size);
    }
  } else {
    unit.abbreviations = reader.number(unit.offset_size);
    unit.address_size = static_cast<uint8_t>(reader.number(1));
  }
  return reader.failed() ? std::nullopt : std::optional(unit);
}

Value read_value(Reader& reader, const UnitHeader& unit, const AttributeSpec& spec) {
  uint64_t form = spec.form;
  if (form == kFormIndirect) {
    form = reader.uleb();
  }
  switch (form) {
    case kFormData1:
    case kFormFlag:
    case kFormRef1:
      return number(reader.number(1));
    case kFormData2:
    case kFormRef2:
      return number(reader.number(2));
    case kFormData4:
    case kFormRef4:
      return number(reader.number(4));
    case kFormData8:
    case kFormRef8:
      return number(reader.number(8));
    case kFormUdata:
    case kFormSdata:  // signed; no offset is negative
    case kFormRefUdata:
      return number(reader.uleb());
    case kFormFlagPresent:
      return number(1);
    case kFormImplicitConst:
      return number(spec.implicit);
    case kFormSecOffset:
      return number(reader.number(unit.offset_size));
    case kFormString: {
      const std::string_view text = reader.string();
      return {Value::Kind::kInlineString, 0, text};
    }
    case kFormStrp:
      return {Value::Kind::kStringOffset, reader.number(unit.offset_size), {}};
    case kFormLineStrp:
      return {Value::Kind::kLineStringOffset, reader.number(unit.offset_size), {}};
    case kFormStrx:
      return {Value::Kind::kStringIndex, reader.uleb(), {}};
    case kFormStrx1:
    case kFormStrx2:
    case kFormStrx3:
    case kFormStrx4:
      return {Value::Kind::kStringIndex, reader.number(form - kFormStrx1 + 1), {}};
    case kFormExprloc:
    case kFormBlock:
      return block(reader, reader.uleb());
    case kFormBlock1:
      return block(reader, reader.number(1));
    case kFormBlock2:
      return block(reader, reader.number(2));
    case kFormBlock4:
      return block(reader, reader.number(4));
    case kFormAddr:
      return skipped(reader, unit.address_size);
    case kFormRefAddr:  // as long as an address in DWARF 2
      return skipped(reader, unit.version == 2 ? unit.address_size : unit.offset_size);
    case kFormStrpSup:
    case kFormGnuRefAlt:
    case kFormGnuStrpAlt:
      return skipped(reader, unit.offset_size);
    case kFormAddrx:
    case kFormLoclistx:
    case kFormRnglistx:
      static_cast<void>(reader.uleb());
      return {};
    case kFormAddrx1:
    case kFormAddrx2:
    case kFormAddrx3:
    case kFormAddrx4:
      return skipped(reader, form - kFormAddrx1 + 1);
    case kFormRefSup4:
      return skipped(reader, 4);
    case kFormRefSig8:
    case kFormRefSup8:
      return skipped(reader, 8);
    case kFormData16:
      return skipped(reader, 16);
    default:
      reader.fail();
      return {};
  }
}

}  // namespace zerospan::symbols::dwarf
