// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/pod_attributes.h"

#include <gtest/gtest.h>

namespace zerospan::k8s {
namespace {

class PodAttributesTest : public testing::Test {
 protected:
  PodAttributesTest() {
    pod_.uid = "u1";
    pod_.name = "cart-5d-x";
    pod_.namespace_name = "shop";
    pod_.ip = "10.0.0.7";
    pod_.start_time = "2026-01-02T03:04:05Z";
    owners_.controller = Owner{"apps/v1", "ReplicaSet", "cart-5d", "r"};
    owners_.top = Owner{"apps/v1", "Deployment", "cart", "d"};
    container_ = {"main", "aa", "registry.example.com:5000/cart:v1@sha256:ab"};
  }
  model::Workload workload(bool with_container = true) {
    model::Workload workload;
    add_attributes(options_, pod_, owners_, with_container ? &container_ : nullptr, "cluster-uid",
                   workload);
    return workload;
  }
  static std::string find(const std::vector<model::ResourceAttribute>& list,
                          const std::string& key) {
    for (const auto& attribute : list) {
      if (attribute.key == key) {
        if (const auto* const texts = std::get_if<std::vector<std::string>>(&attribute.value)) {
          return "[" + texts->at(0) + "]";
        }
        return std::get<std::string>(attribute.value);
      }
    }
    return "(none)";
  }
  std::string observed(const std::string& key) { return find(workload().observed, key); }

  AttributeOptions options_{.node_name = "n1", .cluster_name = "c1"};
  Pod pod_;
  PodOwners owners_;
  Container container_;
};

TEST_F(PodAttributesTest, OfAContainerOfADeployment) {
  EXPECT_EQ(observed("k8s.cluster.name"), "c1");
  EXPECT_EQ(observed("k8s.cluster.uid"), "cluster-uid");
  EXPECT_EQ(observed("k8s.node.name"), "n1");
  EXPECT_EQ(observed("k8s.namespace.name"), "shop");
  EXPECT_EQ(observed("k8s.pod.name"), "cart-5d-x");
  EXPECT_EQ(observed("k8s.pod.uid"), "u1");
  EXPECT_EQ(observed("k8s.pod.ip"), "10.0.0.7");
  EXPECT_EQ(observed("k8s.pod.start_time"), "2026-01-02T03:04:05Z");
  EXPECT_EQ(observed("k8s.deployment.name"), "cart");
  EXPECT_EQ(observed("k8s.replicaset.name"), "cart-5d");
  EXPECT_EQ(observed("k8s.container.name"), "main");
  EXPECT_EQ(observed("container.image.name"), "registry.example.com:5000/cart");
  EXPECT_EQ(observed("container.image.tags"), "[v1]");
  EXPECT_EQ(observed("service.namespace"), "shop");
  EXPECT_EQ(observed("service.instance.id"), "shop.cart-5d-x.main");
  EXPECT_EQ(observed("service.version"), "v1@sha256:ab");
  EXPECT_EQ(workload().service_name, "cart");
}

TEST_F(PodAttributesTest, WhatIsNotKnownIsNotTold) {
  pod_.ip.clear();
  pod_.start_time.clear();
  owners_ = {};
  options_ = {};
  const model::Workload bare = workload(false);
  for (const char* const key :
       {"k8s.pod.ip", "k8s.pod.start_time", "k8s.container.name", "k8s.node.name", "host.name",
        "k8s.deployment.name", "service.instance.id", "service.version", "container.image.name"}) {
    EXPECT_EQ(find(bare.observed, key), "(none)") << key;
  }
  EXPECT_EQ(bare.service_name, "cart-5d-x");
}

TEST_F(PodAttributesTest, EachKindOfOwnerNamesTheService) {
  for (const auto& [kind, key] :
       std::vector<std::pair<std::string, std::string>>{{"StatefulSet", "k8s.statefulset.name"},
                                                        {"DaemonSet", "k8s.daemonset.name"},
                                                        {"Job", "k8s.job.name"},
                                                        {"ReplicaSet", "k8s.replicaset.name"}}) {
    owners_ = {Owner{"", kind, "db", "o"}, std::nullopt};
    EXPECT_EQ(observed(key), "db");
    EXPECT_EQ(workload().service_name, "db");
  }
  owners_ = {Owner{"batch/v1", "Job", "night-1", "j"}, Owner{"batch/v1", "CronJob", "night", "c"}};
  EXPECT_EQ(observed("k8s.cronjob.name"), "night");
  EXPECT_EQ(observed("k8s.job.name"), "night-1");
  EXPECT_EQ(workload().service_name, "night");
  owners_ = {Owner{"example.com/v1", "Database", "x", "o"}, std::nullopt};
  EXPECT_EQ(workload().service_name, "cart-5d-x");
}

TEST_F(PodAttributesTest, ThePodsAnnotationsAreStated) {
  pod_.annotations = {{"resource.opentelemetry.io/service.name", "basket"},
                      {"resource.opentelemetry.io/team", "blue"},
                      {"resource.opentelemetry.io/", "x"},
                      {"resource.opentelemetry.io/empty", ""},
                      {"other", "y"}};
  const model::Workload stated = workload();
  EXPECT_EQ(stated.stated.size(), 2U);
  EXPECT_EQ(find(stated.stated, "service.name"), "basket");
  EXPECT_EQ(find(stated.stated, "team"), "blue");
}

TEST_F(PodAttributesTest, ChosenLabelsAndAnnotations) {
  pod_.labels = {{"app", "cart"}, {"secret", "s"}};
  pod_.annotations = {{"owner", "blue"}};
  options_.labels = {"app", "missing"};
  options_.annotations = {"owner"};
  EXPECT_EQ(observed("k8s.pod.label.app"), "cart");
  EXPECT_EQ(observed("k8s.pod.label.missing"), "(none)");
  EXPECT_EQ(observed("k8s.pod.label.secret"), "(none)");
  EXPECT_EQ(observed("k8s.pod.annotation.owner"), "blue");
}

TEST_F(PodAttributesTest, WellKnownLabelsByOptIn) {
  pod_.labels = {{"app.kubernetes.io/name", "n"}, {"app.kubernetes.io/version", "9"}};
  EXPECT_EQ(workload().service_name, "cart");
  EXPECT_EQ(observed("service.version"), "v1@sha256:ab");
  options_.well_known_labels = true;
  EXPECT_EQ(workload().service_name, "n");
  EXPECT_EQ(observed("service.version"), "9");
  pod_.labels["app.kubernetes.io/instance"] = "i";
  EXPECT_EQ(workload().service_name, "i");
}

}  // namespace
}  // namespace zerospan::k8s
