// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Every struct of bpf/abi/abi.h as clang laid it out for BPF (the built objects' BTF) and as this
// compiler does: the same size, and each field at the same place with the same size. A struct that
// no object has is a failure: either the kernel side does not use it, or this test cannot see it.
#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/abi/abi.h"

namespace {

struct Place {
  size_t offset;
  size_t size;
  bool operator==(const Place&) const = default;
};
struct Layout {
  size_t size = 0;
  std::map<std::string, Place> fields;
};

#define FIELD(type, name)                      \
  {                                            \
    #name, {                                   \
      offsetof(type, name), sizeof(type::name) \
    }                                          \
  }

const std::map<std::string, Layout>& compiled() {
  static const std::map<std::string, Layout> layouts = {
      {"zs_record_header",
       {sizeof(zs_record_header),
        {FIELD(zs_record_header, length), FIELD(zs_record_header, type),
         FIELD(zs_record_header, reserved)}}},
      {"zs_connection_record",
       {sizeof(zs_connection_record),
        {FIELD(zs_connection_record, header), FIELD(zs_connection_record, connection_id),
         FIELD(zs_connection_record, time_ns), FIELD(zs_connection_record, tgid),
         FIELD(zs_connection_record, family), FIELD(zs_connection_record, role),
         FIELD(zs_connection_record, seen_from_start), FIELD(zs_connection_record, local_port),
         FIELD(zs_connection_record, peer_port), FIELD(zs_connection_record, is_dns),
         FIELD(zs_connection_record, datagrams), FIELD(zs_connection_record, reserved),
         FIELD(zs_connection_record, socket), FIELD(zs_connection_record, local_address),
         FIELD(zs_connection_record, peer_address), FIELD(zs_connection_record, unix_path),
         FIELD(zs_connection_record, reserved2)}}},
      {"zs_data_record",
       {sizeof(zs_data_record),
        {FIELD(zs_data_record, header), FIELD(zs_data_record, connection_id),
         FIELD(zs_data_record, time_ns), FIELD(zs_data_record, departed_ns),
         FIELD(zs_data_record, offset), FIELD(zs_data_record, opposite_offset),
         FIELD(zs_data_record, request_id), FIELD(zs_data_record, thread_id),
         FIELD(zs_data_record, byte_count), FIELD(zs_data_record, head_bytes),
         FIELD(zs_data_record, tail_bytes), FIELD(zs_data_record, direction),
         FIELD(zs_data_record, evidence), FIELD(zs_data_record, reserved)}}},
      {"zs_datagram_record",
       {sizeof(zs_datagram_record),
        {FIELD(zs_datagram_record, header), FIELD(zs_datagram_record, connection_id),
         FIELD(zs_datagram_record, time_ns), FIELD(zs_datagram_record, peer_address),
         FIELD(zs_datagram_record, peer_port), FIELD(zs_datagram_record, peer_family),
         FIELD(zs_datagram_record, reserved)}}},
      {"zs_close_record",
       {sizeof(zs_close_record),
        {FIELD(zs_close_record, header), FIELD(zs_close_record, connection_id),
         FIELD(zs_close_record, time_ns), FIELD(zs_close_record, kind),
         FIELD(zs_close_record, reserved), FIELD(zs_close_record, offset)}}},
      {"zs_route_record",
       {sizeof(zs_route_record),
        {FIELD(zs_route_record, header), FIELD(zs_route_record, connection_id),
         FIELD(zs_route_record, time_ns), FIELD(zs_route_record, request_id),
         FIELD(zs_route_record, route_bytes), FIELD(zs_route_record, router),
         FIELD(zs_route_record, reserved), FIELD(zs_route_record, route)}}},
      {"zs_process_record",
       {sizeof(zs_process_record),
        {FIELD(zs_process_record, header), FIELD(zs_process_record, time_ns),
         FIELD(zs_process_record, tgid), FIELD(zs_process_record, parent_tgid),
         FIELD(zs_process_record, port), FIELD(zs_process_record, event),
         FIELD(zs_process_record, reserved)}}},
      {"zs_code", {sizeof(zs_code), {FIELD(zs_code, begin), FIELD(zs_code, end)}}},
      {"zs_go_process",
       {sizeof(zs_go_process),
        {FIELD(zs_go_process, goidgen),
         FIELD(zs_go_process, allgs),
         FIELD(zs_go_process, allp),
         FIELD(zs_go_process, transport),
         FIELD(zs_go_process, background),
         FIELD(zs_go_process, streams),
         FIELD(zs_go_process, tls),
         FIELD(zs_go_process, generation),
         FIELD(zs_go_process, g_goid),
         FIELD(zs_go_process, g_parent_goid),
         FIELD(zs_go_process, g_gopc),
         FIELD(zs_go_process, g_m),
         FIELD(zs_go_process, m_curg),
         FIELD(zs_go_process, m_g0),
         FIELD(zs_go_process, p_goidcache),
         FIELD(zs_go_process, persist_conn_conn),
         FIELD(zs_go_process, conn_fd),
         FIELD(zs_go_process, net_fd_family),
         FIELD(zs_go_process, net_fd_sotype),
         FIELD(zs_go_process, net_fd_sysfd),
         FIELD(zs_go_process, http2_servers),
         FIELD(zs_go_process, grpc_server_conn),
         FIELD(zs_go_process, grpc_stream_indirect),
         FIELD(zs_go_process, grpc_stream_id),
         FIELD(zs_go_process, grpc_client_conn),
         FIELD(zs_go_process, grpc_client_next_id),
         FIELD(zs_go_process, grpc_new_stream_client),
         FIELD(zs_go_process, checks_passed),
         FIELD(zs_go_process, checks_failed),
         FIELD(zs_go_process, state),
         FIELD(zs_go_process, descends)}}},
      {"zs_go_http2_server",
       {sizeof(zs_go_http2_server),
        {FIELD(zs_go_http2_server, server_conn), FIELD(zs_go_http2_server, writer_stream),
         FIELD(zs_go_http2_server, stream_id)}}},
      {"zs_stream_record",
       {sizeof(zs_stream_record),
        {FIELD(zs_stream_record, header), FIELD(zs_stream_record, connection_id),
         FIELD(zs_stream_record, time_ns), FIELD(zs_stream_record, request_id),
         FIELD(zs_stream_record, stream_id), FIELD(zs_stream_record, evidence),
         FIELD(zs_stream_record, reserved)}}},
      {"zs_injected_record",
       {sizeof(zs_injected_record),
        {FIELD(zs_injected_record, header), FIELD(zs_injected_record, connection_id),
         FIELD(zs_injected_record, time_ns), FIELD(zs_injected_record, offset),
         FIELD(zs_injected_record, trace_id), FIELD(zs_injected_record, span_id),
         FIELD(zs_injected_record, parent_id), FIELD(zs_injected_record, sampled),
         FIELD(zs_injected_record, evidence), FIELD(zs_injected_record, reserved)}}},
      {"zs_process",
       {sizeof(zs_process),
        {FIELD(zs_process, flags), FIELD(zs_process, ring), FIELD(zs_process, turns_from_ns),
         FIELD(zs_process, go)}}},
      {"zs_mute", {sizeof(zs_mute), {FIELD(zs_mute, socket), FIELD(zs_mute, connection_id)}}},
      {"zs_control",
       {sizeof(zs_control),
        {FIELD(zs_control, ticks_wanted), FIELD(zs_control, reserved), FIELD(zs_control, asleep),
         FIELD(zs_control, process_hints)}}},
  };
  return layouts;
}
#undef FIELD

struct BtfFree {
  void operator()(btf* object) const { btf__free(object); }
};
using Btf = std::unique_ptr<btf, BtfFree>;

constexpr auto kObjects = std::to_array<const char*>({ZEROSPAN_BPF_OBJECTS});

Layout layout_of(const btf* object, const btf_type* type) {
  Layout layout;
  layout.size = type->size;
  const btf_member* members = btf_members(type);
  for (__u16 i = 0; i < btf_vlen(type); ++i) {
    const std::string name = btf__name_by_offset(object, members[i].name_off);
    const __u32 bit = btf_member_bit_offset(type, i);
    EXPECT_EQ(bit % 8, 0U) << name;
    const __s64 size = btf__resolve_size(object, members[i].type);
    EXPECT_GT(size, 0) << name;
    layout.fields[name] = {bit / 8, static_cast<size_t>(size)};
  }
  return layout;
}

TEST(AbiLayout, TheObjectsAgreeWithThisCompiler) {
  std::set<std::string> found;
  for (const char* path : kObjects) {
    const Btf object(btf__parse_elf(path, nullptr));
    ASSERT_NE(object, nullptr) << path << " has no readable BTF";
    for (const auto& [name, expected] : compiled()) {
      const __s32 id = btf__find_by_name_kind(object.get(), name.c_str(), BTF_KIND_STRUCT);
      if (id < 0) {
        continue;
      }
      found.insert(name);
      const Layout layout =
          layout_of(object.get(), btf__type_by_id(object.get(), static_cast<__u32>(id)));
      EXPECT_EQ(layout.size, expected.size) << name << " in " << path;
      for (const auto& [field, place] : expected.fields) {
        const auto there = layout.fields.find(field);
        ASSERT_NE(there, layout.fields.end()) << path << " has no " << name << "::" << field;
        EXPECT_EQ(there->second.offset, place.offset) << name << "::" << field << " in " << path;
        EXPECT_EQ(there->second.size, place.size) << name << "::" << field << " in " << path;
      }
      for (const auto& [field, place] : layout.fields) {
        EXPECT_TRUE(expected.fields.contains(field))
            << "this test does not know " << name << "::" << field;
      }
    }
  }
  for (const auto& [name, expected] : compiled()) {
    EXPECT_TRUE(found.contains(name)) << "no object has struct " << name << ": it is not checked";
  }
}

TEST(AbiLayout, NoStructHasHiddenPadding) {
  for (const auto& [name, layout] : compiled()) {
    size_t named = 0;
    for (const auto& [field, place] : layout.fields) {
      named += place.size;
    }
    EXPECT_EQ(named, layout.size) << name;
  }
}

TEST(AbiLayout, TheTableHasEveryStructOfTheHeader) {
  // Read as text, so that a struct which is added there cannot be forgotten here.
  std::FILE* file = std::fopen("bpf/abi/abi.h", "re");
  ASSERT_NE(file, nullptr) << "run in the project's folder";
  std::array<char, 512> line{};
  std::set<std::string> declared;
  while (std::fgets(line.data(), static_cast<int>(line.size()), file) != nullptr) {
    const std::string_view text(line.data());
    constexpr std::string_view kStruct = "struct ";
    if (text.starts_with(kStruct) && text.find(" {") != std::string_view::npos) {
      declared.emplace(text.substr(kStruct.size(), text.find(" {") - kStruct.size()));
    }
  }
  std::fclose(file);
  std::set<std::string> known;
  for (const auto& [name, layout] : compiled()) {
    known.insert(name);
  }
  EXPECT_EQ(declared, known);
}

}  // namespace
