// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/resource.h"

#include <gtest/gtest.h>

#include <optional>

#include "agent/discovery/fake_proc.h"

namespace zerospan::discovery {
namespace {

std::optional<model::AttributeValue> find(const model::Resource& resource, std::string_view key) {
  for (const auto& attribute : resource.attributes) {
    if (attribute.key == key) {
      return attribute.value;
    }
  }
  return std::nullopt;
}

std::string text(const model::Resource& resource, std::string_view key) {
  const auto value = find(resource, key);
  return value && std::holds_alternative<std::string>(*value) ? std::get<std::string>(*value)
                                                              : "(none)";
}

std::string environment(std::initializer_list<std::string> variables) {
  std::string out;
  for (const std::string& variable : variables) {
    out += variable + '\0';
  }
  return out;
}

class ResourceTest : public testing::Test {
 protected:
  ResourceTest() {
    options_.host = {.name = "node1",
                     .id = "fdbf79e8af94cb7f9e8df36789187052",
                     .arch = "amd64",
                     .boot_id = "b",
                     .boot_time_unix_s = 1'700'000'000,
                     .ticks_per_second = 100};
    options_.agent_version = "1.2.3";
    info_.pid = 42;
    info_.start_time = 12'345;
    info_.executable = "/usr/sbin/nginx";
    info_.command_line = "nginx: worker process";
    info_.user = "www-data";
    info_.uid = 33;
    info_.listen_ports = {80};
  }
  std::shared_ptr<const model::Resource> build(std::string_view env = {}) {
    return ResourceBuilder(options_).build(info_, {"nginx", "-g"}, env, "/", {});
  }
  ResourceOptions options_;
  ProcessInfo info_;
};

TEST_F(ResourceTest, DetectedAttributes) {
  const auto r = build();
  EXPECT_EQ(text(*r, "service.name"), "nginx");
  EXPECT_EQ(find(*r, "process.pid"), model::AttributeValue(int64_t{42}));
  EXPECT_EQ(text(*r, "process.executable.name"), "nginx");
  EXPECT_EQ(text(*r, "process.executable.path"), "/usr/sbin/nginx");
  EXPECT_EQ(text(*r, "process.owner"), "www-data");
  EXPECT_EQ(text(*r, "process.creation.time"), "2023-11-14T22:15:23.450Z");
  EXPECT_EQ(text(*r, "host.name"), "node1");
  EXPECT_EQ(text(*r, "host.id"), "fdbf79e8af94cb7f9e8df36789187052");
  EXPECT_EQ(text(*r, "host.arch"), "amd64");
  EXPECT_EQ(text(*r, "os.type"), "linux");
  EXPECT_EQ(text(*r, "telemetry.distro.name"), "zerospan");
  EXPECT_EQ(text(*r, "telemetry.distro.version"), "1.2.3");
  EXPECT_FALSE(find(*r, "telemetry.sdk.name"));
  EXPECT_FALSE(find(*r, "container.id"));
  EXPECT_FALSE(find(*r, "service.namespace"));
  EXPECT_FALSE(find(*r, "process.command_args"));
  EXPECT_FALSE(find(*r, "process.runtime.name"));
}

TEST_F(ResourceTest, ContainerAndRuntime) {
  info_.container_id = std::string(64, 'a');
  info_.runtime = Runtime::kGo;
  const auto r = build();
  EXPECT_EQ(text(*r, "container.id"), std::string(64, 'a'));
  EXPECT_EQ(text(*r, "process.runtime.name"), "go");
  EXPECT_FALSE(find(*r, "process.owner"));  // the host's name of a container's uid says nothing
}

TEST_F(ResourceTest, InstanceIdIsAStableUuidOfVersion5) {
  // The same as Python's uuid.uuid5(UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), "example").
  EXPECT_EQ(service_instance_uuid("example"), "9e43c253-d56e-5ac7-ad8c-da84940fabfa");
  const std::string id = text(*build(), "service.instance.id");
  EXPECT_EQ(id.size(), 36U);
  EXPECT_EQ(id[14], '5');
  EXPECT_EQ(text(*build(), "service.instance.id"), id);
  info_.start_time++;
  EXPECT_NE(text(*build(), "service.instance.id"), id);
}

TEST_F(ResourceTest, NamesInOrderOfPrecedence) {
  EXPECT_EQ(text(*build(), "service.name"), "nginx");
  options_.attributes = {{"service.name", "fleet"}, {"deployment.environment.name", "prod"}};
  EXPECT_EQ(text(*build(), "service.name"), "fleet");
  options_.rules = {{.executable = "apache2", .name = "no"},
                    {.executable = "nginx", .port = 81, .name = "no"},
                    {.name = "no condition"},
                    {.executable = "nginx",
                     .command_line = "*worker*",
                     .port = 80,
                     .name = "front",
                     .service_namespace = "edge"},
                    {.executable = "nginx", .name = "late"}};
  const auto by_rule = build();
  EXPECT_EQ(text(*by_rule, "service.name"), "front");
  EXPECT_EQ(text(*by_rule, "service.namespace"), "edge");
  EXPECT_EQ(text(*by_rule, "deployment.environment.name"), "prod");
  const auto by_attributes =
      build(environment({"OTEL_RESOURCE_ATTRIBUTES=service.name=shop%20a,service.namespace=n,"
                         "deployment.environment.name=test,process.pid=1"}));
  EXPECT_EQ(text(*by_attributes, "service.name"), "shop a");
  EXPECT_EQ(text(*by_attributes, "service.namespace"), "n");
  EXPECT_EQ(text(*by_attributes, "deployment.environment.name"), "test");
  EXPECT_EQ(find(*by_attributes, "process.pid"), model::AttributeValue(int64_t{42}));
  const auto by_name = build(
      environment({"X=1", "OTEL_RESOURCE_ATTRIBUTES=service.name=shop", "OTEL_SERVICE_NAME=cart"}));
  EXPECT_EQ(text(*by_name, "service.name"), "cart");
}

TEST_F(ResourceTest, AMalformedVariableIsIgnoredAsAWholeAndCounted) {
  ResourceBuilder builder(options_);
  const auto r = builder.build(
      info_, {}, environment({"OTEL_RESOURCE_ATTRIBUTES=service.name=x,bad"}), "/", {});
  EXPECT_EQ(text(*r, "service.name"), "nginx");
  EXPECT_EQ(builder.malformed_variables(), 1U);
}

TEST_F(ResourceTest, CommandArgumentsAreOptIn) {
  options_.command_args = true;
  EXPECT_EQ(find(*build(), "process.command_args"),
            model::AttributeValue(std::vector<std::string>{"nginx", "-g"}));
}

TEST_F(ResourceTest, AForkedChildIsAnotherInstanceOfTheService) {
  ResourceBuilder builder(options_);
  info_.resource = builder.build(info_, {}, environment({"OTEL_SERVICE_NAME=cart"}), "/", {});
  ProcessInfo child = info_;
  child.pid = 43;
  child.start_time = 12'400;
  const auto r = builder.build_for_fork(info_, child);
  EXPECT_NE(r->id, info_.resource->id);
  EXPECT_EQ(text(*r, "service.name"), "cart");
  EXPECT_EQ(find(*r, "process.pid"), model::AttributeValue(int64_t{43}));
  EXPECT_EQ(text(*r, "process.creation.time"), "2023-11-14T22:15:24.000Z");
  EXPECT_EQ(text(*r, "service.instance.id"),
            text(*builder.build(child, {}, {}, "/", {}), "service.instance.id"));
  // An instance id that the operator set stays.
  info_.resource = builder.build(
      info_, {}, environment({"OTEL_RESOURCE_ATTRIBUTES=service.instance.id=i1"}), "/", {});
  EXPECT_EQ(text(*builder.build_for_fork(info_, child), "service.instance.id"), "i1");
}

TEST(Host, IsReadFromItsFiles) {
  FakeProc fake;
  fake.write("etc/machine-id", "0123\n");
  fake.write("stat", "cpu 1 2\nbtime 1700000000\nprocesses 1\n");
  fake.write("sys/kernel/random/boot_id", "boot\n");
  const Host host = read_host(fake.root(), ProcFs(fake.root()));
  EXPECT_EQ(host.id, "0123");
  EXPECT_EQ(host.boot_id, "boot");
  EXPECT_EQ(host.boot_time_unix_s, 1'700'000'000U);
  EXPECT_FALSE(host.name.empty());
  EXPECT_FALSE(host.arch.empty());
}

}  // namespace
}  // namespace zerospan::discovery
