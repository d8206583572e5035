// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// How fast the machine is just now: work that no socket hook sees, half in the kernel and half in
// memory, on the core of the servers that are measured.
//
//   pace FILE
//
// runs until it is killed. FILE has how many turns it did, as a 64-bit number in host byte order.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: pace FILE\n", stderr);
    return 2;
  }
  const int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  std::array<int, 2> ends{};
  if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) != 0 || pipe(ends.data()) != 0) {
    std::perror("pace");
    return 1;
  }
  void* shared = mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) {
    std::perror("pace");
    return 1;
  }
  auto* turns = static_cast<std::atomic<uint64_t>*>(shared);
  std::vector<uint64_t> memory(16384);
  std::array<char, 256> bytes{};
  for (;;) {
    for (int i = 0; i < 8; ++i) {
      if (write(ends[1], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
          read(ends[0], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
        std::perror("pace");
        return 1;
      }
    }
    memory[0] =
        std::accumulate(memory.begin(), memory.end(), turns->load(std::memory_order_relaxed));
    turns->fetch_add(1, std::memory_order_relaxed);
  }
}
