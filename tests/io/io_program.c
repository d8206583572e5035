/* SPDX-FileCopyrightText: The zerospan authors */
/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A server and a client for HTTP/1.1 that read and write by the way that is named, one thread a
 * connection. No library but libc's: io_uring by its system calls (io_uring(7)).
 *
 *   io_program WAY server [BACKEND]  prints `listening PORT`, and of each request a line:
 *                                    METHOD TARGET STATUS REQUEST-BODY RESPONSE-BODY;
 *                                    `overtaken-server` asks the BACKEND's port for each first
 *   io_program WAY client PORT ID N  N requests one after the other, a line of each; ends when
 *                                    standard input does
 *
 * A target's `size=` is the size of the answer's body, `status=` its status.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/io_uring.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
/* Of newer headers than Debian 12's. */
#define SETUP_SINGLE_ISSUER (1U << 12)
#define SETUP_DEFER_TASKRUN (1U << 13)

enum { BUFFER = 64 * 1024, FIRST = 40, BODY_MAX = 1024 * 1024, ENTRIES = 16, SHARED = 8 };

static const char* way;
static char* pattern; /* what bodies are made of */
static int pattern_file;

static void check(int good, const char* what) {
  if (!good) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
  }
}

static int way_is(const char* name) {
  return strcmp(way, name) == 0;
}
static int way_begins(const char* name) {
  return strncmp(way, name, strlen(name)) == 0;
}

/* What one connection has; `filled` bytes of `in` are not used yet. */
struct channel {
  int fd;
  int pipe[2];
  char* in;
  size_t filled;
  /* io_uring */
  int ring;
  unsigned flags;
  unsigned *sq_head, *sq_tail, *sq_mask, *sq_array, *sq_flags, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe* sqes;
  struct io_uring_cqe* cqes;
  char* shared; /* SHARED buffers that the kernel selects from */
  int armed;    /* a multishot receive goes on */
};

static unsigned* at(void* base, unsigned offset) {
  return (unsigned*)((char*)base + offset);
}

static void ring_open(struct channel* c) {
  struct io_uring_params p = {0};
  if (way_is("uring-sqpoll")) {
    p.flags = IORING_SETUP_SQPOLL;
    p.sq_thread_idle = 50;
  } else if (way_is("uring-defer")) {
    p.flags = SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN;
  }
  c->ring = (int)syscall(__NR_io_uring_setup, ENTRIES, &p);
  check(c->ring >= 0, "io_uring_setup");
  c->flags = p.flags;
  const size_t sq = p.sq_off.array + p.sq_entries * sizeof(unsigned);
  const size_t cq = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  char* area = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                    c->ring, IORING_OFF_SQ_RING);
  check(area != MAP_FAILED, "mmap of the ring");
  c->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_POPULATE, c->ring, IORING_OFF_SQES);
  check(c->sqes != MAP_FAILED, "mmap of the entries");
  c->sq_head = at(area, p.sq_off.head);
  c->sq_tail = at(area, p.sq_off.tail);
  c->sq_mask = at(area, p.sq_off.ring_mask);
  c->sq_flags = at(area, p.sq_off.flags);
  c->sq_array = at(area, p.sq_off.array);
  c->cq_head = at(area, p.cq_off.head);
  c->cq_tail = at(area, p.cq_off.tail);
  c->cq_mask = at(area, p.cq_off.ring_mask);
  c->cqes = (struct io_uring_cqe*)(area + p.cq_off.cqes);
}

static void ring_add(struct channel* c, const struct io_uring_sqe* entry) {
  const unsigned tail = *c->sq_tail;
  c->sqes[tail & *c->sq_mask] = *entry;
  c->sq_array[tail & *c->sq_mask] = tail & *c->sq_mask;
  __atomic_store_n(c->sq_tail, tail + 1, __ATOMIC_RELEASE);
}

/* Submits what was added, and waits for one completion. */
static struct io_uring_cqe ring_wait(struct channel* c) {
  for (;;) {
    const unsigned head = *c->cq_head;
    const unsigned added = *c->sq_tail - __atomic_load_n(c->sq_head, __ATOMIC_ACQUIRE);
    if (head != __atomic_load_n(c->cq_tail, __ATOMIC_ACQUIRE)) {
      const struct io_uring_cqe done = c->cqes[head & *c->cq_mask];
      __atomic_store_n(c->cq_head, head + 1, __ATOMIC_RELEASE);
      return done;
    }
    unsigned flags = IORING_ENTER_GETEVENTS;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(c->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP) {
      flags |= IORING_ENTER_SQ_WAKEUP;
    }
    const long got = syscall(__NR_io_uring_enter, c->ring, added, 1, flags, NULL, 0);
    check(got >= 0 || errno == EINTR, "io_uring_enter");
  }
}

static long ring_do(struct channel* c, const struct io_uring_sqe* entry) {
  ring_add(c, entry);
  const struct io_uring_cqe done = ring_wait(c);
  if (done.flags & IORING_CQE_F_MORE) {
    ring_wait(c); /* zero copy: the buffer is free again */
  }
  errno = done.res < 0 ? -done.res : 0;
  return done.res;
}

static void give_buffer(struct channel* c, unsigned id, unsigned count) {
  struct io_uring_sqe give = {.opcode = IORING_OP_PROVIDE_BUFFERS, .fd = (int)count};
  give.addr = (unsigned long)(c->shared + id * BUFFER);
  give.len = BUFFER;
  give.off = id;
  give.flags = IOSQE_CQE_SKIP_SUCCESS;
  ring_add(c, &give);
}

static long ring_receive(struct channel* c, char* to, size_t room) {
  struct iovec parts[2] = {{to, FIRST}, {to + FIRST, room - FIRST}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  struct io_uring_sqe entry = {.opcode = IORING_OP_RECV, .fd = c->fd};
  entry.addr = (unsigned long)to;
  entry.len = (unsigned)room;
  if (way_is("uring-read")) {
    entry.opcode = IORING_OP_READ;
  } else if (way_is("uring-message")) {
    entry.opcode = IORING_OP_RECVMSG;
    entry.addr = (unsigned long)&message;
    entry.len = 1;
  } else if (way_is("uring-vector")) {
    entry.opcode = IORING_OP_READV;
    entry.addr = (unsigned long)parts;
    entry.len = 2;
  } else if (way_is("uring-async")) {
    entry.flags = IOSQE_ASYNC;
  } else if (way_is("uring-buffers") || way_is("uring-multishot")) {
    if (!c->shared) {
      c->shared = malloc((size_t)SHARED * BUFFER);
      give_buffer(c, 0, SHARED);
    }
    entry.flags = IOSQE_BUFFER_SELECT;
    entry.addr = 0;
    entry.len = 0;
    if (way_is("uring-multishot")) {
      entry.ioprio = 1U << 1; /* IORING_RECV_MULTISHOT */
    } else {
      entry.len = BUFFER;
    }
    if (!c->armed) {
      ring_add(c, &entry);
    }
    const struct io_uring_cqe done = ring_wait(c);
    c->armed = way_is("uring-multishot") && (done.flags & IORING_CQE_F_MORE);
    if (done.flags & IORING_CQE_F_BUFFER) {
      const unsigned id = done.flags >> IORING_CQE_BUFFER_SHIFT;
      check((size_t)done.res <= room, "room");
      memcpy(to, c->shared + (size_t)id * BUFFER, (size_t)done.res);
      give_buffer(c, id, 1);
    }
    errno = done.res < 0 ? -done.res : 0;
    return done.res;
  }
  return ring_do(c, &entry);
}

/* Sends a head and its body, in one request where the kind of request allows. */
static void ring_send(struct channel* c, char* head, size_t head_length, size_t body) {
  struct iovec parts[2] = {{head, head_length}, {pattern, body}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = body ? 2 : 1};
  struct io_uring_sqe entry = {.opcode = IORING_OP_SEND, .fd = c->fd};
  if (way_is("uring-message") || way_is("uring-vector")) {
    entry.opcode = way_is("uring-vector") ? IORING_OP_WRITEV : IORING_OP_SENDMSG;
    entry.addr = way_is("uring-vector") ? (unsigned long)parts : (unsigned long)&message;
    entry.len = way_is("uring-vector") ? (unsigned)message.msg_iovlen : 1;
    entry.msg_flags = way_is("uring-vector") ? 0 : MSG_WAITALL;
    check(ring_do(c, &entry) == (long)(head_length + body), "send");
    return;
  }
  if (way_is("uring-read")) {
    entry.opcode = IORING_OP_WRITE;
  } else if (way_is("uring-zerocopy")) {
    entry.opcode = 47; /* IORING_OP_SEND_ZC */
  } else if (way_is("uring-async")) {
    entry.flags = IOSQE_ASYNC;
  }
  for (int i = 0; i < 2; ++i) {
    size_t left = parts[i].iov_len;
    for (char* from = parts[i].iov_base; left > 0;) {
      entry.addr = (unsigned long)from;
      entry.len = (unsigned)left;
      const long sent = ring_do(c, &entry);
      check(sent > 0, "send");
      from += sent;
      left -= (size_t)sent;
    }
  }
}

static long receive(struct channel* c, char* to, size_t room) {
  if (way_begins("uring")) {
    return ring_receive(c, to, room);
  }
  if (way_is("mmsg")) {
    struct iovec first = {to, FIRST}, rest = {to + FIRST, room - FIRST};
    struct mmsghdr messages[2] = {{{.msg_iov = &first, .msg_iovlen = 1}, 0},
                                  {{.msg_iov = &rest, .msg_iovlen = 1}, 0}};
    const int count = recvmmsg(c->fd, messages, 2, MSG_WAITFORONE, NULL);
    check(count >= 0, "recvmmsg");
    return messages[0].msg_len + (count > 1 ? messages[1].msg_len : 0);
  }
  return recv(c->fd, to, room, 0);
}

static void send_all(int fd, const char* from, size_t count, int flags) {
  while (count > 0) {
    const ssize_t sent = send(fd, from, count, flags);
    check(sent > 0, "send");
    from += sent;
    count -= (size_t)sent;
  }
}

/* The kernel has said that it needs them no more. */
static void await_zero_copy(int fd) {
  for (;;) {
    char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
    if (recvmsg(fd, &message, MSG_ERRQUEUE) >= 0) {
      return;
    }
    check(errno == EAGAIN, "recvmsg of the error queue");
    usleep(100);
  }
}

static void send_messages(int fd, char* head, size_t head_length, size_t body) {
  /* Three messages, of which the second has two buffers. */
  struct iovec parts[4] = {{head, head_length},
                           {pattern, body / 2},
                           {pattern + body / 2, body / 4},
                           {pattern + body / 2 + body / 4, body - body / 2 - body / 4}};
  struct mmsghdr messages[3] = {{{.msg_iov = parts, .msg_iovlen = 1}, 0},
                                {{.msg_iov = parts + 1, .msg_iovlen = 2}, 0},
                                {{.msg_iov = parts + 3, .msg_iovlen = 1}, 0}};
  const unsigned count = body ? 3 : 1;
  const int done = sendmmsg(fd, messages, count, 0);
  check(done == (int)count, "sendmmsg");
}

static void send_whole(struct channel* c, char* head, size_t head_length, size_t body) {
  if (way_begins("uring")) {
    ring_send(c, head, head_length, body);
  } else if (way_is("mmsg")) {
    send_messages(c->fd, head, head_length, body);
  } else if (way_is("sendfile") && body) {
    send_all(c->fd, head, head_length, MSG_MORE);
    for (off_t from = 0; from < (off_t)body;) {
      check(sendfile(c->fd, pattern_file, &from, body - (size_t)from) > 0, "sendfile");
    }
  } else if (way_is("splice") && body) {
    send_all(c->fd, head, head_length, 0);
    for (loff_t from = 0; from < (loff_t)body;) {
      ssize_t filled = splice(pattern_file, &from, c->pipe[1], NULL, body - (size_t)from, 0);
      check(filled > 0, "splice into the pipe");
      while (filled > 0) {
        const ssize_t sent = splice(c->pipe[0], NULL, c->fd, NULL, (size_t)filled, SPLICE_F_MORE);
        check(sent > 0, "splice out of the pipe");
        filled -= sent;
      }
    }
  } else if (way_is("zerocopy")) {
    send_all(c->fd, head, head_length, MSG_ZEROCOPY);
    await_zero_copy(c->fd);
    if (body) {
      const ssize_t sent = send(c->fd, pattern, body, MSG_ZEROCOPY);
      check(sent > 0, "send");
      await_zero_copy(c->fd);
      send_all(c->fd, pattern + sent, body - (size_t)sent, 0);
    }
  } else {
    send_all(c->fd, head, head_length, MSG_MORE * (body > 0));
    send_all(c->fd, pattern, body, 0);
  }
}

/* A head, with its body thrown away; false at the connection's end. */
static int receive_message(struct channel* c, char* head, size_t room, size_t* body) {
  char* end;
  while (!(end = memmem(c->in, c->filled, "\r\n\r\n", 4))) {
    check(c->filled < BUFFER, "head too long");
    const long count = receive(c, c->in + c->filled, BUFFER);
    if (count <= 0) {
      return 0;
    }
    c->filled += (size_t)count;
  }
  const size_t length = (size_t)(end + 4 - c->in);
  check(length < room, "head too long");
  memcpy(head, c->in, length);
  head[length] = 0;
  memmove(c->in, c->in + length, c->filled - length);
  c->filled -= length;
  const char* field = strcasestr(head, "\r\ncontent-length:");
  *body = field ? strtoul(field + strlen("\r\ncontent-length:"), NULL, 10) : 0;
  size_t left = *body;
  if (left < c->filled) {
    memmove(c->in, c->in + left, c->filled - left);
    c->filled -= left;
    return 1;
  }
  left -= c->filled;
  c->filled = 0;
  while (left > 0) {
    const size_t want = left < BUFFER ? left : BUFFER;
    ssize_t count;
    if (way_is("splice")) {
      static __thread char* sink;
      sink = sink ? sink : malloc(BUFFER);
      count = splice(c->fd, NULL, c->pipe[1], NULL, want, 0);
      check(count > 0 && read(c->pipe[0], sink, BUFFER) == count, "splice out of the socket");
    } else {
      count = receive(c, c->in, BUFFER);
      if (count > (ssize_t)left) {
        c->filled = (size_t)count - left;
        memmove(c->in, c->in + left, c->filled);
        count = (ssize_t)left;
      }
    }
    check(count > 0, "body");
    left -= (size_t)count;
  }
  return 1;
}

/* Kernel TLS with keys that both sides know; before it, something that is no HTTP. */
static void start_tls(int fd) {
  char hello[32] = "\x16\x03\x03\x00\x1bhandshake";
  send_all(fd, hello, sizeof(hello), 0);
  check(recv(fd, hello, sizeof(hello), MSG_WAITALL) == sizeof(hello), "handshake");
  send_all(fd, hello, sizeof(hello), 0);
  check(recv(fd, hello, sizeof(hello), MSG_WAITALL) == sizeof(hello), "handshake");
  struct tls12_crypto_info_aes_gcm_128 keys = {
      .info = {.version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};
  memset(keys.key, 7, sizeof(keys.key));
  memset(keys.salt, 8, sizeof(keys.salt));
  check(setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls")) == 0, "TCP_ULP");
  check(setsockopt(fd, SOL_TLS, TLS_RX, &keys, sizeof(keys)) == 0, "TLS_RX");
  check(setsockopt(fd, SOL_TLS, TLS_TX, &keys, sizeof(keys)) == 0, "TLS_TX");
  /* As TLS 1.2's Finished: a record that is not the program's data. */
  char control[CMSG_SPACE(1)] = {0};
  char finished[] = "GET /finished HTTP/1.1\r\n\r\n";
  struct iovec part = {finished, 16};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
  struct cmsghdr* type = CMSG_FIRSTHDR(&message);
  type->cmsg_level = SOL_TLS;
  type->cmsg_type = TLS_SET_RECORD_TYPE;
  type->cmsg_len = CMSG_LEN(1);
  *CMSG_DATA(type) = 22;
  check(sendmsg(fd, &message, 0) == 16, "sendmsg of a record");
  memset(control, 0, sizeof(control));
  message.msg_controllen = sizeof(control);
  check(recvmsg(fd, &message, 0) == 16, "recvmsg of a record");
  check(*CMSG_DATA(CMSG_FIRSTHDR(&message)) == 22, "type of the record");
}

static struct channel* channel_open(int fd) {
  struct channel* c = calloc(1, sizeof(*c));
  c->fd = fd;
  c->in = malloc(2 * BUFFER);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  check(pipe(c->pipe) == 0, "pipe");
  if (way_begins("uring")) {
    ring_open(c);
  } else if (way_is("zerocopy")) {
    check(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0, "SO_ZEROCOPY");
  } else if (way_is("ktls")) {
    start_tls(fd);
  }
  return c;
}

static unsigned long number(const char* text, const char* name, unsigned long otherwise) {
  const char* found = strstr(text, name);
  return found ? strtoul(found + strlen(name), NULL, 10) : otherwise;
}

/*
 * All threads on one processor, and those of real time but one, which writes: whom it wakes runs
 * before its own system call goes on, where the kernel is preemptible. `overtaken-client`: a
 * client's answer is read before the call that has sent the request ends. `overtaken-server`: the
 * next request is read before the call that has sent the answer ends. `-long`: by more than the 40
 * milliseconds after which TCP acknowledges what was read.
 */
static void on_one_processor(int real_time) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  check(sched_setaffinity(0, sizeof(one), &one) == 0, "sched_setaffinity");
  const struct sched_param priority = {.sched_priority = real_time ? 10 : 0};
  check(sched_setscheduler(0, real_time ? SCHED_FIFO : SCHED_OTHER, &priority) == 0,
        "sched_setscheduler");
}

static int backend; /* port; 0: none */

static int connect_to(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)},
                                .sin_port = htons((unsigned short)port)};
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  check(connect(fd, (struct sockaddr*)&address, sizeof(address)) == 0, "connect");
  return fd;
}

/* What the reading thread has for the writing one. */
struct handover {
  struct channel* channel;
  sem_t ready;
  char head[64][256];
  unsigned written, read;
};

static void* write_answers(void* argument) {
  struct handover* h = argument;
  on_one_processor(0);
  for (;;) {
    while (sem_wait(&h->ready) != 0) {
    }
    const char* head = h->head[h->read++ % 64];
    send_all(h->channel->fd, head, strlen(head), 0);
  }
  return NULL;
}

static void serve_in_two_threads(struct channel* c) {
  struct handover* h = calloc(1, sizeof(*h));
  h->channel = c;
  sem_init(&h->ready, 0, 0);
  pthread_t writer;
  check(pthread_create(&writer, NULL, write_answers, h) == 0, "thread");
  on_one_processor(1);
  char head[8192], method[32], target[128];
  size_t received;
  struct channel* asked = backend ? channel_open(connect_to(backend)) : NULL;
  while (receive_message(c, head, sizeof(head), &received)) {
    check(sscanf(head, "%31s %127s", method, target) == 2, "request line");
    if (asked) {
      char answer[8192];
      size_t body;
      snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target);
      send_all(asked->fd, head, strlen(head), 0);
      check(receive_message(asked, answer, sizeof(answer), &body), "backend");
    }
    printf("%s %s 200 %zu 0\n", method, target, received);
    fflush(stdout);
    snprintf(h->head[h->written++ % 64], sizeof(h->head[0]),
             "HTTP/1.1 200 Answer\r\nContent-Length: 0\r\nX-Target: %s\r\n\r\n", target);
    sem_post(&h->ready);
  }
}

static const char* client_id;

static void* read_answers(void* argument) {
  struct handover* h = argument;
  char head[8192];
  size_t received;
  on_one_processor(1);
  for (int i = 0; receive_message(h->channel, head, sizeof(head), &received); ++i) {
    printf("answer %s-%d %.3s 0 %zu\n", client_id, i, head + 9, received);
    fflush(stdout);
    /* Not at first: TCP acknowledges late only what is answered quickly. */
    if (way_is("overtaken-client-long") && i > 20 && i % 4 == 0) {
      struct timespec from, now;
      clock_gettime(CLOCK_MONOTONIC, &from);
      do {
        clock_gettime(CLOCK_MONOTONIC, &now);
      } while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 100);
    }
    sem_post(&h->ready);
  }
  return NULL;
}

static void ask_in_two_threads(struct channel* c, int count) {
  struct handover* h = calloc(1, sizeof(*h));
  h->channel = c;
  sem_init(&h->ready, 0, 0);
  on_one_processor(0);
  pthread_t reader;
  check(pthread_create(&reader, NULL, read_answers, h) == 0, "thread");
  char head[256];
  for (int i = 0; i < count; ++i) {
    const int length = snprintf(head, sizeof(head),
                                "GET /way/%d?size=0&id=%s-%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                                i, client_id, i);
    send_all(c->fd, head, (size_t)length, 0);
    while (sem_wait(&h->ready) != 0) {
    }
  }
  shutdown(c->fd, SHUT_RDWR);
  pthread_join(reader, NULL);
}

static void* serve(void* argument) {
  struct channel* c = channel_open((int)(long)argument);
  char head[8192], method[32], target[2048];
  size_t received;
  if (way_begins("overtaken")) {
    on_one_processor(1);
  }
  if (way_is("overtaken-server")) {
    serve_in_two_threads(c);
    close(c->fd);
    return NULL;
  }
  while (receive_message(c, head, sizeof(head), &received)) {
    check(sscanf(head, "%31s %2047s", method, target) == 2, "request line");
    const size_t body = number(target, "size=", 2);
    const unsigned long status = number(target, "status=", 200);
    check(body <= BODY_MAX, "size");
    const int length = snprintf(head, sizeof(head),
                                "HTTP/1.1 %lu Answer\r\nContent-Length: %zu\r\n\r\n", status, body);
    flockfile(stdout);
    printf("%s %s %lu %zu %zu\n", method, target, status, received, body);
    fflush(stdout);
    funlockfile(stdout);
    send_whole(c, head, (size_t)length, body);
  }
  close(c->fd);
  return NULL;
}

static void run_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof(address);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  check(bind(listener, (struct sockaddr*)&address, length) == 0, "bind");
  check(listen(listener, 64) == 0, "listen");
  getsockname(listener, (struct sockaddr*)&address, &length);
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    check(fd >= 0, "accept");
    pthread_t thread;
    check(pthread_create(&thread, NULL, serve, (void*)(long)fd) == 0, "thread");
    pthread_detach(thread);
  }
}

static void run_client(int port, const char* id, int count) {
  const int fd = connect_to(port);
  struct channel* c = channel_open(fd);
  char head[8192];
  size_t received;
  if (way_begins("overtaken-client")) {
    client_id = id;
    ask_in_two_threads(c, count);
    count = 0;
  } else if (way_begins("overtaken")) {
    on_one_processor(1);
  }
  for (int i = 0; i < count; ++i) {
    const size_t body = i % 3 == 1 || way_begins("overtaken") ? 0 : (size_t)i * 997 % 150000;
    const int length = snprintf(
        head, sizeof(head),
        "%s /way/%d?size=%d&id=%s-%d HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu"
        "\r\n\r\n",
        body ? "POST" : "GET", i, way_begins("overtaken") ? 0 : i * 1499 % 200000 + 1, id, i, body);
    send_whole(c, head, (size_t)length, body);
    check(receive_message(c, head, sizeof(head), &received), "answer");
    printf("answer %s-%d %.3s %zu %zu\n", id, i, head + 9, body, received);
  }
  fflush(stdout);
  close(fd);
  /* Who has ended before it was looked at has no name. */
  check(getchar() == EOF, "standard input");
}

int main(int count, char** arguments) {
  if (count != 3 && count != 4 && count != 6) {
    fprintf(stderr,
            "usage: io_program WAY server [BACKEND] | io_program WAY client PORT ID COUNT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  way = arguments[1];
  pattern = malloc(BODY_MAX);
  memset(pattern, 'z', BODY_MAX);
  pattern_file = memfd_create("bodies", MFD_CLOEXEC);
  check(pattern_file >= 0 && write(pattern_file, pattern, BODY_MAX) == BODY_MAX, "memfd");
  if (count < 6) {
    backend = count == 4 ? atoi(arguments[3]) : 0;
    run_server();
  } else {
    run_client(atoi(arguments[3]), arguments[4], atoi(arguments[5]));
  }
  return 0;
}
