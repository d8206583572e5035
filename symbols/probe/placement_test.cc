// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/probe/placement.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace zerospan::symbols::probe {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) {
    bytes.push_back(static_cast<std::byte>(value));
  }
  return bytes;
}

Result<Site> place_go(std::initializer_list<int> code) {
  return place(bytes_of(code), 0x401000, Abi::kGoInternal);
}

TEST(Placement, PushBehindGosCheckOfTheStack) {
  const auto site = place_go({
      0x49, 0x3b, 0x66, 0x10,        // cmp 0x10(%r14),%rsp
      0x76, 0x0a,                    // jbe grow
      0x55,                          // push %rbp
      0x48, 0x89, 0xe5,              // mov %rsp,%rbp
      0x48, 0x83, 0xec, 0x10,        // sub $0x10,%rsp
      0x5d, 0xc3,                    // pop %rbp; ret
      0x48, 0x89, 0x44, 0x24, 0x08,  // grow: mov %rax,8(%rsp)
      0xe8, 0x00, 0x10, 0x00, 0x00,  // call morestack
      0x48, 0x8b, 0x44, 0x24, 0x08,  // mov 8(%rsp),%rax
      0xeb, 0xdf,                    // jmp entry
  });
  ASSERT_TRUE(site) << site.error().message;
  EXPECT_EQ(site->offset, 6U);
  EXPECT_EQ(site->kind, Kind::kEmulated);
  EXPECT_FALSE(site->may_repeat);
  EXPECT_EQ(site->instruction, "push %rbp");
}

TEST(Placement, ABranchThatIsNoCheckOfTheStackEndsTheSearch) {
  // test %rax,%rax; je +1; push %rbp; ret: push is passed by some calls only, je by all.
  const auto site = place_go({0x48, 0x85, 0xc0, 0x74, 0x01, 0x55, 0xc3});
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 3U);
  EXPECT_EQ(site->kind, Kind::kEmulated);
  EXPECT_FALSE(site->may_repeat);
}

TEST(Placement, NotBehindAWriteToAnArgument) {
  // mov $1,%eax; push %rbp; ret: writing EAX writes RAX.
  const auto site = place_go({0xb8, 1, 0, 0, 0, 0x55, 0xc3});
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 0U);
  EXPECT_EQ(site->kind, Kind::kStepped);
  // C's ABI does not use RAX, but RDI.
  const auto c = place(bytes_of({0xb8, 1, 0, 0, 0, 0x55, 0xc3}), 0, Abi::kSystemV);
  EXPECT_EQ(c->offset, 5U);
  EXPECT_EQ(place(bytes_of({0xbf, 1, 0, 0, 0, 0x55, 0xc3}), 0, Abi::kSystemV)->offset, 0U);
  // sub $0x10,%rsp; nop; ret
  EXPECT_EQ(place_go({0x48, 0x83, 0xec, 0x10, 0x90, 0xc3})->kind, Kind::kStepped);
}

TEST(Placement, NotWhereALoopComesBackTo) {
  // mov %rax,%rdx; head: nop; dec %rdx; jne head; ret
  const auto site = place_go({0x48, 0x89, 0xc2, 0x90, 0x48, 0xff, 0xca, 0x75, 0xfa, 0xc3});
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 0U);
  EXPECT_EQ(site->kind, Kind::kStepped);
  // The same without the loop.
  EXPECT_EQ(place_go({0x48, 0x89, 0xc2, 0x90, 0x48, 0xff, 0xca, 0xc3})->offset, 3U);
}

TEST(Placement, NothingIsProvedOfCodeThatCannotBeDecoded) {
  // mov %rax,%rdx; nop; ret; what no processor knows in 64 bits
  const auto site = place_go({0x48, 0x89, 0xc2, 0x90, 0xc3, 0x06});
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 0U);
  EXPECT_EQ(site->kind, Kind::kStepped);
  EXPECT_TRUE(site->may_repeat);
}

TEST(Placement, OnlyWhatEveryKernelEmulates) {
  EXPECT_EQ(place_go({0x41, 0x54, 0xc3})->kind, Kind::kEmulated);              // push %r12
  EXPECT_EQ(place_go({0x48, 0x55, 0xc3})->kind, Kind::kStepped);               // REX.W push
  EXPECT_EQ(place_go({0xf3, 0x90, 0xc3})->kind, Kind::kStepped);               // pause
  EXPECT_EQ(place_go({0x66, 0x90, 0xc3})->kind, Kind::kStepped);               // nop of two bytes
  EXPECT_EQ(place_go({0x0f, 0x1f, 0x44, 0, 0, 0xc3})->kind, Kind::kStepped);   // nop of five
  EXPECT_EQ(place_go({0x6a, 0x01, 0xc3})->kind, Kind::kStepped);               // push $1
  EXPECT_EQ(place_go({0xff, 0xe2})->kind, Kind::kStepped);                     // jmp *%rdx
  EXPECT_EQ(place_go({0xe9, 0, 1, 0, 0})->kind, Kind::kEmulated);              // jmp
  EXPECT_EQ(place_go({0xe8, 0, 1, 0, 0, 0xc3})->kind, Kind::kEmulated);        // call
  EXPECT_EQ(place_go({0x0f, 0x84, 0, 1, 0, 0, 0xc3})->kind, Kind::kEmulated);  // je
}

TEST(Placement, BeforeTheFirstCall) {
  // mov %rax,%rdx; call; nop; ret: the call can be probed, what is behind it not.
  const auto site = place_go({0x48, 0x89, 0xc2, 0xe8, 0, 1, 0, 0, 0x90, 0xc3});
  EXPECT_EQ(site->offset, 3U);
}

TEST(Placement, AFunctionThatOnlyReturnsHasNoSite) {
  EXPECT_EQ(place_go({0xc3}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(place_go({0xcc}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(place_go({0xf0, 0x48, 0xff, 0x00, 0xc3}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(place_go({}).error().code, ErrorCode::kMalformed);
  EXPECT_EQ(place_go({0x06}).error().code, ErrorCode::kMalformed);
}

TEST(Placement, ALeafIsProbedAtItsEntry) {
  // mov 8(%rax),%rcx; ret writes an argument's register at once
  const auto site = place_go({0x48, 0x8b, 0x48, 0x08, 0xc3});
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 0U);
  EXPECT_EQ(site->kind, Kind::kStepped);
  EXPECT_FALSE(site->may_repeat);
}

TEST(Placement, ACheckOfTheStackAloneMayRepeat) {
  // cmp 0x10(%r14),%rsp; jbe grow; mov $1,%eax; ret; grow: call; jmp entry
  const auto site = place_go({0x49, 0x3b, 0x66, 0x10, 0x76, 0x06, 0xb8, 1, 0, 0, 0, 0xc3,  //
                              0xe8, 0, 1, 0, 0, 0xeb, 0xed});
  ASSERT_TRUE(site);
  EXPECT_EQ(site->offset, 4U);
  EXPECT_EQ(site->kind, Kind::kEmulated);
  EXPECT_TRUE(site->may_repeat);
}

}  // namespace
}  // namespace zerospan::symbols::probe
