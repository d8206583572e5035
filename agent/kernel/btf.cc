// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/kernel/btf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "agent/core/unique_fd.h"

namespace zerospan::kernel {

namespace {

constexpr const char* kOwn = "/sys/kernel/btf/vmlinux";
constexpr const char* kWhereToGetOne =
    "Give a file of exactly this kernel with --btf FILE (capture.btf): the vmlinux of the "
    "distribution's package with debug symbols (where it lies below /usr/lib/debug it is found "
    "without), after 'pahole -J vmlinux' if it has no section .BTF. A kernel that was built "
    "without CONFIG_DEBUG_INFO_BTF cannot be traced with any file, as those of btfhub-archive are";

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};
using BtfPtr = std::unique_ptr<btf, BtfDeleter>;

std::string_view bytes(const btf* types) {
  __u32 size = 0;
  const void* data = btf__raw_data(types, &size);
  return {static_cast<const char*>(data), data == nullptr ? 0 : size};
}

// The kernel's own as bpf(2) gives it: from 5.11 on, and with CAP_SYS_ADMIN. Else null.
BtfPtr from_kernel() {
  // It gets its number when a program is verified for the first time since boot.
  libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SOCKET_FILTER, nullptr);
  __u32 id = 0;
  while (bpf_btf_get_next_id(id, &id) == 0) {
    const UniqueFd fd(bpf_btf_get_fd_by_id(id));
    bpf_btf_info info{};
    char name[16] = {};
    info.name = reinterpret_cast<uintptr_t>(name);
    info.name_len = sizeof(name);
    __u32 size = sizeof(info);
    if (fd.valid() && bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 && info.kernel_btf != 0 &&
        std::string_view(name) == "vmlinux") {
      return BtfPtr(btf__load_from_kernel_by_id(id));
    }
  }
  return nullptr;
}

// libbpf reads the numbers of tracepoints from the kernel's own BTF alone, and refuses an object of
// type "tracing" before it looks at anything if there is none. So they are opened as another type,
// and become what they are when they are loaded.
int load_tracepoint(bpf_program* program, bpf_prog_load_opts* options, long cookie) {
  const std::string_view section = bpf_program__section_name(program);
  const std::string type = "btf_trace_" + std::string(section.substr(section.find('/') + 1));
  const __s32 id =
      btf__find_by_name_kind(reinterpret_cast<const btf*>(cookie), type.c_str(), BTF_KIND_TYPEDEF);
  if (id < 0) {
    return -ESRCH;  // as libbpf says it of a tracepoint that this kernel does not have
  }
  options->attach_btf_id = static_cast<__u32>(id);
  return bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
}

Status take_tracepoints_from(BtfPtr types) {
  static BtfPtr in_use;
  static int handler = 0;
  if (handler > 0) {
    libbpf_unregister_prog_handler(handler);
  }
  in_use = std::move(types);
  libbpf_prog_handler_opts options{};
  options.sz = sizeof(options);
  options.cookie = reinterpret_cast<long>(in_use.get());
  options.prog_prepare_load_fn = load_tracepoint;
  handler = libbpf_register_prog_handler("tp_btf+", BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_TRACE_RAW_TP,
                                         &options);
  return handler > 0 ? Status{}
                     : Status(tl::unexpected(error_from_errno(-handler, "registering tp_btf")));
}

}  // namespace

Result<KernelBtf> KernelBtf::find(const std::string& file) {
  KernelBtf found;
  found.is_shown_ = ::access(kOwn, R_OK) == 0;
  // The second finds a vmlinux in the places where distributions put it.
  if (found.is_shown_ || BtfPtr(btf__load_vmlinux_btf())) {
    return found;
  }
  if (file.empty()) {
    return fail(ErrorCode::kUnsupported,
                std::string("the kernel's types (BTF) cannot be read: ") + kOwn +
                    " is not there or not readable, and there is no vmlinux below /boot, "
                    "/lib/modules or /usr/lib/debug. " +
                    kWhereToGetOne);
  }
  const std::string where = "capture.btf: " + file;
  if (::access(file.c_str(), R_OK) != 0) {
    return tl::unexpected(error_from_errno(errno, where));
  }
  BtfPtr types(btf__parse(file.c_str(), nullptr));
  if (!types) {
    return fail(ErrorCode::kInvalidArgument,
                where + " is neither BTF nor an ELF file with a section .BTF. " + kWhereToGetOne);
  }
  if (btf__find_by_name_kind(types.get(), "btf_trace_sched_process_exit", BTF_KIND_TYPEDEF) < 0) {
    return fail(ErrorCode::kInvalidArgument,
                where + " has BTF, but not of a kernel with tracepoints. " + kWhereToGetOne);
  }
  if (const BtfPtr own = from_kernel()) {
    found.is_identical_ = bytes(own.get()) == bytes(types.get());
    if (!found.is_identical_) {
      return fail(ErrorCode::kInvalidArgument,
                  where + " is of another kernel than the one that runs. " + kWhereToGetOne);
    }
  }
  found.file_ = file;
  if (Status status = take_tracepoints_from(std::move(types)); !status) {
    return tl::unexpected(status.error());
  }
  return found;
}

bpf_object_open_opts KernelBtf::open_options() const {
  bpf_object_open_opts options{};
  options.sz = sizeof(options);
  options.btf_custom_path = file_.empty() ? nullptr : file_.c_str();
  return options;
}

std::string KernelBtf::description() const {
  if (file_.empty()) {
    return is_shown_ ? kOwn : "in a vmlinux file of this kernel";
  }
  return file_ + (is_identical_ ? ", the same as the running kernel's"
                                : ", not compared with the running kernel's");
}

int attach_skeleton(bpf_object_skeleton* skeleton) {
  if (const int error = bpf_object__attach_skeleton(skeleton); error != 0) {
    return error;
  }
  // Of a program whose type was set libbpf does not know how it is attached.
  for (int i = 0; i < skeleton->prog_cnt; ++i) {
    const bpf_prog_skeleton& each = skeleton->progs[i];
    if (*each.link == nullptr && bpf_program__type(*each.prog) == BPF_PROG_TYPE_TRACING &&
        bpf_program__autoload(*each.prog) && bpf_program__autoattach(*each.prog)) {
      *each.link = bpf_program__attach_trace(*each.prog);
      if (*each.link == nullptr) {
        return -errno;
      }
    }
  }
  return 0;
}

}  // namespace zerospan::kernel
