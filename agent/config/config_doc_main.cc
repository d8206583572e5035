// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// zerospan_config_doc FILE: writes docs/config.md.
#include <fstream>
#include <iostream>

#include "agent/config/document.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: zerospan_config_doc FILE\n";
    return 2;
  }
  std::ofstream file(argv[1], std::ios::binary);
  file << zerospan::config::config_document() << std::flush;
  if (!file) {
    std::cerr << "zerospan_config_doc: " << argv[1] << " cannot be written.\n";
    return 1;
  }
  return 0;
}
