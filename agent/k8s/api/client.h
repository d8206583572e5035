// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// Follows objects of a Kubernetes API server: lists each collection once, then watches it
// (https://kubernetes.io/docs/reference/using-api/api-concepts/). It never writes, and it never
// gives up: what fails is told to the observer and tried again, later and later.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "agent/core/result.h"

namespace zerospan::k8s {

struct ApiServerOptions {
  std::string url;         // https://10.0.0.1:443; http is accepted of a loopback address only
  std::string token_file;  // empty: no token. Read again as it is rotated
  std::string ca_file;     // PEM, empty: the system's. Read again for each connection
  std::string certificate_file, key_file;  // PEM, a client certificate; both or none
  std::string user_agent = "zerospan";

  // The first lists are put off by a random part of this, for the agents of all nodes may start at
  // once.
  std::chrono::milliseconds start_jitter{2'000};
  // After a failure the wait is drawn from [half, whole] of an interval that starts with the first
  // and doubles up to the second.
  std::chrono::milliseconds min_backoff{800};
  std::chrono::milliseconds max_backoff{30'000};
  std::chrono::milliseconds connect_timeout{10'000};
  // A list or a get that brings no byte for this long has failed. The server gives up after 60 s.
  std::chrono::milliseconds request_silence{75'000};
  // A watch that brings no byte for this long is begun anew from where it was. The server sends a
  // bookmark about once a minute.
  std::chrono::milliseconds watch_silence{240'000};
  // The server is asked to end each watch after a random time between these.
  std::chrono::seconds min_watch{300};
  std::chrono::seconds max_watch{600};
  // The token's file is not read more often than this, but for a 401.
  std::chrono::milliseconds token_interval{5'000};
  // A get() that has not succeeded for this long is given up.
  std::chrono::milliseconds get_patience{300'000};

  size_t page_size = 500;                 // objects asked for in a page of a list
  size_t max_object_bytes = 4U << 20U;    // longer ones, as JSON, are skipped and counted
  size_t max_decoded_bytes = 16U << 20U;  // and so are those that take more memory than this
  size_t max_gets = 1024;                 // get()s that wait or are under way
};

// A kind of objects to follow.
struct Collection {
  std::string name;            // "pods": for messages and metrics
  std::string path;            // "/api/v1/pods", as it goes into the URL
  std::string field_selector;  // "spec.nodeName=n1"; empty: all
  std::string label_selector;
  bool metadata_only = false;  // objects come as meta.k8s.io/v1 PartialObjectMetadata
};

// What becomes known. All calls come from the client's thread, none before start() is entered or
// after the client is destroyed; `collection` is an index of start()'s argument. An object is a
// JSON object with a string metadata.name and metadata.uid, without metadata.managedFields; it is
// only valid during the call.
class Observer {
 public:
  virtual ~Observer() = default;

  // A list begins. Comes again without an on_list_end if a list had to be given up.
  virtual void on_list_begin(size_t collection) = 0;
  // An object of a list, or one added or changed. The same one may come again.
  virtual void on_object(size_t collection, const nlohmann::json& object) = 0;
  // Gone; the last state. May tell of one that was never told.
  virtual void on_deleted(size_t collection, const nlohmann::json& object) = 0;
  // What did not come since the last on_list_begin is gone.
  virtual void on_list_end(size_t collection) = 0;
  // For the log: a whole sentence without secrets. The client goes on by itself, and its waits
  // bound how often this comes.
  virtual void on_error(size_t collection, const Error& error) = 0;
};

struct CollectionCounters {
  uint64_t lists = 0;    // begun
  uint64_t pages = 0;    // requests of lists
  uint64_t watches = 0;  // begun
  uint64_t objects = 0;  // on_object
  uint64_t deleted = 0;  // on_deleted
  uint64_t bookmarks = 0;
  uint64_t relists_gone = 0;    // lists begun anew since the server no longer had the version (410)
  uint64_t silent = 0;          // requests given up for silence
  uint64_t errors = 0;          // on_error
  uint64_t unknown_events = 0;  // events of a type that is not known
  uint64_t skipped_objects = 0;  // without name or uid, too large or nested too deeply
  bool synced = false;           // was listed once
};

struct Counters {
  std::vector<CollectionCounters> collections;
  uint64_t requests = 0;      // of all kinds
  uint64_t gets = 0;          // requests of get()
  uint64_t gets_refused = 0;  // get() was false
  uint64_t unauthorized = 0;  // answers 401
  uint64_t forbidden = 0;     // answers 403
  uint64_t bytes = 0;         // of answers, without headers
};

// Has one thread of its own. Each collection has one connection (HTTP/1.1), and get() up to two.
class Client {
 public:
  using Done = std::function<void(Result<nlohmann::json>)>;

  // kInvalidArgument for options that cannot work; kNotFound, kPermission for files that cannot be
  // read. A server that does not answer is no error here. The observer outlives the client.
  [[nodiscard]] static Result<std::unique_ptr<Client>> start(ApiServerOptions options,
                                                             std::vector<Collection> collections,
                                                             Observer& observer);
  // Ends the thread at once, also amid a watch.
  virtual ~Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // From any thread, call-backs included. Gets the object at this path, as PartialObjectMetadata if
  // metadata_only, and calls `done` from the client's thread: with the object, or an error:
  // kNotFound (404), kPermission (403), kUnavailable (given up), kMalformed, kUnsupported (too
  // large). Other failures are tried again. False: too many wait already, `done` is never called.
  // Nor is it called after the client is destroyed.
  [[nodiscard]] virtual bool get(std::string path, bool metadata_only, Done done) = 0;
  // From any thread.
  [[nodiscard]] virtual Counters counters() const = 0;
  // Each collection was listed once.
  [[nodiscard]] virtual bool synced() const = 0;

 protected:
  Client() = default;
};

}  // namespace zerospan::k8s
