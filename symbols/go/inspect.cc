// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/inspect.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "symbols/elf/notes.h"
#include "symbols/go/pclntab.h"
#include "symbols/probe/arm64.h"
#include "symbols/probe/go_variables.h"

namespace zerospan::symbols::go {
namespace {

// Arguments are in registers from this version on (ABIInternal).
constexpr Version kFirstWithRegisters{1, 17, 0};
constexpr Version kFirstWithRegistersOnArm64{1, 18, 0};
// Larger functions are only generated ones; of theirs the beginning is looked at.
constexpr uint64_t kMaxFunctionBytes = 256 * 1024;

// How a processor's code is read.
struct CodeReader {
  decltype(&probe::place) place;
  decltype(&probe::find_goidgen) find_goidgen;
  decltype(&probe::find_slices) find_slices;
  decltype(&probe::find_captured) find_captured;
  decltype(&probe::find_string_store) find_string_store;
};

const CodeReader& reader_of(const elf::File& file) {
  static constexpr CodeReader kX86{probe::place, probe::find_goidgen, probe::find_slices,
                                   probe::find_captured, probe::find_string_store};
  static constexpr CodeReader kArm64{probe::arm64::place, probe::arm64::find_goidgen,
                                     probe::arm64::find_slices, probe::arm64::find_captured,
                                     probe::arm64::find_string_store};
  return file.machine() == elf::Machine::kX86_64 ? kX86 : kArm64;
}

Result<ProbeSite> place_probe(const elf::File& file, const std::string& name,
                              const Function& function) {
  const std::optional<uint64_t> offset = file.file_offset(function.address);
  if (!offset) {
    return fail(ErrorCode::kMalformed, "The function's code is not in the file.");
  }
  const auto code = elf::read_bytes(file.source(), *offset,
                                    std::min(function.size, kMaxFunctionBytes), kMaxFunctionBytes);
  if (!code) {
    return tl::unexpected(code.error());
  }
  auto site = reader_of(file).place(*code, function.address, probe::Abi::kGoInternal);
  if (!site) {
    return tl::unexpected(site.error());
  }
  return ProbeSite{.function = name,
                   .function_address = function.address,
                   .function_size = function.size,
                   .address = function.address + site->offset,
                   .file_offset = *offset + site->offset,
                   .site = std::move(*site),
                   .store = std::nullopt};
}

// What the code of a function of the runtime says.
template <typename Find>
auto read_code(const elf::File& file, const std::optional<Function>& function, const Find& find)
    -> decltype(find({}, 0)) {
  const auto offset = function ? file.file_offset(function->address) : std::nullopt;
  if (!offset) {
    return {};
  }
  const auto code = elf::read_bytes(file.source(), *offset,
                                    std::min(function->size, kMaxFunctionBytes), kMaxFunctionBytes);
  if (!code) {
    return {};
  }
  return find(*code, function->address);
}

void find_functions(const elf::File& file, const FunctionTable& table,
                    const InspectOptions& options, GoBinary& binary) {
  std::vector<std::string_view> names = {"runtime.newproc1", "runtime.allgadd",
                                         "runtime.systemstack", "runtime.procresize"};
  for (const std::string& name : options.ranges) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  const size_t ours = names.size();
  if (binary.otel.sdk) {
    for (const std::string_view name : otel_functions()) {
      names.push_back(name);
    }
  }
  const auto functions = table.find(names);
  if (!functions) {
    return;  // place_probes() says why
  }
  narrow(std::span(*functions).subspan(ours), binary.otel);
  const CodeReader& reader = reader_of(file);
  binary.runtime.goidgen = read_code(file, (*functions)[0], reader.find_goidgen);
  if (const auto slices = read_code(file, (*functions)[1], reader.find_slices);
      slices.size() == 1) {
    binary.runtime.allgs = slices[0];
  }
  if (file.machine() == elf::Machine::kX86_64) {
    binary.runtime.tls = read_code(file, (*functions)[2], probe::find_tls);
  }
  binary.runtime.maybe_allp = read_code(file, (*functions)[3], reader.find_slices);
  for (size_t i = 4; i < ours; ++i) {
    if (const auto& found = (*functions)[i]) {
      binary.ranges.push_back({std::string(names[i]), found->address, found->size});
    }
  }
}

// Routers that store the route which they have found: into which field.
std::optional<Field> stored_route(std::string_view function) {
  if (function == kServeMux || function == kChiRouter) {
    return Field::kRequestPattern;
  }
  if (function == kGinRouter) {
    return Field::kGinContextFullPath;
  }
  return function == kEchoRouter ? std::optional(Field::kEchoContextPath) : std::nullopt;
}

// False: it is not seen where the function does that.
bool place_at_store(const elf::File& file, const std::string& name, const Function& function,
                    Field field, GoBinary& binary) {
  ProbeSite site;
  site.function = name;
  site.function_address = function.address;
  site.function_size = function.size;
  site.site.kind = probe::Kind::kEmulated;
  const std::optional<uint32_t> offset = binary.offsets.get(field);
  site.store = read_code(file, function, [&](std::span<const std::byte> code, uint64_t) {
    return offset ? reader_of(file).find_string_store(code, *offset) : std::nullopt;
  });
  if (!site.store) {
    return false;
  }
  site.site.offset = site.store->offset;
  site.site.instruction = site.store->instruction;
  site.address = function.address + site.store->offset;
  site.file_offset = *file.file_offset(function.address) + site.store->offset;
  binary.probes.push_back(std::move(site));
  return true;
}

void place_probes(const elf::File& file, const InspectOptions& options, GoBinary& binary) {
  const auto table = FunctionTable::open(file);
  if (!table) {
    binary.notices.push_back(table.error().message);
    return;
  }
  binary.function_count = table->function_count();
  if (binary.version.number < (file.machine() == elf::Machine::kX86_64
                                   ? kFirstWithRegisters
                                   : kFirstWithRegistersOnArm64)) {
    binary.notices.push_back("In " + binary.build.go_version +
                             " arguments are on the stack; probes need them in registers.");
    return;
  }
  find_functions(file, *table, options, binary);
  std::vector<std::string_view> names;
  for (const std::string& name : options.functions) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      names.push_back(name);
    }
  }
  const auto functions = table->find(names);
  if (!functions) {
    binary.notices.push_back(functions.error().message);
    return;
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (!(*functions)[i]) {
      continue;
    }
    const std::string name(names[i]);
    if (name == kGrpcNewStream) {
      const auto next_id = binary.offsets.get(Field::kGrpcHttp2ClientNextId);
      binary.grpc_new_stream_client =
          read_code(file, (*functions)[i], [&](std::span<const std::byte> code, uint64_t) {
            return next_id ? reader_of(file).find_captured(code, *next_id) : std::nullopt;
          });
      if (!binary.grpc_new_stream_client) {
        binary.unplaced.emplace_back(name, "It does not give streams their numbers.");
        continue;
      }
    }
    if (const auto field = stored_route(name)) {
      if (place_at_store(file, name, *(*functions)[i], *field, binary)) {
        continue;
      }
      if (*field != Field::kRequestPattern) {
        binary.unplaced.emplace_back(name, binary.offsets.get(*field)
                                               ? "It is not seen where it stores the route."
                                               : "The layout of its context is not known.");
        continue;
      }
    }
    if (auto site = place_probe(file, name, *(*functions)[i])) {
      binary.probes.push_back(std::move(*site));
    } else {
      binary.unplaced.emplace_back(name, site.error().message);
    }
  }
}

}  // namespace

std::vector<std::string> InspectOptions::default_functions() {
  return {
      "net/http.(*persistConn).roundTrip",
      "net/http.serverHandler.ServeHTTP",
      "net/http.(*ServeMux).ServeHTTP",
      "github.com/go-chi/chi/v5.(*Mux).routeHTTP",
      std::string(kGinRouter),
      std::string(kEchoRouter),
      "github.com/gorilla/mux.requestWithRoute",
      "github.com/gofiber/fiber/v2.(*App).handler.deferwrap1",
      "net/http.(*http2ClientConn).RoundTrip",
      "net/http.(*http2clientStream).writeRequest",
      "net/http.(*http2serverConn).runHandler",
      "net/http/internal/http2.(*ClientConn).RoundTrip",
      "net/http/internal/http2.(*clientStream).writeRequest",
      "net/http/internal/http2.(*serverConn).runHandler",
      "golang.org/x/net/http2.(*ClientConn).RoundTrip",
      "golang.org/x/net/http2.(*clientStream).writeRequest",
      "golang.org/x/net/http2.(*serverConn).runHandler",
      std::string(kGrpcNewStream),
      "google.golang.org/grpc.(*Server).handleStream",
      "crypto/tls.(*Conn).Read",
      "crypto/tls.(*Conn).Write",
  };
}

std::vector<std::string> InspectOptions::default_ranges() {
  return {
      "net/http.(*Transport).dialConn",
      "net/http.(*connReader).startBackgroundRead",
      "net/http.(*http2ClientConn).RoundTrip",
      "net/http.(*http2ClientConn).roundTrip",
      "net/http/internal/http2.(*ClientConn).RoundTrip",
      "net/http/internal/http2.(*ClientConn).roundTrip",
      "golang.org/x/net/http2.(*ClientConn).RoundTrip",
      "golang.org/x/net/http2.(*ClientConn).roundTrip",
  };
}

Result<GoBinary> inspect(const elf::File& file, const InspectOptions& options) {
  auto build = read_build_info(file);
  if (!build) {
    return tl::unexpected(build.error());
  }
  const auto version = parse_toolchain_version(build->go_version);
  if (!version) {
    return fail(ErrorCode::kUnsupported, "The version of Go is not understood.");
  }
  GoBinary binary;
  binary.machine = file.machine();
  binary.position_independent = file.position_independent();
  binary.entry = file.entry();
  binary.build_id = elf::build_id(file);
  binary.go_build_id = elf::go_build_id(file);
  binary.build = std::move(*build);
  binary.version = *version;
  binary.otel = find_otel(binary.build);
  if (auto offsets = dwarf_offsets(file)) {
    binary.offsets = *offsets;
  } else {
    binary.offsets = table_offsets(binary.build, binary.machine);
    if (offsets.error().code != ErrorCode::kNotFound) {
      binary.notices.push_back("Its DWARF is not used: " + offsets.error().message);
    }
    if (!binary.offsets.get(Field::kGoid)) {
      binary.notices.push_back("It has no DWARF, and no table has the layouts of " +
                               binary.build.go_version + ".");
    }
  }
  place_probes(file, options, binary);
  return binary;
}

Result<GoBinary> inspect(const std::string& path, const InspectOptions& options) {
  const auto file = elf::File::open(path);
  if (!file) {
    return tl::unexpected(file.error());
  }
  return inspect(*file, options).map_error([&](const Error& error) {
    return error.with_context(path);
  });
}

Result<GoBinary> inspect(UniqueFd fd, const InspectOptions& options) {
  auto source = elf::FileSource::adopt(std::move(fd));
  if (!source) {
    return tl::unexpected(source.error());
  }
  const auto file = elf::File::open(std::make_unique<elf::FileSource>(std::move(*source)));
  if (!file) {
    return tl::unexpected(file.error());
  }
  return inspect(*file, options);
}

}  // namespace zerospan::symbols::go
