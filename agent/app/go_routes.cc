// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/app/go_routes.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "agent/model/connection.h"

namespace zerospan::app {
namespace {

using kernel::GoProbe;
using symbols::go::Field;
using symbols::go::GoBinary;

// One offset that a probe's program takes: the sum of up to three fields' places, for structs that
// are inside of others. The list ends with kGoid, which no router has.
constexpr Field kEnd = Field::kGoid;
using Path = std::array<Field, 3>;

struct Router {
  std::string_view function;
  std::string_view module;  // "std": Go itself
  GoProbe probe;
  std::array<Path, 4> offsets;  // in the order of bpf/probes/go_route.bpf.c
};

constexpr Path path(Field field) {
  return {field, kEnd, kEnd};
}
constexpr Path kNone = {kEnd, kEnd, kEnd};
constexpr std::array<Path, 4> kOfRequest = {path(Field::kRequestPattern), path(Field::kRequestUrl),
                                            kNone, kNone};
// Of those whose probe is where they store the route into the request.
constexpr std::array<Path, 4> kIntoRequest = {kNone, kNone, path(Field::kRequestUrl), kNone};

constexpr auto kRouters = std::to_array<Router>({
    {symbols::go::kServeMux, "std", GoProbe::kRouteServe, kOfRequest},
    {symbols::go::kChiRouter, "std", GoProbe::kRouteServe, kOfRequest},
    {symbols::go::kGinRouter,
     "github.com/gin-gonic/gin",
     GoProbe::kRouteStored,
     {kNone, path(Field::kGinContextRequest), path(Field::kRequestUrl), kNone}},
    {symbols::go::kEchoRouter,
     "github.com/labstack/echo/v4",
     GoProbe::kRouteStored,
     {kNone, path(Field::kEchoContextRequest), path(Field::kRequestUrl), kNone}},
    {"github.com/gorilla/mux.requestWithRoute",
     "github.com/gorilla/mux",
     GoProbe::kRouteMux,
     {Path{Field::kMuxRouteConf, Field::kMuxRouteConfRegexp, Field::kMuxRegexpGroupPath},
      path(Field::kMuxRegexpTemplate), path(Field::kRequestUrl), kNone}},
    {"github.com/gofiber/fiber/v2.(*App).handler.deferwrap1",
     "github.com/gofiber/fiber/v2",
     GoProbe::kRouteFiber,
     {path(Field::kFiberCtxRoute), path(Field::kFiberCtxMatched), path(Field::kFiberRouteUse),
      path(Field::kFiberRoutePath)}},
});

// None if one of the fields is not known.
std::optional<uint64_t> cookie_of(const Router& router, const symbols::go::Offsets& offsets) {
  if (router.probe == GoProbe::kRouteFiber && offsets.get(Field::kFiberCtxApp) != 0U) {
    return std::nullopt;  // it is told from others by its first field
  }
  uint64_t cookie = 0;
  for (size_t i = 0; i < router.offsets.size(); ++i) {
    uint64_t sum = 0;
    for (const Field field : router.offsets[i]) {
      if (field == kEnd) {
        break;
      }
      const std::optional<uint32_t> offset = offsets.get(field);
      if (!offset) {
        return std::nullopt;
      }
      sum += *offset;
    }
    if (sum > UINT16_MAX) {
      return std::nullopt;
    }
    cookie |= sum << (16 * i);
  }
  return cookie;
}

// Where the route is stored: the registers that have its address and the struct, whose it is, and
// where in the struct its length is.
constexpr uint32_t kLengthInString = sizeof(uint64_t);
constexpr uint32_t kMaxField = 0xfff;
uint64_t registers_of(const symbols::go::ProbeSite& site, const Router& router) {
  const auto whose = router.function == symbols::go::kGinRouter    ? model::Router::kGin
                     : router.function == symbols::go::kEchoRouter ? model::Router::kEcho
                                                                   : model::Router::kPattern;
  return !site.store ? 0U
                     : site.store->address | static_cast<uint64_t>(site.store->base) << 5U |
                           static_cast<uint64_t>(whose) << 48U |
                           static_cast<uint64_t>(site.store->field + kLengthInString) << 52U;
}

std::string not_known(const Router& router, const GoBinary& binary) {
  if (router.module == "std") {
    return binary.build.go_version +
           " does not write it into the request, or its layout is "
           "neither in DWARF nor in the table.";
  }
  const symbols::go::Module* module = binary.build.module(router.module);
  return "The layout of " + std::string(router.module) + ' ' +
         (module == nullptr ? "of unknown version" : module->version) +
         " is neither in DWARF nor in the table.";
}

}  // namespace

std::vector<GoRouter> go_routers(const GoBinary& binary) {
  std::vector<GoRouter> routers;
  const auto router_of = [](std::string_view function) {
    return std::find_if(kRouters.begin(), kRouters.end(),
                        [&](const Router& candidate) { return candidate.function == function; });
  };
  for (const symbols::go::ProbeSite& site : binary.probes) {
    const auto* const known = router_of(site.function);
    if (known == kRouters.end()) {
      continue;
    }
    GoRouter found{.function = site.function, .site = std::nullopt, .why_not = {}};
    Router router = *known;
    if (site.store && router.probe == GoProbe::kRouteServe) {
      router.probe = GoProbe::kRouteStored;
      router.offsets = kIntoRequest;
    }
    const std::optional<uint64_t> cookie = cookie_of(router, binary.offsets);
    if (!cookie) {
      found.why_not = not_known(router, binary);
    } else if (site.store && site.store->field + kLengthInString > kMaxField) {
      found.why_not = "It stores the route too far from its struct's beginning.";
    } else if (site.site.kind != symbols::probe::Kind::kEmulated) {
      found.why_not = "A probe in it would be stepped, which costs too much.";
    } else {
      found.site =
          kernel::GoProbeSite{router.probe, site.file_offset, *cookie | registers_of(site, router)};
    }
    routers.push_back(std::move(found));
  }
  for (const auto& [function, why] : binary.unplaced) {
    if (const auto* const router = router_of(function); router != kRouters.end()) {
      const bool known = cookie_of(*router, binary.offsets).has_value();
      routers.push_back({function, std::nullopt, known ? why : not_known(*router, binary)});
    }
  }
  return routers;
}

}  // namespace zerospan::app
