// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/discovery/cgroup.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace zerospan::discovery {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kOther = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

TEST(Cgroup, PathsOfTheRuntimes) {
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
    EXPECT_EQ(read_cgroup(path).container_id, kId) << path;
  }
}

TEST(Cgroup, TheInnermostContainerCounts) {
  EXPECT_EQ(
      read_cgroup("0::/docker/" + kOther + "/kubelet.slice/cri-containerd-" + kId + ".scope\n")
          .container_id,
      kId);
}

TEST(Cgroup, WhatIsNoContainer) {
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
    EXPECT_EQ(read_cgroup(path).container_id, "") << path;
  }
}

TEST(Cgroup, ThePodAroundTheContainer) {
  const std::string uid = "8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f";
  const std::string underscores = "8f2b1c1e_0d6b_4f0e_9f3e_0a1b2c3d4e5f";
  const std::string paths[] = {
      "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + underscores +
          ".slice/cri-containerd-" + kId + ".scope\n",
      "0::/kubepods.slice/kubepods-pod" + underscores + ".slice/crio-" + kId + ".scope/container\n",
      "0::/kubepods/besteffort/pod" + uid + "/" + kId + "\n",
      "0::/system.slice/containerd.service/kubepods-besteffort-pod" + underscores +
          ".slice:cri-containerd:" + kId + "\n",
      "5:memory:/kubepods/pod" + uid + "/" + kId + "\n0::/\n",
      "0::/docker/" + kOther + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" +
          underscores + ".slice/cri-containerd-" + kId + ".scope\n",
      "0::/kubepods.slice/kubepods-pod" + underscores + ".slice/docker-" + kId + ".scope\n",
      "0::/../../kubepods-pod" + underscores + ".slice/cri-containerd-" + kId + ".scope/init\n",
  };
  for (const std::string& path : paths) {
    EXPECT_EQ(read_cgroup(path).pod_uid, uid) << path;
    EXPECT_EQ(read_cgroup(path).container_id, kId) << path;
  }
}

TEST(Cgroup, APodOfAFileHasAHash) {
  const std::string hash = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(read_cgroup("0::/kubepods/burstable/pod" + hash + "/" + kId).pod_uid, hash);
  EXPECT_EQ(read_cgroup("0::/kubepods.slice/kubepods-pod" + hash + ".slice/crio-" + kId + ".scope")
                .pod_uid,
            hash);
}

TEST(Cgroup, AContainerAroundThePodIsTheNode) {
  const Cgroup cgroup =
      read_cgroup("0::/docker/" + kOther + "/kubepods/pod8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f\n");
  EXPECT_EQ(cgroup.pod_uid, "8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f");
  EXPECT_EQ(cgroup.container_id, "");
}

TEST(Cgroup, WhatIsNoPod) {
  for (const std::string& path :
       std::vector<std::string>{"0::/docker/" + kId, "0::/kubepods/pod1234",
                                "0::/x/pod8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f0/" + kId,
                                "0::/x/tripod8f2b1c1e-0d6b-4f0e-9f3e-0a1b2c3d4e5f/" + kId,
                                "0::/kubepods/pod8f2b1c1e+0d6b-4f0e-9f3e-0a1b2c3d4e5f/" + kId}) {
    EXPECT_EQ(read_cgroup(path).pod_uid, "") << path;
  }
}

TEST(Cgroup, ThePathOfTheUnifiedHierarchy) {
  EXPECT_EQ(read_cgroup("3:cpu:/a\n0::/b/c\n").path, "/b/c");
  EXPECT_EQ(read_cgroup("3:cpu:/a\n").path, "");
}

}  // namespace
}  // namespace zerospan::discovery
