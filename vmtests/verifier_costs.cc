// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// verifier_costs OBJECT.bpf.o ...: loads each program, and prints what that cost this kernel's
// verifier, a line for each: OBJECT PROGRAM INSTRUCTIONS STATES, or OBJECT PROGRAM refused. Both
// numbers are of the last line of the verifier's log ("processed N insns ... peak_states M",
// kernel/bpf/verifier.c, print_verification_stats). Nothing is attached.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr unsigned kOnlyStatistics = 4;  // BPF_LOG_STATS of include/linux/bpf_verifier.h

struct ObjectDeleter {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

// From the verifier's log. Since 7.2 another line has the first word, too.
bool read_costs(const char* log, unsigned long* instructions, unsigned long* states) {
  constexpr const char* kLine =
      "processed %lu insns (limit %*u) max_states_per_insn %*u total_states %*u peak_states %lu";
  for (const char* at = std::strstr(log, "processed "); at != nullptr;
       at = std::strstr(at + 1, "processed ")) {
    if (std::sscanf(at, kLine, instructions, states) == 2) {
      return true;
    }
  }
  return false;
}

// Loads all programs of the file, or the one that is named. False: one of them was refused.
bool print_costs(const std::string& path, const std::string& only) {
  const std::unique_ptr<bpf_object, ObjectDeleter> object(
      bpf_object__open_file(path.c_str(), nullptr));
  if (!object) {
    std::fprintf(stderr, "verifier_costs: %s: %s\n", path.c_str(), std::strerror(errno));
    return false;
  }
  // Not the object's own, which is cut off behind 15 characters: NAME of NAME.bpf.o.
  const std::string name = std::filesystem::path(path).stem().stem();
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object.get()) {
    // Sizes are nothing to the verifier; that hash maps are preallocated it asks for before 6.1.
    if (bpf_map__type(map) == BPF_MAP_TYPE_HASH) {
      bpf_map__set_map_flags(map, bpf_map__map_flags(map) & ~static_cast<__u32>(BPF_F_NO_PREALLOC));
      bpf_map__set_max_entries(map, 64);
    }
  }
  struct Program {
    bpf_program* program;
    std::vector<char> log;
  };
  std::vector<Program> programs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    const bool wanted = only.empty() || only == bpf_program__name(program);
    bpf_program__set_autoload(program, wanted);
    if (wanted) {
      programs.push_back({program, std::vector<char>(4096)});
    }
  }
  for (Program& each : programs) {
    bpf_program__set_log_level(each.program, kOnlyStatistics);
    bpf_program__set_log_buf(each.program, each.log.data(), each.log.size());
  }
  const bool loaded = bpf_object__load(object.get()) == 0;
  if (!loaded && only.empty() && programs.size() > 1) {
    bool all = true;
    for (const Program& each : programs) {
      all = print_costs(path, bpf_program__name(each.program)) && all;
    }
    return all;
  }
  for (const Program& each : programs) {
    unsigned long instructions = 0;
    unsigned long states = 0;
    if (loaded && read_costs(each.log.data(), &instructions, &states)) {
      std::printf("%s %s %lu %lu\n", name.c_str(), bpf_program__name(each.program), instructions,
                  states);
    } else if (loaded) {
      std::fprintf(stderr, "verifier_costs: %s: the kernel's statistics cannot be read: %s\n",
                   bpf_program__name(each.program), each.log.data());
      return false;
    } else {
      std::printf("%s %s refused\n", name.c_str(), bpf_program__name(each.program));
    }
  }
  return loaded;
}

// What is refused is told as a result.
int say_nothing(libbpf_print_level, const char*, va_list) {
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "verifier_costs OBJECT.bpf.o ...\n");
    return 2;
  }
  libbpf_set_print(say_nothing);
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  for (int i = 1; i < argc; ++i) {
    print_costs(argv[i], "");
  }
  return 0;
}
