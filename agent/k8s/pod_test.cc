// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/pod.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace zerospan::k8s {
namespace {

TEST(Pod, ReadsWhatIsKept) {
  const Pod pod = read_pod(nlohmann::json::parse(R"({
    "metadata": {"name": "cart-1", "namespace": "shop", "uid": "u1", "labels": {"app": "cart"},
      "annotations": {"kubernetes.io/config.hash": "h1"},
      "ownerReferences": [
        {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "n"},
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "r", "controller": true}]},
    "spec": {"initContainers": [{"name": "setup", "image": "busybox"}],
      "containers": [{"name": "main", "image": "cart:1"}, {"name": "side", "image": "proxy"}]},
    "status": {"podIP": "10.0.0.7", "startTime": "2026-01-02T03:04:05Z",
      "initContainerStatuses": [{"name": "setup", "containerID": "containerd://aa"}],
      "containerStatuses": [{"name": "side", "containerID": ""}, {"name": "main", "containerID": "cri-o://bb"}]}})"));
  EXPECT_EQ(pod.uid, "u1");
  EXPECT_EQ(pod.config_hash, "h1");
  EXPECT_EQ(pod.name, "cart-1");
  EXPECT_EQ(pod.namespace_name, "shop");
  EXPECT_EQ(pod.ip, "10.0.0.7");
  EXPECT_EQ(pod.start_time, "2026-01-02T03:04:05Z");
  EXPECT_EQ(pod.labels, (TextMap{{"app", "cart"}}));
  EXPECT_EQ(pod.owner, (Owner{"apps/v1", "ReplicaSet", "cart", "r"}));
  EXPECT_EQ(pod.containers,
            (std::vector<Container>{
                {"setup", "aa", "busybox"}, {"main", "bb", "cart:1"}, {"side", "", "proxy"}}));
}

TEST(Pod, WhatIsOfAnotherTypeIsNotThere) {
  for (const char* const text :
       {"[]", "null", "7", "{}", R"({"metadata": []})",
        R"({"metadata": {"name": 7, "labels": []}})",
        R"({"spec": {"containers": {}}, "status": {"containerStatuses": "x", "podIP": {}}})",
        R"({"spec": {"containers": [7, [], {"name": 7}]}, "status": {"containerStatuses": [7]}})",
        R"({"metadata": {"ownerReferences": [7, {"controller": "true", "kind": "X"}]}})"}) {
    const Pod pod = read_pod(nlohmann::json::parse(text));
    EXPECT_EQ(pod.name, "") << text;
    EXPECT_FALSE(pod.owner) << text;
    EXPECT_EQ(pod.ip, "") << text;
  }
}

TEST(Pod, ImageReferences) {
  const struct {
    const char* image;
    const char* name;
    const char* tag;
    const char* digest;
  } cases[] = {
      {"nginx", "nginx", "", ""},
      {"nginx:1.27", "nginx", "1.27", ""},
      {"registry.example.com:5000/shop/cart", "registry.example.com:5000/shop/cart", "", ""},
      {"registry.example.com:5000/shop/cart:v1@sha256:ab", "registry.example.com:5000/shop/cart",
       "v1", "sha256:ab"},
      {"cart@sha256:ab", "cart", "", "sha256:ab"},
      {"", "", "", ""},
  };
  for (const auto& expected : cases) {
    const ImageReference image = parse_image(expected.image);
    EXPECT_EQ(image.name, expected.name);
    EXPECT_EQ(image.tag, expected.tag);
    EXPECT_EQ(image.digest, expected.digest);
  }
}

}  // namespace
}  // namespace zerospan::k8s
