// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The service in C++ of the parents benchmark (../README.md): one thread accepts and waits for
// requests with epoll, a pool of threads reads and serves them, and calls by libcurl, gRPC and
// libpq.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <libpq-fe.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Steps = std::vector<std::string>;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

template <typename T>
class Queue {
 public:
  void push(T value) {
    {
      const std::lock_guard lock(mutex_);
      values_.push_back(std::move(value));
    }
    filled_.notify_one();
  }

  T pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return !values_.empty(); });
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<T> values_;
};

using Jobs = Queue<std::function<void()>>;

void serve_jobs(Jobs& jobs, int threads) {
  for (int i = 0; i < threads; ++i) {
    std::thread([&jobs] {
      while (true) {
        jobs.pop()();
      }
    }).detach();
  }
}

Jobs requests;
Jobs jobs;
Jobs parallel;
Queue<PGconn*> database;
std::unique_ptr<grpc::GenericStub> stub;

size_t discard(char* /*bytes*/, size_t size, size_t count, void* /*unused*/) {
  return size * count;
}

void get(const std::string& name) {
  struct Close {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };
  thread_local const std::unique_ptr<CURL, Close> handle(curl_easy_init());
  curl_easy_setopt(handle.get(), CURLOPT_URL, (environment("HTTP_URL") + name).c_str());
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(handle.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  const CURLcode code = curl_easy_perform(handle.get());
  if (code != CURLE_OK) {
    throw std::runtime_error(curl_easy_strerror(code));
  }
}

void ask(const std::string& name) {
  grpc::ClientContext context;
  context.AddMetadata("x-id", name);
  grpc::CompletionQueue events;
  grpc::ByteBuffer request(nullptr, 0);
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub->PrepareUnaryCall(&context, "/parents.Service/Call", request, &events);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  events.Next(&tag, &ok);
  if (!status.ok()) {
    throw std::runtime_error(status.error_message());
  }
}

void query(std::string name) {
  for (char& c : name) {
    c = c == '.' ? '_' : c;
  }
  PGconn* connection = database.pop();
  if (connection == nullptr) {
    connection = PQconnectdb("");
  }
  PGresult* result = PQexec(connection, ("SELECT pg_sleep(0.002) AS r" + name).c_str());
  const bool ok = PQresultStatus(result) == PGRES_TUPLES_OK;
  const std::string error = PQerrorMessage(connection);
  PQclear(result);
  database.push(connection);
  if (!ok) {
    throw std::runtime_error(error);
  }
}

void call(const std::string& kind, const std::string& name) {
  if (kind == "http") {
    get(name);
  } else if (kind == "grpc") {
    ask(name);
  } else if (kind == "sql") {
    query(name);
  } else {
    throw std::runtime_error("unknown step " + kind);
  }
}

// Runs `work` on another thread, and passes on what it throws.
std::future<void> elsewhere(Jobs& where, std::function<void()> work) {
  const auto task = std::make_shared<std::packaged_task<void()>>(std::move(work));
  where.push([task] { (*task)(); });
  return task->get_future();
}

bool is_parallel(const std::string& step) {
  return step.ends_with(":parallel");
}

// Runs the steps; `made` calls were made before.
void run(const std::string& id, const Steps& steps, int made) {
  for (size_t i = 0; i < steps.size();) {
    if (steps[i] == "timer") {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ++i;
    } else if (steps[i] == "queue") {
      const Steps rest(steps.begin() + static_cast<long>(i) + 1, steps.end());
      elsewhere(jobs, [id, rest, made] { run(id, rest, made); }).get();
      return;
    } else if (is_parallel(steps[i])) {
      std::vector<std::future<void>> waiting;
      for (; i < steps.size() && is_parallel(steps[i]); ++i) {
        const std::string kind = steps[i].substr(0, steps[i].find(':'));
        const std::string name = id + "." + std::to_string(made++);
        waiting.push_back(elsewhere(parallel, [kind, name] { call(kind, name); }));
      }
      for (std::future<void>& each : waiting) {
        each.get();
      }
    } else {
      call(steps[i++], id + "." + std::to_string(made++));
    }
  }
}

std::string parameter(const std::string& head, const std::string& name) {
  size_t begin = head.find("?" + name + "=");
  if (begin == std::string::npos) {
    begin = head.find("&" + name + "=");
  }
  begin += name.size() + 2;
  return head.substr(begin, head.find_first_of("& ", begin) - begin);
}

// One request, or the peer's end; the set waits for the next one.
void serve(int set, int peer) {
  std::string head;
  std::vector<char> buffer(4096);
  while (!head.ends_with("\r\n\r\n")) {
    const ssize_t got = read(peer, buffer.data(), buffer.size());
    if (got <= 0) {
      close(peer);
      return;
    }
    head.append(buffer.data(), static_cast<size_t>(got));
  }
  const std::string id = parameter(head, "id");
  Steps steps;
  std::string status = "200 OK";
  try {
    std::istringstream plan(parameter(head, "plan"));
    for (std::string step; std::getline(plan, step, ',');) {
      steps.push_back(step);
    }
    run(id, steps, 0);
  } catch (const std::exception& error) {
    std::cerr << id << ' ' << error.what() << std::endl;
    status = "500 Failed";
  }
  const std::string answer = "HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nok";
  if (write(peer, answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) {
    close(peer);
    return;
  }
  epoll_event event{.events = EPOLLIN | EPOLLONESHOT, .data = {.fd = peer}};
  epoll_ctl(set, EPOLL_CTL_MOD, peer, &event);
}

int listen_on(sockaddr_in& address) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener, 1024) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen");
  }
  return listener;
}

}  // namespace

int main() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  stub = std::make_unique<grpc::GenericStub>(
      grpc::CreateChannel(environment("GRPC_TARGET"), grpc::InsecureChannelCredentials()));
  for (int i = 0; i < 16; ++i) {
    database.push(nullptr);
  }
  serve_jobs(requests, 32);
  serve_jobs(jobs, 8);
  serve_jobs(parallel, 16);
  sockaddr_in address{};
  const int listener = listen_on(address);
  const int set = epoll_create1(0);
  epoll_event first{.events = EPOLLIN, .data = {.fd = listener}};
  epoll_ctl(set, EPOLL_CTL_ADD, listener, &first);
  std::cout << "listening " << ntohs(address.sin_port) << std::endl;
  while (true) {
    epoll_event event{};
    if (epoll_wait(set, &event, 1, -1) != 1) {
      continue;
    }
    if (event.data.fd == listener) {
      const int peer = accept(listener, nullptr, nullptr);
      epoll_event added{.events = EPOLLIN | EPOLLONESHOT, .data = {.fd = peer}};
      epoll_ctl(set, EPOLL_CTL_ADD, peer, &added);
    } else {
      requests.push([set, peer = event.data.fd] { serve(set, peer); });
    }
  }
}
