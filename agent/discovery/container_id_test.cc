// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/container_id.h"

#include <gtest/gtest.h>

namespace zerospan::discovery {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

TEST(ContainerId, PathsOfTheRuntimes) {
  const std::string paths[] = {
      "0::/system.slice/docker-" + kId + ".scope\n",
      "0::/docker/" + kId + "\n",
      "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1a2b_3c.slice/"
      "cri-containerd-" +
          kId + ".scope\n",
      "0::/kubepods/besteffort/pod8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f/" + kId + "\n",
      "0::/kubepods.slice/kubepods-pod12.slice/crio-" + kId + ".scope\n",
      "0::/kubepods.slice/kubepods-pod12.slice/crio-" + kId + ".scope/container\n",
      "0::/machine.slice/libpod-" + kId + ".scope/container\n",
      "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope\n",
      "0::/default/" + kId + "\n",
      "0::/system.slice/containerd.service/kubepods-besteffort-pod12.slice:cri-containerd:" + kId +
          "\n",
      "12:pids:/ecs/9781c248-0edd-4cdb-9a93-f63cb662a5d3/" + kId + "\n",
      "12:cpuset:/\n11:memory:/docker/" + kId + "\n1:name=systemd:/docker/" + kId + "\n0::/\n",
      "0::/../../docker-" + kId + ".scope",
  };
  for (const std::string& path : paths) {
    EXPECT_EQ(container_id_from_cgroup(path), kId) << path;
  }
}

TEST(ContainerId, TheInnermostContainerCounts) {
  EXPECT_EQ(container_id_from_cgroup("0::/docker/" + kOther + "/kubelet.slice/cri-containerd-" +
                                     kId + ".scope\n"),
            kId);
}

TEST(ContainerId, WhatIsNoContainer) {
  const std::string paths[] = {
      "",
      "\n\n",
      "0::/\n",
      "0::/user.slice/user-1000.slice/session-3.scope\n",
      "0::/system.slice/nginx.service\n",
      "0::/machine.slice/libpod-conmon-" + kId + ".scope\n",
      "0::/kubepods.slice/crio-conmon-" + kId + ".scope\n",
      "0::/docker/" + kId.substr(1) + "\n",
      "0::/docker/" + kId + "0\n",
      "0::/docker/G" + kId.substr(1) + "\n",
      "no colons " + kId,
      "0:" + kId,
  };
  for (const std::string& path : paths) {
    EXPECT_EQ(container_id_from_cgroup(path), "") << path;
  }
}

}  // namespace
}  // namespace zerospan::discovery
