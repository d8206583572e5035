// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// All that the agent wants to know of one Go program's file, in one value: made once per file,
// however many processes run it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/result.h"
#include "agent/core/unique_fd.h"
#include "symbols/elf/file.h"
#include "symbols/go/build_info.h"
#include "symbols/go/offsets.h"
#include "symbols/go/otel.h"
#include "symbols/go/runtime_data.h"
#include "symbols/go/version.h"
#include "symbols/probe/go_variables.h"
#include "symbols/probe/placement.h"

namespace zerospan::symbols::go {

struct ProbeSite {
  std::string function;
  uint64_t function_address = 0;  // virtual, as the file has it
  uint64_t function_size = 0;
  uint64_t address = 0;      // of the probe
  uint64_t file_offset = 0;  // of the probe: what perf_event_open and uprobe_multi take
  probe::Site site;
  std::optional<probe::StringStore> store;  // it is there, and not where the function begins
};

// A function of the program that is only to be known by its place.
struct CodeRange {
  std::string function;
  uint64_t address = 0;  // virtual, as the file has it
  uint64_t size = 0;
};

// Of grpc-go's client: the function inside of NewStream that gives the stream its number. It is the
// third that the source has there (1.45 to 1.85), and is taken only if its code does that.
inline constexpr std::string_view kGrpcNewStream =
    "google.golang.org/grpc/internal/transport.(*http2Client).NewStream.func3";

// These store the route which they have found, and their probe is there. ServeMux and chi store it
// into the http.Request; where that is not seen, their probe is where they begin.
inline constexpr std::string_view kServeMux = "net/http.(*ServeMux).ServeHTTP";
inline constexpr std::string_view kChiRouter = "github.com/go-chi/chi/v5.(*Mux).routeHTTP";
inline constexpr std::string_view kGinRouter =
    "github.com/gin-gonic/gin.(*Engine).handleHTTPRequest";
inline constexpr std::string_view kEchoRouter = "github.com/labstack/echo/v4.(*Router).Find";

// Immutable; any thread.
struct GoBinary {
  elf::Machine machine = elf::Machine::kX86_64;
  bool position_independent = false;
  uint64_t entry = 0;       // virtual, as the file has it
  std::string build_id;     // GNU's, in hexadecimal; empty if it has none
  std::string go_build_id;  // empty if it has none. Either identifies the file's contents.
  BuildInfo build;
  ToolchainVersion version;
  OtelModules otel;
  uint64_t function_count = 0;
  Offsets offsets;
  RuntimeData runtime;
  // Where the closure of kGrpcNewStream has its client, in bytes; none if there is no such probe.
  std::optional<uint32_t> grpc_new_stream_client;
  std::vector<CodeRange> ranges;  // of the functions that were asked for
  std::vector<ProbeSite> probes;  // in the order of the functions that were asked for
  // Functions that the program has, but that get no probe, with a sentence that says why.
  std::vector<std::pair<std::string, std::string>> unplaced;
  std::vector<std::string> notices;  // what could not be known, and why: whole sentences
};

struct InspectOptions {
  // The functions that get a probe site; the others' code is not looked at.
  std::vector<std::string> functions = default_functions();
  [[nodiscard]] static std::vector<std::string> default_functions();
  // The functions of which the place alone is wanted.
  std::vector<std::string> ranges = default_ranges();
  [[nodiscard]] static std::vector<std::string> default_ranges();
};

// kNotFound for what is no Go program, kMalformed or kUnsupported as elf::File::open says. A part
// that cannot be read (no table of functions, a version without ABIInternal, no site in a function)
// is a notice, not an error. A function that the program does not have is neither. Takes time in
// proportion to the file, and at most some 40 MiB of memory; throws nothing.
[[nodiscard]] Result<GoBinary> inspect(const std::string& path, const InspectOptions& options = {});
[[nodiscard]] Result<GoBinary> inspect(UniqueFd fd, const InspectOptions& options = {});
[[nodiscard]] Result<GoBinary> inspect(const elf::File& file, const InspectOptions& options = {});

}  // namespace zerospan::symbols::go
