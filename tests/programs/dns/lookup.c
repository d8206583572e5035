// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Looks names up by the C library's resolver, one after the other: for musl, whose resolver asks
// from a socket that is connected to nobody, and for glibc's. "udp:PORT:COUNT" sends COUNT
// datagrams there instead, as something that is no DNS.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_datagrams(const char* how) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int port = 0;
  int count = 0;
  sscanf(how, "udp:%d:%d", &port, &count);
  to.sin_port = htons(port);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  for (int i = 0; i < count; ++i) {
    char bytes[64] = "not a question";
    if (sendto(fd, bytes, sizeof(bytes), 0, (struct sockaddr*)&to, sizeof(to)) < 0) {
      perror("sendto");
    }
  }
  close(fd);
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "udp:", 4) == 0) {
      send_datagrams(argv[i]);
      continue;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo* found = NULL;
    const int error = getaddrinfo(argv[i], NULL, &hints, &found);
    printf("%s %s\n", argv[i], error ? gai_strerror(error) : "found");
    if (!error) {
      freeaddrinfo(found);
    }
  }
  return 0;
}
