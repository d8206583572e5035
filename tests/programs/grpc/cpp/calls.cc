// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The gRPC test program (../README.md) on gRPC's C++ library.

#include <grpcpp/grpcpp.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "calls.grpc.pb.h"

namespace {

using zerospan::test::Calls;
using zerospan::test::Item;

constexpr int kStreamed = 3;
constexpr std::array kKinds = {"unary",         "large",    "gzip",      "server_stream",
                               "client_stream", "both",     "not_found", "broken",
                               "unimplemented", "deadline", "cancel"};
constexpr std::array kNames = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

// One write of the whole line.
void print(const std::string& text) {
  std::fwrite((text + "\n").data(), 1, text.size() + 1, stdout);
  std::fflush(stdout);
}

std::string counts(int received, int sent) {
  return ",\"received\":" + std::to_string(received) + ",\"sent\":" + std::to_string(sent) + "}";
}

void log(const grpc::ServerContext& context, const std::string& method, int received, int sent,
         int status = 0) {
  const auto found = context.client_metadata().find("x-id");
  const std::string id = found == context.client_metadata().end()
                             ? ""
                             : std::string(found->second.data(), found->second.size());
  print("{\"id\":\"" + id + "\",\"method\":\"" + method + "\",\"status\":\"" + kNames.at(status) +
        "\"" + counts(received, sent));
}

grpc::Status status_of(const Item& item) {
  return {static_cast<grpc::StatusCode>(item.status()), item.status() == 0 ? "" : "as asked for"};
}

Item with_payload(const std::string& payload) {
  Item item;
  item.set_payload(payload);
  return item;
}

class Service final : public Calls::Service {
  grpc::Status Unary(grpc::ServerContext* context, const Item* request, Item* reply) override {
    log(*context, "Unary", 1, request->status() == 0 ? 1 : 0, static_cast<int>(request->status()));
    reply->set_payload(request->payload());
    return status_of(*request);
  }

  grpc::Status ServerStream(grpc::ServerContext* context, const Item* request,
                            grpc::ServerWriter<Item>* writer) override {
    int sent = 0;
    while (sent < static_cast<int>(request->answers()) &&
           writer->Write(with_payload(request->payload()))) {
      ++sent;
    }
    if (request->wait()) {
      while (!context->IsCancelled()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      log(*context, "ServerStream", 1, sent, grpc::StatusCode::CANCELLED);
      return grpc::Status::CANCELLED;
    }
    log(*context, "ServerStream", 1, sent, static_cast<int>(request->status()));
    return status_of(*request);
  }

  grpc::Status ClientStream(grpc::ServerContext* context, grpc::ServerReader<Item>* reader,
                            Item* reply) override {
    int received = 0;
    Item item;
    while (reader->Read(&item)) {
      ++received;
    }
    reply->set_payload(item.payload());
    log(*context, "ClientStream", received, 1);
    return grpc::Status::OK;
  }

  grpc::Status Both(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<Item, Item>* stream) override {
    int count = 0;
    Item item;
    while (stream->Read(&item) && stream->Write(with_payload(item.payload()))) {
      ++count;
    }
    log(*context, "Both", count, count,
        context->IsCancelled() ? grpc::StatusCode::CANCELLED : grpc::StatusCode::OK);
    return grpc::Status::OK;
  }
};

void serve(const char* age) {
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  if (age != nullptr) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, std::atoi(age));
  }
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  print("listening " + std::to_string(port));
  server->Wait();
}

struct Outcome {
  std::string method = "Unary";
  grpc::Status status;
  int sent = 1;
  int received = 0;
};

Outcome call(Calls::Stub& stub, const std::string& kind, const std::string& id) {
  Outcome outcome;
  grpc::ClientContext context;
  context.AddMetadata("x-id", id);
  Item item = with_payload(std::string(100, 'm'));
  Item reply;
  const auto unary = [&] {
    outcome.status = stub.Unary(&context, item, &reply);
    outcome.received = outcome.status.ok() ? 1 : 0;
  };
  const auto read = [&] {
    outcome.method = "ServerStream";
    const auto reader = stub.ServerStream(&context, item);
    while (reader->Read(&reply)) {
      ++outcome.received;
    }
    outcome.status = reader->Finish();
  };
  if (kind == "unary") {
    unary();
  } else if (kind == "large") {
    item.set_payload(std::string(50'000, 'm'));
    unary();
  } else if (kind == "gzip") {
    item.set_payload(std::string(5'000, 'm'));
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    unary();
  } else if (kind == "not_found") {
    item.set_status(5);
    unary();
  } else if (kind == "unimplemented") {
    outcome.method = "Missing";
    outcome.status = stub.Missing(&context, item, &reply);
  } else if (kind == "server_stream") {
    item.set_answers(kStreamed);
    read();
  } else if (kind == "broken") {
    item.set_answers(2);
    item.set_status(13);
    read();
  } else if (kind == "deadline") {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    item.set_answers(1);
    item.set_wait(true);
    read();
  } else if (kind == "client_stream") {
    outcome.method = "ClientStream";
    const auto writer = stub.ClientStream(&context, &reply);
    for (outcome.sent = 0; outcome.sent < kStreamed && writer->Write(item); ++outcome.sent) {
    }
    writer->WritesDone();
    outcome.status = writer->Finish();
    outcome.received = outcome.status.ok() ? 1 : 0;
  } else {
    outcome.method = "Both";
    const bool cancel = kind == "cancel";
    const auto stream = stub.Both(&context);
    for (outcome.sent = 0; outcome.sent < (cancel ? 1 : kStreamed) && stream->Write(item);) {
      ++outcome.sent;
      outcome.received += stream->Read(&reply) ? 1 : 0;
    }
    if (cancel) {
      context.TryCancel();
    } else {
      stream->WritesDone();
    }
    while (stream->Read(&reply)) {
      ++outcome.received;
    }
    outcome.status = stream->Finish();
  }
  return outcome;
}

void call_all(const std::string& port, int count, int wide) {
  const auto channel = grpc::CreateChannel("127.0.0.1:" + port, grpc::InsecureChannelCredentials());
  const std::unique_ptr<Calls::Stub> stub = Calls::NewStub(channel);
  print("ready");
  std::string go;
  std::getline(std::cin, go);
  const auto make = [&stub](int number) {
    std::string id = std::to_string(number);
    id.insert(0, 6 - id.size(), '0');
    const std::string kind = kKinds.at(static_cast<size_t>(number) % kKinds.size());
    const Outcome outcome = call(*stub, kind, id);
    print("{\"id\":\"" + id + "\",\"kind\":\"" + kind + "\",\"method\":\"" + outcome.method +
          "\",\"status\":\"" + kNames.at(outcome.status.error_code()) + "\"" +
          counts(outcome.received, outcome.sent));
  };
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < wide; ++i) {
    threads.emplace_back([&] {
      for (int number = next++; number < count; number = next++) {
        make(number);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  make(count);
  print("done");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "serve") {
    serve(argc > 2 ? argv[2] : nullptr);
  } else if (mode == "call" && argc == 5) {
    call_all(argv[2], std::atoi(argv[3]), std::atoi(argv[4]));
  } else {
    std::fputs("usage: calls serve [AGE_MS] | calls call PORT COUNT WIDE\n", stderr);
    return 2;
  }
  return 0;
}
