// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// By hand what programs_test.cc sees in whole programs: the forms that Go's compiler has used, and
// code that only looks like them.
#include "symbols/probe/go_variables.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

namespace zerospan::symbols::probe {
namespace {

constexpr uint64_t kAddress = 0x401000;

std::vector<std::byte> code(std::initializer_list<int> bytes) {
  std::vector<std::byte> result;
  for (const int byte : bytes) {
    result.push_back(static_cast<std::byte>(byte));
  }
  return result;
}

TEST(GoVariables, TheIdsAreWhereABatchIsAdded) {
  // mov $0x10,%r10d; lea 0x100(%rip),%r11; lock xadd %r10,(%r11)
  EXPECT_EQ(find_goidgen(code({0x41, 0xba, 0x10, 0, 0, 0, 0x4c, 0x8d, 0x1d, 0, 1, 0, 0, 0xf0, 0x4d,
                               0x0f, 0xc1, 0x13}),
                         kAddress),
            kAddress + 13 + 0x100);
  // mov $0x10,%eax; lock xadd %rax,0x100(%rip)
  EXPECT_EQ(
      find_goidgen(code({0xb8, 0x10, 0, 0, 0, 0xf0, 0x48, 0x0f, 0xc1, 0x05, 0, 1, 0, 0}), kAddress),
      kAddress + 14 + 0x100);
}

TEST(GoVariables, AnotherNumberOrAnOverwrittenRegisterIsNone) {
  EXPECT_FALSE(find_goidgen(code({0xb8, 0x11, 0, 0, 0, 0xf0, 0x48, 0x0f, 0xc1, 0x05, 0, 1, 0, 0}),
                            kAddress));
  // mov $0x10,%eax; mov %rbx,%rax; lock xadd
  EXPECT_FALSE(find_goidgen(
      code({0xb8, 0x10, 0, 0, 0, 0x48, 0x89, 0xd8, 0xf0, 0x48, 0x0f, 0xc1, 0x05, 0, 1, 0, 0}),
      kAddress));
  // 32 bits
  EXPECT_FALSE(
      find_goidgen(code({0xb8, 0x10, 0, 0, 0, 0xf0, 0x0f, 0xc1, 0x05, 0, 1, 0, 0}), kAddress));
  EXPECT_FALSE(find_goidgen({}, kAddress));
}

TEST(GoVariables, TwoCandidatesAreNone) {
  EXPECT_FALSE(find_goidgen(code({0xb8, 0x10, 0, 0, 0, 0xf0, 0x48, 0x0f, 0xc1, 0x05, 0, 1, 0, 0,  //
                                  0xb8, 0x10, 0, 0, 0, 0xf0, 0x48, 0x0f, 0xc1, 0x05, 0, 2, 0, 0}),
                            kAddress));
}

TEST(GoVariables, ASliceIsThreeWordsInARow) {
  // mov 0x110(%rip),%rcx; mov 0x101(%rip),%rbx; mov %rax,0xf2(%rip)
  const auto three = code({0x48, 0x8b, 0x0d, 0x10, 1, 0, 0, 0x48, 0x8b, 0x1d, 0x01, 1, 0, 0,  //
                           0x48, 0x89, 0x05, 0xf2, 0, 0, 0});
  EXPECT_EQ(find_slices(three, kAddress), std::vector<uint64_t>{kAddress + 0x107});
  EXPECT_TRUE(find_slices(std::span(three).first(14), kAddress).empty());
}

TEST(GoVariables, TheThreadsOwnGoroutineIsBehindFs) {
  // mov %fs:-96,%rax
  EXPECT_EQ(find_tls(code({0x64, 0x48, 0x8b, 0x04, 0x25, 0xa0, 0xff, 0xff, 0xff}), kAddress), -96);
  // mov $-8,%rcx; mov %fs:(%rcx),%rax
  EXPECT_EQ(
      find_tls(code({0x48, 0xc7, 0xc1, 0xf8, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x01}), kAddress),
      -8);
  // mov %fs:(%rcx),%rax, with an %rcx that is not known
  EXPECT_FALSE(find_tls(code({0x64, 0x48, 0x8b, 0x01}), kAddress));
}

TEST(GoVariables, WhichOfAClosuresVariablesHasTheField) {
  constexpr uint32_t kField = 0x1b8;
  // mov 0x8(%rdx),%rcx; mov 0x10(%rdx),%rdi; mov 0x28(%rdx),%rdx; mov 0x1b8(%rcx),%ebx;
  // add $2,%ebx; mov %ebx,0x1b8(%rcx)
  const std::vector<std::byte> good =
      code({0x48, 0x8b, 0x4a, 0x08, 0x48, 0x8b, 0x7a, 0x10, 0x48, 0x8b, 0x52, 0x28,  //
            0x8b, 0x99, 0xb8, 1,    0,    0,    0x83, 0xc3, 2,    0x89, 0x99, 0xb8, 1, 0, 0});
  EXPECT_EQ(find_captured(good, kField), 8U);
  EXPECT_FALSE(find_captured(good, kField + 8));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(find_captured(std::span(good).first(size), kField)) << size;
  }
  // mov 0x10(%rdx),%rsi; addl $2,0x1b8(%rsi)
  EXPECT_EQ(find_captured(code({0x48, 0x8b, 0x72, 0x10, 0x83, 0x86, 0xb8, 1, 0, 0, 2}), kField),
            0x10U);
}

TEST(GoVariables, AClosureThatOnlyLooksLikeItHasNone) {
  constexpr uint32_t kField = 0x1b8;
  // Increased by one.
  EXPECT_FALSE(find_captured(code({0x48, 0x8b, 0x72, 0x10, 0x83, 0x86, 0xb8, 1, 0, 0, 1}), kField));
  // mov 0x8(%rdx),%rcx; mov 0x1b8(%rcx),%ebx; mov %ebx,0x1b8(%rcx): as it was.
  EXPECT_FALSE(find_captured(code({0x48, 0x8b, 0x4a, 0x08, 0x8b, 0x99, 0xb8, 1, 0, 0,  //
                                   0x89, 0x99, 0xb8, 1, 0, 0}),
                             kField));
  // mov 0x10(%rax),%rsi; addl $2,0x1b8(%rsi): not the closure's.
  EXPECT_FALSE(find_captured(code({0x48, 0x8b, 0x70, 0x10, 0x83, 0x86, 0xb8, 1, 0, 0, 2}), kField));
  // mov 0x10(%rdx),%rdx; mov 0x8(%rdx),%rsi; addl: rdx is another by then.
  EXPECT_FALSE(find_captured(code({0x48, 0x8b, 0x52, 0x10, 0x48, 0x8b, 0x72, 0x08,  //
                                   0x83, 0x86, 0xb8, 1, 0, 0, 2}),
                             kField));
  // Two structs with such a field.
  EXPECT_FALSE(find_captured(code({0x48, 0x8b, 0x72, 0x10, 0x83, 0x86, 0xb8, 1, 0, 0, 2,  //
                                   0x48, 0x8b, 0x7a, 0x18, 0x83, 0x87, 0xb8, 1, 0, 0, 2}),
                             kField));
}

TEST(GoVariables, WhereAStringIsStored) {
  constexpr uint32_t kField = 0x70;
  // mov %rcx,0x78(%rax); cmpl $0,(%rip); je +16; mov 0x70(%rax),%rcx; call +0; mov %rdx,(%r11);
  // mov %rcx,0x8(%r11); mov %rdx,0x70(%rax)
  const std::vector<std::byte> good =
      code({0x48, 0x89, 0x48, 0x78, 0x83, 0x3d, 0,    0,    0,    0,    0,
            0x74, 0x10, 0x48, 0x8b, 0x48, 0x70, 0xe8, 0,    0,    0,    0,
            0x49, 0x89, 0x13, 0x49, 0x89, 0x4b, 0x08, 0x48, 0x89, 0x50, 0x70});
  const auto store = find_string_store(good, kField);
  ASSERT_TRUE(store);
  EXPECT_EQ(store->offset, 11U);
  EXPECT_EQ(store->instruction, "jz");
  EXPECT_EQ(store->base, 10);  // rax, as linux/ptrace.h counts them
  EXPECT_EQ(store->field, kField);
  EXPECT_EQ(store->address, 12);
  EXPECT_FALSE(find_string_store(good, kField + 8));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(find_string_store(std::span(good).first(size), kField)) << size;
  }
  // The compiler aligns branches: data16 nop in front.
  std::vector<std::byte> padded = good;
  const std::vector<std::byte> nop = code({0x66, 0x90});
  padded.insert(padded.begin() + 11, nop.begin(), nop.end());
  ASSERT_TRUE(find_string_store(padded, kField));
  EXPECT_EQ(find_string_store(padded, kField)->offset, 13U);
  // Two such places.
  std::vector<std::byte> twice = good;
  twice.insert(twice.end(), good.begin(), good.end());
  EXPECT_FALSE(find_string_store(twice, kField));
}

TEST(GoVariables, WhatOnlyLooksLikeAStoredString) {
  constexpr uint32_t kField = 0x70;
  // Another struct's address: mov %rdx,0x70(%rbx).
  EXPECT_FALSE(find_string_store(
      code({0x48, 0x89, 0x48, 0x78, 0x83, 0x3d, 0, 0, 0, 0, 0, 0x74, 0, 0x48, 0x89, 0x53, 0x70}),
      kField));
  // Another address than at the branch: mov %rcx,%rdx in between.
  EXPECT_FALSE(find_string_store(code({0x48, 0x89, 0x48, 0x78, 0x83, 0x3d, 0,    0,    0,    0,
                                       0,    0x74, 0,    0x48, 0x89, 0xca, 0x48, 0x89, 0x50, 0x70}),
                                 kField));
  // Another struct: mov %rdx,%rax before the branch.
  EXPECT_FALSE(find_string_store(code({0x48, 0x89, 0x48, 0x78, 0x48, 0x89, 0xd0, 0x83, 0x3d, 0,
                                       0,    0,    0,    0,    0x74, 0,    0x48, 0x89, 0x50, 0x70}),
                                 kField));
  // A branch on something else: test %rdx,%rdx.
  EXPECT_FALSE(find_string_store(
      code({0x48, 0x89, 0x48, 0x78, 0x48, 0x85, 0xd2, 0x74, 0, 0x48, 0x89, 0x50, 0x70}), kField));
  // On the stack: mov %rcx,0x78(%rsp).
  EXPECT_FALSE(find_string_store(code({0x48, 0x89, 0x4c, 0x24, 0x78, 0x83, 0x3d, 0, 0, 0, 0, 0,
                                       0x74, 0, 0x48, 0x89, 0x54, 0x24, 0x70}),
                                 kField));
}

}  // namespace
}  // namespace zerospan::symbols::probe
