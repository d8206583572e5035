// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/go/otel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace zerospan::symbols::go {
namespace {

const std::string kContrib = "go.opentelemetry.io/contrib/instrumentation/";

BuildInfo with_modules(const std::vector<std::string>& paths) {
  BuildInfo build;
  for (const std::string& path : paths) {
    build.modules.push_back({path, "v1.0.0", {}});
  }
  return build;
}

// narrow(), as if the linker had kept just these.
OtelModules narrowed(OtelModules otel, const std::vector<std::string_view>& kept) {
  std::vector<std::optional<Function>> found;
  for (const std::string_view name : otel_functions()) {
    const bool there = std::find(kept.begin(), kept.end(), name) != kept.end();
    found.push_back(there ? std::optional(Function{0x1000, 64}) : std::nullopt);
  }
  narrow(found, otel);
  return otel;
}

TEST(Otel, WithoutAnSdkNothingIsMade) {
  EXPECT_TRUE(find_otel({}).modules.empty());
  const OtelModules otel = find_otel(
      with_modules({"go.opentelemetry.io/otel", kContrib + "net/http/otelhttp", "a.b/c"}));
  EXPECT_FALSE(otel.sdk);
  EXPECT_EQ(otel.makes, 0);
  EXPECT_EQ(otel.modules.size(), 2U);
}

TEST(Otel, ModulesSayWhatIsMade) {
  BuildInfo build = with_modules({"go.opentelemetry.io/otel/sdk"});
  EXPECT_TRUE(find_otel(build).sdk);
  EXPECT_EQ(find_otel(build).makes, 0);
  build.modules.push_back({kContrib + "github.com/gin-gonic/gin/otelgin", "v1.0.0", {}});
  EXPECT_EQ(find_otel(build).makes, kHttpServer);
  build.modules.push_back({"github.com/exaring/otelpgx", "v1.0.0", {}});
  EXPECT_EQ(find_otel(build).makes, kHttpServer | kPostgresql);
  build.modules.push_back({kContrib + "google.golang.org/grpc/otelgrpc", "v1.0.0", {}});
  EXPECT_EQ(find_otel(build).makes, kHttpServer | kPostgresql | kRpcSpans);
}

TEST(Otel, ReplacementsAndMajorVersionsAreTheSameModule) {
  BuildInfo build = with_modules({"github.com/gofiber/contrib/otelfiber/v2"});
  build.modules.push_back({"example.com/fork", "v1.0.0", "go.opentelemetry.io/otel/sdk"});
  EXPECT_EQ(find_otel(build).makes, kHttpServer);
  build.modules[0].path = "github.com/gofiber/contrib/otelfiber/v2/more";
  EXPECT_EQ(find_otel(build).makes, 0);
  build.modules[0].path = "github.com/gofiber/contrib/otelfibers";
  EXPECT_EQ(find_otel(build).makes, 0);
}

TEST(Otel, FunctionsSayWhichPartIsUsed) {
  const OtelModules otel = find_otel(with_modules(
      {"go.opentelemetry.io/otel/sdk", kContrib + "net/http/otelhttp", "go.nhat.io/otelsql"}));
  EXPECT_EQ(otel.makes, kHttpSpans | kSqlSpans);
  EXPECT_FALSE(otel.functions_known);
  const std::string server = kContrib + "net/http/otelhttp.(*middleware).serveHTTP";
  OtelModules less = narrowed(otel, {server});
  EXPECT_EQ(less.makes, kHttpServer | kSqlSpans);
  EXPECT_TRUE(less.functions_known);
  EXPECT_FALSE(less.propagates);
  EXPECT_FALSE(less.exports_at_once);
  EXPECT_FALSE(less.queue);
  less = narrowed(otel, {kContrib + "net/http/otelhttp.(*Transport).RoundTrip",
                         "go.opentelemetry.io/otel/internal/global.SetTextMapPropagator",
                         "go.opentelemetry.io/otel/sdk/trace.(*batchSpanProcessor).processQueue"});
  EXPECT_EQ(less.makes, kHttpClient | kSqlSpans);
  EXPECT_TRUE(less.propagates);
  ASSERT_TRUE(less.queue);
  EXPECT_EQ(less.queue->address, 0x1000U);
  // Its parts have other names: what the module may make.
  EXPECT_EQ(narrowed(otel, {}).makes, otel.makes);
}

}  // namespace
}  // namespace zerospan::symbols::go
