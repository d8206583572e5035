// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/peers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace zerospan::k8s {
namespace {

using nlohmann::json;
using Kind = Peers::Kind;

json service(const std::string& name, const std::vector<std::string>& addresses) {
  return {{"metadata", {{"name", name}, {"namespace", "shop"}, {"uid", "s-" + name}}},
          {"spec", {{"clusterIPs", addresses}, {"ports", {{{"port", 80}}, {{"port", 443}}}}}}};
}

json slice(const std::string& service, const std::string& uid, const std::string& address) {
  return {{"metadata",
           {{"name", uid},
            {"namespace", "shop"},
            {"uid", uid},
            {"labels", {{"kubernetes.io/service-name", service}}}}},
          {"ports", {{{"port", 8080}}}},
          {"endpoints", {{{"addresses", {address}}}}}};
}

TEST(Peers, ServicesAndTheirPods) {
  Peers peers;
  peers.put(Kind::kService, service("cart", {"10.96.0.7", "fd00::7"}));
  peers.put(Kind::kEndpointSlice, slice("cart", "e1", "10.1.0.7"));
  EXPECT_EQ(peers.name("10.96.0.7", 80), "cart.shop");
  EXPECT_EQ(peers.name("10.96.0.7", 443), "cart.shop");
  EXPECT_EQ(peers.name("fd00::7", 80), "cart.shop");
  EXPECT_EQ(peers.name("10.1.0.7", 8080), "cart.shop");
  EXPECT_EQ(peers.name("10.1.0.7", 80), "");
  EXPECT_EQ(peers.name("10.96.0.8", 80), "");
  EXPECT_EQ(peers.name("cart", 80), "");
  EXPECT_EQ(peers.counters().addresses, 5U);
}

TEST(Peers, OfTwoServicesNeitherIsNamed) {
  Peers peers;
  peers.put(Kind::kEndpointSlice, slice("cart", "e1", "10.1.0.7"));
  peers.put(Kind::kEndpointSlice, slice("cart", "e2", "10.1.0.7"));  // the same in another slice
  EXPECT_EQ(peers.name("10.1.0.7", 8080), "cart.shop");
  peers.put(Kind::kEndpointSlice, slice("all", "e3", "10.1.0.7"));
  EXPECT_EQ(peers.name("10.1.0.7", 8080), "");
  peers.remove(Kind::kEndpointSlice, slice("all", "e3", ""));
  EXPECT_EQ(peers.name("10.1.0.7", 8080), "cart.shop");
}

TEST(Peers, AnAddressThatIsUsedAgainHasItsNewName) {
  Peers peers;
  peers.put(Kind::kEndpointSlice, slice("cart", "e1", "10.1.0.7"));
  peers.put(Kind::kEndpointSlice, slice("cart", "e1", "10.1.0.8"));
  EXPECT_EQ(peers.name("10.1.0.7", 8080), "");
  peers.put(Kind::kEndpointSlice, slice("other", "e2", "10.1.0.7"));
  EXPECT_EQ(peers.name("10.1.0.7", 8080), "other.shop");
}

TEST(Peers, WhatANewListDoesNotHaveIsGone) {
  Peers peers;
  peers.begin_list(Kind::kEndpointSlice);
  peers.put(Kind::kEndpointSlice, slice("a", "e1", "10.1.0.1"));
  peers.put(Kind::kEndpointSlice, slice("b", "e2", "10.1.0.2"));
  peers.end_list(Kind::kEndpointSlice);
  peers.begin_list(Kind::kService);
  peers.end_list(Kind::kService);
  peers.begin_list(Kind::kEndpointSlice);
  peers.put(Kind::kEndpointSlice, slice("b", "e2", "10.1.0.2"));
  peers.end_list(Kind::kEndpointSlice);
  EXPECT_EQ(peers.name("10.1.0.1", 8080), "");
  EXPECT_EQ(peers.name("10.1.0.2", 8080), "b.shop");
  EXPECT_EQ(peers.counters().objects, 1U);
}

TEST(Peers, IsBounded) {
  Peers peers(3);
  for (int i = 0; i < 10; ++i) {
    peers.put(Kind::kEndpointSlice,
              slice("cart", std::to_string(i), "10.1.0." + std::to_string(i)));
  }
  EXPECT_EQ(peers.counters().addresses, 3U);
  EXPECT_EQ(peers.counters().refused, 7U);
  peers.remove(Kind::kEndpointSlice, slice("cart", "0", ""));
  peers.put(Kind::kEndpointSlice, slice("cart", "new", "10.1.0.99"));
  EXPECT_EQ(peers.name("10.1.0.99", 8080), "cart.shop");
}

TEST(Peers, WhatIsOfAnotherTypeIsNotThere) {
  Peers peers;
  for (
      const char* const text :
      {"[]", "{}", R"({"spec": 7})",
       R"({"spec": {"clusterIPs": ["None", 7], "ports": [{"port": 70000}]}})",
       R"({"metadata": {"uid": "x", "labels": {"kubernetes.io/service-name": "a"}}, "ports": [7, {"port": -1},
            {"port": "x"}, {"port": 80}], "endpoints": [7, {"addresses": "x"}, {"addresses": [7, "name"]}]})"}) {
    peers.put(Kind::kService, json::parse(text));
    peers.put(Kind::kEndpointSlice, json::parse(text));
  }
  EXPECT_EQ(peers.counters().addresses, 0U);
}

}  // namespace
}  // namespace zerospan::k8s
