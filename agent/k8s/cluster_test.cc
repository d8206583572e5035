// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace zerospan::k8s {
namespace {

using nlohmann::json;
using testing::UnorderedElementsAre;

const std::string kKey = "zerospan.io/instrument";
const std::string kId(64, 'a');
const std::string kOtherId(64, 'b');

json name_space(const std::string& name, const json& labels = json::object()) {
  return {{"metadata", {{"name", name}, {"uid", "ns-" + name}, {"labels", labels}}}};
}

json pod(const std::string& name, const std::string& container_id = "") {
  json object = {{"metadata", {{"name", name}, {"namespace", "shop"}, {"uid", "uid-" + name}}},
                 {"spec", {{"containers", json::array({{{"name", "main"}, {"image", "cart:1"}}})}}},
                 {"status", json::object()}};
  if (!container_id.empty()) {
    object["status"]["containerStatuses"] =
        json::array({{{"name", "main"}, {"containerID", "containerd://" + container_id}}});
  }
  return object;
}

json owned(json object, const std::string& kind, const std::string& name) {
  object["metadata"]["ownerReferences"] =
      json::array({{{"apiVersion", kind == "Job" || kind == "CronJob" ? "batch/v1" : "apps/v1"},
                    {"kind", kind},
                    {"name", name},
                    {"uid", "uid-" + name},
                    {"controller", true}}});
  return object;
}

std::string attribute(const model::Workload& workload, const std::string& key) {
  for (const auto& entry : workload.observed) {
    if (entry.key == key) {
      return std::get<std::string>(entry.value);
    }
  }
  return {};
}

class ClusterTest : public testing::Test {
 protected:
  ClusterTest() : cluster_(ClusterOptions{}) {
    cluster_.set_get([this](std::string path, Client::Done done) {
      asked_.push_back(std::move(path));
      answers_.push_back(std::move(done));
      return true;
    });
  }
  void opt_in(bool in = true) {
    cluster_.on_object(kNamespaces,
                       name_space("shop", in ? json{{kKey, "enabled"}} : json::object()));
  }
  std::shared_ptr<const model::Workload> find(const std::string& uid, const std::string& id = kId) {
    return cluster_.workload(uid, id);
  }

  std::vector<std::string> asked_;
  std::vector<Client::Done> answers_;
  Cluster cluster_;
};

TEST_F(ClusterTest, AContainerOfAChosenPod) {
  EXPECT_EQ(find("uid-cart"), nullptr);
  opt_in();
  cluster_.on_object(kPods, pod("cart", kId));
  const auto workload = find("uid-cart");
  ASSERT_NE(workload, nullptr);
  EXPECT_TRUE(workload->chosen);
  EXPECT_TRUE(workload->complete);
  EXPECT_EQ(attribute(*workload, "k8s.container.name"), "main");
  EXPECT_EQ(find("uid-cart"), workload);  // the same as long as nothing changes
  EXPECT_EQ(find("", kId)->service_name, "cart");
  EXPECT_EQ(find("", kOtherId), nullptr);
  EXPECT_THAT(cluster_.take_changes().keys, UnorderedElementsAre("uid-cart", kId));
  EXPECT_TRUE(cluster_.take_changes().empty());
}

TEST_F(ClusterTest, NotBeforeItsNamespaceIsKnown) {
  cluster_.on_object(kPods, pod("cart", kId));
  EXPECT_EQ(find("uid-cart"), nullptr);
  static_cast<void>(cluster_.take_changes());
  opt_in(false);
  const model::WorkloadChanges changes = cluster_.take_changes();
  EXPECT_TRUE(changes.keys.contains("uid-cart"));
  EXPECT_FALSE(changes.chosen);
  EXPECT_FALSE(find("uid-cart")->chosen);
  EXPECT_TRUE(find("uid-cart")->observed.empty());  // nothing is told of it
}

TEST_F(ClusterTest, LabelsComeAndGo) {
  opt_in(false);
  cluster_.on_object(kPods, pod("cart", kId));
  EXPECT_FALSE(find("uid-cart")->chosen);
  static_cast<void>(cluster_.take_changes());
  opt_in();
  model::WorkloadChanges changes = cluster_.take_changes();
  EXPECT_TRUE(changes.keys.contains("uid-cart"));
  EXPECT_TRUE(changes.chosen);
  EXPECT_TRUE(find("uid-cart")->chosen);
  opt_in();
  EXPECT_TRUE(cluster_.take_changes().empty());  // the same again
  opt_in(false);
  changes = cluster_.take_changes();
  EXPECT_TRUE(changes.keys.contains("uid-cart"));
  EXPECT_FALSE(changes.chosen);
  EXPECT_FALSE(find("uid-cart")->chosen);
  EXPECT_EQ(cluster_.counters().chosen_pods, 0U);
}

TEST_F(ClusterTest, AContainerThatTheApiDoesNotKnowYet) {
  opt_in();
  cluster_.on_object(kPods, pod("cart"));
  EXPECT_FALSE(find("uid-cart")->complete);
  EXPECT_TRUE(find("uid-cart", "")->complete);  // a process of the pod in no container
  static_cast<void>(cluster_.take_changes());
  cluster_.on_object(kPods, pod("cart", kId));
  EXPECT_TRUE(cluster_.take_changes().keys.contains("uid-cart"));
  EXPECT_TRUE(find("uid-cart")->complete);
}

TEST_F(ClusterTest, TheOwnersOwnerIsAskedForOnce) {
  opt_in();
  cluster_.on_object(kPods, owned(pod("cart-1", kId), "ReplicaSet", "cart-5d"));
  cluster_.on_object(kPods, owned(pod("cart-2", kOtherId), "ReplicaSet", "cart-5d"));
  ASSERT_EQ(asked_, std::vector<std::string>{"/apis/apps/v1/namespaces/shop/replicasets/cart-5d"});
  EXPECT_FALSE(find("uid-cart-1")->complete);
  static_cast<void>(cluster_.take_changes());
  answers_[0](
      owned({{"metadata", {{"name", "cart-5d"}, {"uid", "uid-cart-5d"}}}}, "Deployment", "cart"));
  EXPECT_TRUE(cluster_.take_changes().keys.contains("uid-cart-1"));
  for (const auto& [name, id] : {std::pair("uid-cart-1", kId), std::pair("uid-cart-2", kOtherId)}) {
    EXPECT_TRUE(find(name, id)->complete);
    EXPECT_EQ(attribute(*find(name, id), "k8s.deployment.name"), "cart");
    EXPECT_EQ(find(name, id)->service_name, "cart");
  }
  EXPECT_EQ(cluster_.counters().owners, 1U);
  cluster_.on_deleted(kPods, pod("cart-1"));
  EXPECT_EQ(cluster_.counters().owners, 1U);
  cluster_.on_deleted(kPods, pod("cart-2"));
  EXPECT_EQ(cluster_.counters().owners, 0U);
}

TEST_F(ClusterTest, AnOwnerThatCannotBeHadIsNotWaitedFor) {
  opt_in();
  cluster_.on_object(kPods, owned(pod("cart-1", kId), "ReplicaSet", "cart-5d"));
  cluster_.on_object(kPods, owned(pod("night-1", kOtherId), "Job", "night"));
  ASSERT_EQ(answers_.size(), 2U);
  answers_[0](tl::unexpected(Error{ErrorCode::kPermission, "forbidden"}));
  EXPECT_TRUE(find("uid-cart-1")->complete);
  EXPECT_EQ(find("uid-cart-1")->service_name, "cart-5d");
  // Another one of the same name: the owner was made anew meanwhile.
  answers_[1](owned({{"metadata", {{"name", "night"}, {"uid", "uid-other"}}}}, "CronJob", "wrong"));
  EXPECT_TRUE(find("uid-night-1", kOtherId)->complete);
  EXPECT_EQ(find("uid-night-1", kOtherId)->service_name, "night");
  EXPECT_EQ(cluster_.counters().owners_failed, 1U);
}

TEST_F(ClusterTest, AStaticPodIsKnownByItsHash) {
  opt_in();
  json mirror = pod("etcd", kId);
  mirror["metadata"]["annotations"]["kubernetes.io/config.hash"] = "h1";
  cluster_.on_object(kPods, mirror);
  EXPECT_EQ(attribute(*find("h1"), "k8s.pod.uid"), "uid-etcd");
  EXPECT_TRUE(cluster_.take_changes().keys.contains("h1"));
  json again = mirror;  // the mirror is made anew, and the old one's end comes late
  again["metadata"]["uid"] = "uid-again";
  cluster_.on_object(kPods, again);
  cluster_.on_deleted(kPods, mirror);
  EXPECT_EQ(attribute(*find("h1"), "k8s.pod.uid"), "uid-again");
}

TEST_F(ClusterTest, WhatANewListDoesNotHaveIsGone) {
  opt_in();
  cluster_.on_list_begin(kPods);
  cluster_.on_object(kPods, pod("a", kId));
  cluster_.on_list_begin(kNamespaces);  // two lists go on at once
  cluster_.on_object(kPods, pod("b", kOtherId));
  cluster_.on_list_end(kPods);
  cluster_.on_object(kNamespaces, name_space("shop", {{kKey, "enabled"}}));
  cluster_.on_list_end(kNamespaces);
  EXPECT_TRUE(find("uid-a")->chosen);
  EXPECT_TRUE(find("uid-b", kOtherId)->chosen);
  static_cast<void>(cluster_.take_changes());
  cluster_.on_list_begin(kPods);
  cluster_.on_object(kPods, pod("b", kOtherId));
  cluster_.on_list_end(kPods);
  EXPECT_EQ(find("uid-a"), nullptr);
  EXPECT_EQ(find("", kId), nullptr);
  EXPECT_TRUE(find("uid-b", kOtherId)->chosen);
  EXPECT_THAT(cluster_.take_changes().keys, UnorderedElementsAre("uid-a", kId));
  cluster_.on_list_begin(kNamespaces);
  cluster_.on_list_end(kNamespaces);
  EXPECT_EQ(find("uid-b", kOtherId), nullptr);  // nothing is known of its namespace
  EXPECT_EQ(cluster_.counters().namespaces, 0U);
}

TEST_F(ClusterTest, ADeletedNamespaceOfTheSameNameIsNotTheNewOne) {
  opt_in();
  cluster_.on_object(kPods, pod("cart", kId));
  json old = name_space("shop");
  old["metadata"]["uid"] = "older";
  cluster_.on_deleted(kNamespaces, old);
  EXPECT_TRUE(find("uid-cart")->chosen);
}

TEST_F(ClusterTest, TheClustersUid) {
  opt_in();
  cluster_.on_object(kPods, pod("cart", kId));
  EXPECT_EQ(attribute(*find("uid-cart"), "k8s.cluster.uid"), "");
  cluster_.on_object(kNamespaces, name_space("kube-system"));
  EXPECT_EQ(attribute(*find("uid-cart"), "k8s.cluster.uid"), "ns-kube-system");
}

TEST_F(ClusterTest, OtherRules) {
  opt_in(false);
  cluster_.on_object(kPods, pod("cart", kId));
  EXPECT_FALSE(find("uid-cart")->chosen);
  static_cast<void>(cluster_.take_changes());
  ClusterOptions options;
  options.choice.selectors = {{.containers = {"main"}}};
  cluster_.reconfigure(options);
  EXPECT_TRUE(cluster_.take_changes().chosen);
  EXPECT_TRUE(find("uid-cart")->chosen);
}

}  // namespace
}  // namespace zerospan::k8s
