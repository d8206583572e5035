// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Code as Go 1.26 makes it for arm64, and code that only looks like it.
#include "symbols/probe/arm64.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace zerospan::symbols::probe::arm64 {
namespace {

constexpr uint32_t kNop = 0xd503201f;
constexpr uint32_t kReturn = 0xd65f03c0;

std::vector<std::byte> code(const std::vector<uint32_t>& words) {
  std::vector<std::byte> bytes;
  for (const uint32_t word : words) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<std::byte>(word >> shift & 0xffU));
    }
  }
  return bytes;
}

Result<Site> place_go(const std::vector<uint32_t>& words) {
  return arm64::place(code(words), 0x401000, Abi::kGoInternal);
}

// ldr x16, [x28, #16]; sub x17, sp, #0x1c0; cmp x17, x16; b.ls grow; sub x20, sp, #0x240; ret;
// grow: stp x0, x1, [sp, #8]; mov x3, x30; bl; ldp x0, x1, [sp, #8]; b entry
const std::vector<uint32_t> kGrows = {0xf9400b90, 0xd10703f1, 0xeb10023f, 0x54000069,  //
                                      0xd10903f4, kReturn,                             //
                                      0xa90087e0, 0xaa1e03e3, 0x97f9d9e3, 0xa94087e0, 0x17fffff6};

TEST(Arm64Placement, TheBranchOfGosCheckOfTheStack) {
  const auto site = place_go(kGrows);
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->offset, 12U);
  EXPECT_EQ(site->kind, Kind::kEmulated);
  EXPECT_TRUE(site->may_repeat);
  EXPECT_EQ(site->instruction, "b.ls");
}

TEST(Arm64Placement, ALaterBranchIsPassedOnce) {
  std::vector<uint32_t> words = kGrows;
  words[3] = 0x54000089;                        // b.ls grow, one further
  words.insert(words.begin() + 4, 0xb4000040);  // cbz x0, +8
  words.back() = 0x17fffff5;                    // b entry
  const auto site = place_go(words);
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 16U);
  EXPECT_FALSE(site->may_repeat);
  EXPECT_EQ(site->instruction, "cbz");
}

TEST(Arm64Placement, NotBehindAWriteToAnArgument) {
  // What is written before the branch: mov x0, #1; mov x15, #1; mov x26, #1; mov x28, #1; sub sp;
  // str x30, [sp, #-96]!; cset, which the decoder does not know.
  for (const uint32_t word : {0xd2800020U, 0xd280002fU, 0xd280003aU, 0xd280003cU, 0xd10043ffU,
                              0xf81a0ffeU, 0x9a9f17e8U}) {
    const auto site = place_go({word, 0x54000049, kNop, kReturn});
    ASSERT_TRUE(site);
    EXPECT_EQ(site->offset, 0U) << std::hex << word;
    EXPECT_EQ(site->kind, Kind::kStepped);
  }
  // mov x16, #1 and cmp sp, x16 write none.
  EXPECT_EQ(place_go({0xd2800030, 0x54000049, kNop, kReturn})->offset, 4U);
  EXPECT_EQ(place_go({0xeb3063ff, 0x54000049, kNop, kReturn})->offset, 4U);
  // C has no arguments in X15.
  EXPECT_EQ(arm64::place(code({0xd280002f, 0x54000049, kNop, kReturn}), 0, Abi::kSystemV)->offset,
            4U);
}

TEST(Arm64Placement, NotWhereALoopComesBackTo) {
  // nop; head: cbz x0, +8; b head
  EXPECT_EQ(place_go({kNop, 0xb4000040, 0x17ffffff})->offset, 0U);
  EXPECT_EQ(place_go({kNop, 0xb4000040, kReturn})->offset, 4U);
}

TEST(Arm64Placement, WhereNoProbeCanBe) {
  EXPECT_EQ(place_go({}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(arm64::place(std::vector<std::byte>(3), 0, Abi::kGoInternal).error().code,
            ErrorCode::kMalformed);
  // ret; svc; ldaxr; udf; mrs
  for (const uint32_t word : {kReturn, 0xd4000001U, 0xc85ffd2aU, 0U, 0xd53bd040U}) {
    EXPECT_EQ(place_go({word, kReturn}).error().code, ErrorCode::kUnsupported) << std::hex << word;
  }
}

// orr x8, xzr, #16; adrp x9, +0x53d000; add x9, x9, #0xd00; ldaddal x8, x10, [x9]; add; b; and the
// same by a loop.
const std::vector<uint32_t> kBatch = {0xb27c03e8, 0xb00029e9, 0x91340129, 0xf8e8012a, 0x8b08014a,
                                      0x14000008, 0xb27c03e8, 0xb00029e9, 0x91340129, 0xc85ffd2a,
                                      0x8b08014a, 0xc81bfd2a, 0xb5ffffbb};

TEST(Arm64GoVariables, TheIdsAreWhereABatchIsAdded) {
  EXPECT_EQ(find_goidgen(code(kBatch), 0x63348), 0x5a0d00U);
  std::vector<uint32_t> other = kBatch;
  other[0] = 0xb27b03e8;  // 32
  EXPECT_FALSE(find_goidgen(code(other), 0x63348));
  other = kBatch;
  other[3] = 0xb8e8012a;  // of 32 bits
  EXPECT_FALSE(find_goidgen(code(other), 0x63348));
  other = kBatch;
  other.insert(other.begin() + 3, 0x97f9d9e3);  // a call in between
  EXPECT_FALSE(find_goidgen(code(other), 0x63348));
  other = kBatch;
  other.insert(other.end(), kBatch.begin(), kBatch.end());  // another variable
  EXPECT_FALSE(find_goidgen(code(other), 0x63fd0));
}

TEST(Arm64GoVariables, ASliceIsThreeWordsInARow) {
  // adrp x27, +0x543000; add x27, x27, #0xec0; ldp x0, x1, [x27]; adrp x27; ldr x2, [x27, #0xed0]
  const std::vector<uint32_t> words = {0xf0002a1b, 0x913b037b, 0xa9400760,
                                       0x91000421, 0xf0002a1b, 0xf9476b62};
  EXPECT_EQ(find_slices(code(words), 0x59810), std::vector<uint64_t>{0x59cec0});
  EXPECT_TRUE(find_slices(code({words.begin(), words.begin() + 4}), 0x59810).empty());
}

// ldp x6, x7, [x26, #8]; ldr w1, [x6, #408]; add x1, x1, #2; str w1, [x6, #408]
const std::vector<uint32_t> kNumbers = {0xf81a0ffe, 0xa9409f46, 0xb94198c1, 0x91000821, 0xb90198c1};

TEST(Arm64GoVariables, WhichOfAClosuresVariablesHasTheField) {
  EXPECT_EQ(find_captured(code(kNumbers), 408), 8U);
  EXPECT_FALSE(find_captured(code(kNumbers), 412));
  std::vector<uint32_t> other = kNumbers;
  other[3] = 0x91000421;  // one
  EXPECT_FALSE(find_captured(code(other), 408));
  other = kNumbers;
  other.insert(other.begin(), 0xd280003a);  // mov x26, #1
  EXPECT_FALSE(find_captured(code(other), 408));
  other = kNumbers;
  other[4] = 0xb90198e1;  // into the struct in x7
  EXPECT_FALSE(find_captured(code(other), 408));
}

// str x3, [x8, #240]; adrp x27; ldr w3, [x27, #2432]; cbz w3; ldp x9, x10, [x8, #264];
// ldr x11, [x8, #232]; bl; stp x2, x11, [x25]; str x2, [x8, #232]
const std::vector<uint32_t> kStore = {0xf9007903, 0xd0001e1b, 0xb9498363, 0x340000e3, 0xa950a909,
                                      0xf940750b, 0x97fa394e, 0xa9002f22, 0xf9007502};

TEST(Arm64GoVariables, WhereAStringIsStored) {
  const auto store = find_string_store(code(kStore), 232);
  ASSERT_TRUE(store);
  EXPECT_EQ(store->offset, 12U);
  EXPECT_EQ(store->instruction, "cbz");
  EXPECT_EQ(store->field, 232U);
  EXPECT_EQ(store->base, 8);
  EXPECT_EQ(store->address, 2);
  EXPECT_FALSE(find_string_store(code(kStore), 240));
  for (size_t size = 0; size < kStore.size(); ++size) {
    const std::vector<uint32_t> part(kStore.begin(), kStore.begin() + static_cast<int64_t>(size));
    EXPECT_FALSE(find_string_store(code(part), 232)) << size;
  }
  std::vector<uint32_t> twice = kStore;
  twice.insert(twice.end(), kStore.begin(), kStore.end());
  EXPECT_FALSE(find_string_store(code(twice), 232));
}

TEST(Arm64GoVariables, WhatOnlyLooksLikeAStoredString) {
  const auto with = [](size_t index, uint32_t word) {
    std::vector<uint32_t> words = kStore;
    words[index] = word;
    return find_string_store(code(words), 232);
  };
  EXPECT_FALSE(with(2, 0xf9498363));  // a flag of 64 bits
  EXPECT_FALSE(with(3, 0x340000e4));  // another register is asked
  EXPECT_FALSE(with(5, 0xf9407502));  // ldr x2: another address than at the branch
  EXPECT_FALSE(with(5, 0xf9407508));  // ldr x8: another struct
  EXPECT_FALSE(with(8, 0xf9007522));  // into the struct in x9
}

}  // namespace
}  // namespace zerospan::symbols::probe::arm64
