// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/otel.h"

#include <algorithm>
#include <array>

namespace zerospan::symbols::go {
namespace {

constexpr std::string_view kRoot = "go.opentelemetry.io/";
constexpr std::string_view kSdk = "go.opentelemetry.io/otel/sdk";

// Instrumentation, by module path (without a major version), and what spans it makes.
struct Instrumentation {
  std::string_view module;
  SpanClasses makes;
};
#define ZS_CONTRIB "go.opentelemetry.io/contrib/instrumentation/"
#define ZS_OTELHTTP ZS_CONTRIB "net/http/otelhttp"
#define ZS_OTELGRPC ZS_CONTRIB "google.golang.org/grpc/otelgrpc"
constexpr auto kInstrumentation = std::to_array<Instrumentation>({
    {ZS_OTELHTTP, kHttpSpans},
    {ZS_OTELGRPC, kRpcSpans},
    {ZS_CONTRIB "github.com/gin-gonic/gin/otelgin", kHttpServer},
    {ZS_CONTRIB "github.com/gorilla/mux/otelmux", kHttpServer},
    {ZS_CONTRIB "github.com/labstack/echo/otelecho", kHttpServer},
    {ZS_CONTRIB "github.com/emicklei/go-restful/otelrestful", kHttpServer},
    {ZS_CONTRIB "gopkg.in/macaron.v1/otelmacaron", kHttpServer},
    {ZS_CONTRIB "github.com/astaxie/beego/otelbeego", kHttpServer},
    {"github.com/riandyrn/otelchi", kHttpServer},
    {"github.com/gofiber/contrib/otelfiber", kHttpServer},
    {"github.com/gofiber/contrib/v3/otel", kHttpServer},
    {"connectrpc.com/otelconnect", kRpcSpans},
    {"github.com/XSAM/otelsql", kSqlSpans},
    {"go.nhat.io/otelsql", kSqlSpans},
    {"github.com/uptrace/opentelemetry-go-extra/otelsql", kSqlSpans},
    {"github.com/uptrace/opentelemetry-go-extra/otelsqlx", kSqlSpans},
    {"github.com/uptrace/opentelemetry-go-extra/otelgorm", kSqlSpans},
    {"github.com/uptrace/bun/extra/bunotel", kSqlSpans},
    {"gorm.io/plugin/opentelemetry", kSqlSpans},
    {"github.com/redis/go-redis/extra/redisotel", kRedis},
    {"github.com/go-redis/redis/extra/redisotel", kRedis},
    {"github.com/twmb/franz-go/plugin/kotel", kKafka},
    {ZS_CONTRIB "go.mongodb.org/mongo-driver/mongo/otelmongo", kMongodb},
    {ZS_CONTRIB "go.mongodb.org/mongo-driver/v2/mongo/otelmongo", kMongodb},
    {"github.com/exaring/otelpgx", kPostgresql},
    {"github.com/pgx-contrib/pgxotel", kPostgresql},
});

// What a module with several parts has of each: the linker keeps a method only if something uses
// its type.
constexpr auto kParts = std::to_array<std::pair<std::string_view, Instrumentation>>({
    {ZS_OTELHTTP ".(*middleware).serveHTTP", {ZS_OTELHTTP, kHttpServer}},
    {ZS_OTELHTTP ".(*Handler).ServeHTTP", {ZS_OTELHTTP, kHttpServer}},
    {ZS_OTELHTTP ".(*Transport).RoundTrip", {ZS_OTELHTTP, kHttpClient}},
    {ZS_OTELGRPC ".(*serverHandler).HandleRPC", {ZS_OTELGRPC, kRpcServer}},
    {ZS_OTELGRPC ".UnaryServerInterceptor.func1", {ZS_OTELGRPC, kRpcServer}},
    {ZS_OTELGRPC ".StreamServerInterceptor.func1", {ZS_OTELGRPC, kRpcServer}},
    {ZS_OTELGRPC ".(*clientHandler).HandleRPC", {ZS_OTELGRPC, kRpcClient}},
    {ZS_OTELGRPC ".UnaryClientInterceptor.func1", {ZS_OTELGRPC, kRpcClient}},
    {ZS_OTELGRPC ".StreamClientInterceptor.func1", {ZS_OTELGRPC, kRpcClient}},
});
#undef ZS_OTELGRPC
#undef ZS_OTELHTTP
#undef ZS_CONTRIB

// Behind the parts in otel_functions().
constexpr auto kOthers = std::to_array<std::string_view>({
    "go.opentelemetry.io/otel/sdk/trace.(*batchSpanProcessor).processQueue",
    "go.opentelemetry.io/otel/sdk/trace.(*simpleSpanProcessor).OnEnd",
    "go.opentelemetry.io/otel/internal/global.SetTextMapPropagator",
    "go.opentelemetry.io/otel/propagation.TraceContext.Inject",
});

std::string_view path_of(const Module& module) {
  // By the path that the program imports: a replacement may be called anything.
  return module.replaced_path.empty() ? module.path : module.replaced_path;
}

// "path", or "path/v2".
bool is_module(std::string_view path, std::string_view wanted) {
  return path == wanted ||
         (path.starts_with(wanted) && path.substr(wanted.size()).starts_with("/v") &&
          path.find('/', wanted.size() + 1) == std::string_view::npos);
}

SpanClasses made_by(std::string_view path) {
  const auto found = std::find_if(kInstrumentation.begin(), kInstrumentation.end(),
                                  [&](const auto& known) { return is_module(path, known.module); });
  return found == kInstrumentation.end() ? SpanClasses{0} : found->makes;
}

}  // namespace

OtelModules find_otel(const BuildInfo& build) {
  OtelModules otel;
  for (const Module& module : build.modules) {
    const std::string_view path = path_of(module);
    const SpanClasses makes = made_by(path);
    if (makes == 0 && !path.starts_with(kRoot)) {
      continue;
    }
    otel.modules.push_back(module);
    otel.sdk = otel.sdk || path == kSdk;
    otel.makes |= makes;
  }
  if (!otel.sdk) {
    otel.makes = 0;
  }
  return otel;
}

std::vector<std::string_view> otel_functions() {
  std::vector<std::string_view> names;
  for (const auto& [function, part] : kParts) {
    names.push_back(function);
  }
  names.insert(names.end(), kOthers.begin(), kOthers.end());
  return names;
}

void narrow(std::span<const std::optional<Function>> found, OtelModules& otel) {
  if (found.size() != kParts.size() + kOthers.size()) {
    return;
  }
  otel.functions_known = true;
  SpanClasses makes = 0;
  for (const Module& module : otel.modules) {
    const std::string_view path = path_of(module);
    SpanClasses parts = 0;
    for (size_t i = 0; i < kParts.size(); ++i) {
      if (found[i] && is_module(path, kParts[i].second.module)) {
        parts |= kParts[i].second.makes;
      }
    }
    // A version that calls its parts otherwise.
    makes |= parts != 0 ? parts : made_by(path);
  }
  otel.makes &= makes;
  const auto others = found.subspan(kParts.size());
  otel.queue = others[0];
  otel.exports_at_once = others[1].has_value();
  otel.propagates = others[2].has_value() || others[3].has_value();
}

}  // namespace zerospan::symbols::go
