// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/choice.h"

#include <gtest/gtest.h>

namespace zerospan::k8s {
namespace {

const std::string kKey = "zerospan.io/instrument";

class ChoiceTest : public testing::Test {
 protected:
  ChoiceTest() {
    pod_.name = "cart-1";
    pod_.namespace_name = "shop";
    pod_.labels = {{"app", "cart"}, {"tier", "back"}};
    owners_.controller = Owner{"apps/v1", "ReplicaSet", "cart-5d", "r"};
    owners_.top = Owner{"apps/v1", "Deployment", "cart", "d"};
  }
  std::optional<Choice> decide(std::string_view container = "main", bool owners_known = true) {
    PodOwners owners = owners_;
    if (!owners_known) {
      owners.top.reset();
    }
    return choose(options_, pod_, owners, owners_known, known_ ? &namespace_ : nullptr, container);
  }
  bool chosen() { return decide().value().chosen; }

  ChoiceOptions options_;
  Pod pod_;
  PodOwners owners_;
  TextMap namespace_;
  bool known_ = true;
};

TEST_F(ChoiceTest, NothingIsTracedThatNobodyAskedFor) {
  EXPECT_FALSE(chosen());
  EXPECT_EQ(decide()->reason, "nothing chooses its pod shop/cart-1");
  for (const char* const value : {"", "true", "Enabled", "disabled"}) {
    namespace_[kKey] = value;
    EXPECT_FALSE(chosen()) << value;
  }
}

TEST_F(ChoiceTest, TheNamespaceOptsIn) {
  namespace_[kKey] = "enabled";
  EXPECT_TRUE(chosen());
  EXPECT_EQ(decide()->reason, "namespace shop says zerospan.io/instrument: enabled");
}

TEST_F(ChoiceTest, ThePodOverridesInBothDirections) {
  pod_.labels[kKey] = "enabled";
  EXPECT_TRUE(chosen());
  namespace_[kKey] = "enabled";
  pod_.labels[kKey] = "disabled";
  EXPECT_FALSE(chosen());
  pod_.labels.erase(kKey);
  pod_.annotations[kKey] = "disabled";
  EXPECT_FALSE(chosen());
  pod_.annotations[kKey] = "enabled";
  namespace_.clear();
  EXPECT_TRUE(chosen());
  pod_.labels[kKey] = "disabled";  // of two that contradict each other
  EXPECT_FALSE(chosen());
}

TEST_F(ChoiceTest, ThePodSaysItEvenIfTheNamespaceIsNotKnown) {
  known_ = false;
  EXPECT_FALSE(decide());
  pod_.labels[kKey] = "enabled";
  EXPECT_TRUE(chosen());
}

TEST_F(ChoiceTest, AnotherKey) {
  options_.opt_in_label = "example.com/trace";
  namespace_[kKey] = "enabled";
  EXPECT_FALSE(chosen());
  namespace_["example.com/trace"] = "enabled";
  EXPECT_TRUE(chosen());
}

TEST_F(ChoiceTest, SelectorsAskForAllThatTheyHave) {
  const std::vector<std::pair<PodSelector, bool>> cases = {
      {{.namespaces = {"sh*"}}, true},
      {{.namespaces = {"other", "shop"}}, true},
      {{.namespaces = {"other"}}, false},
      {{.owner_kind = "Deployment"}, true},
      {{.owner_kind = "ReplicaSet", .owner_name = "cart-*"}, true},
      {{.owner_kind = "Deployment", .owner_name = "cart-*"}, false},
      {{.owner_kind = "StatefulSet"}, false},
      {{.owner_name = "cart"}, true},
      {{.pod_labels = {{"app", "c*"}}}, true},
      {{.pod_labels = {{"app", "cart"}, {"tier", "front"}}}, false},
      {{.pod_labels = {{"missing", "*"}}}, false},
      {{.containers = {"ma*"}}, true},
      {{.containers = {"side"}}, false},
      {{.namespaces = {"shop"}, .owner_kind = "Deployment", .containers = {"main"}}, true},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    options_.selectors = {cases[i].first};
    EXPECT_EQ(chosen(), cases[i].second) << i;
  }
  options_.selectors = {{.namespaces = {"other"}}, {.namespaces = {"shop"}}};
  EXPECT_EQ(decide()->reason, "kubernetes.selectors[1] matches its pod");
  pod_.annotations[kKey] = "disabled";
  EXPECT_FALSE(chosen());
}

TEST_F(ChoiceTest, NoAnswerBeforeItsFactsAreThere) {
  options_.selectors = {{.owner_kind = "Deployment"}};
  EXPECT_FALSE(decide("main", false));
  options_.selectors = {{.containers = {"main"}}};
  EXPECT_FALSE(decide(""));
  namespace_[kKey] = "enabled";  // whatever they are
  EXPECT_TRUE(decide("")->chosen);
  EXPECT_TRUE(decide("main", false)->chosen);
}

}  // namespace
}  // namespace zerospan::k8s
