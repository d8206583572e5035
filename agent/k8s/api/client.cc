// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/k8s/api/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string_view>
#include <thread>
#include <utility>

#include "agent/core/unique_fd.h"
#include "agent/k8s/api/decode.h"
#include "agent/k8s/api/reflector.h"

namespace zerospan::k8s {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr size_t kMaxTokenBytes = 64U << 10U;
constexpr size_t kGetsAtOnce = 2;
constexpr int kOk = 200;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;
using Multi = std::unique_ptr<CURLM, MultiDeleter>;
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append_header(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer != nullptr) {
    (void)list.release();
    list.reset(longer);
  }
}

Result<std::string> read_token(const std::string& path) {
  const auto failed = [&](int error_number) {
    return tl::unexpected(error_from_errno(
        error_number, fmt::format("reading the Kubernetes API's token in '{}'", path)));
  };
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    return failed(errno);
  }
  std::string token(kMaxTokenBytes, '\0');
  size_t size = 0;
  while (size < token.size()) {
    const ssize_t count = ::read(file.get(), token.data() + size, token.size() - size);
    if (count < 0) {
      return failed(errno);
    }
    if (count == 0) {
      break;
    }
    size += static_cast<size_t>(count);
  }
  token.resize(size);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) {
    token.pop_back();
  }
  if (token.empty() || size == kMaxTokenBytes ||
      std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c == 0x7F; })) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not a token of the Kubernetes API: it needs one line of at "
                            "most 64 KiB without blanks",
                            path));
  }
  return token;
}

bool is_loopback(const std::string& host) {
  in_addr address{};
  return host == "localhost" || host == "[::1]" ||
         (::inet_pton(AF_INET, host.c_str(), &address) == 1 &&
          (ntohl(address.s_addr) >> 24U) == IN_LOOPBACKNET);
}

Status check_readable(const std::string& path, const char* what) {
  if (!path.empty() && ::access(path.c_str(), R_OK) != 0) {
    return tl::unexpected(
        error_from_errno(errno, fmt::format("the Kubernetes API's {} '{}'", what, path)));
  }
  return {};
}

// The URL without a slash at its end.
Result<std::string> check(const ApiServerOptions& options,
                          const std::vector<Collection>& collections) {
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    std::string copy;
    if (curl_url_get(url.get(), which, &text, 0) == CURLUE_OK) {
      copy = text;
      curl_free(text);
    }
    return copy;
  };
  if (url == nullptr ||
      curl_url_set(url.get(), CURLUPART_URL, options.url.c_str(), 0) != CURLUE_OK) {
    return fail(
        ErrorCode::kInvalidArgument,
        "the URL of the Kubernetes API server is not one; it needs the form https://HOST:PORT");
  }
  const std::string scheme = part(CURLUPART_SCHEME);
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_QUERY).empty() ||
      !part(CURLUPART_FRAGMENT).empty() ||
      (scheme != "https" && (scheme != "http" || !is_loopback(part(CURLUPART_HOST))))) {
    return fail(ErrorCode::kInvalidArgument,
                "the URL of the Kubernetes API server needs the form https://HOST:PORT, without a "
                "user or a query; http is accepted of a loopback address only, for the token would "
                "be readable on the way");
  }
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "a client certificate for the Kubernetes API needs both the certificate and its key");
  }
  if (options.page_size == 0 || options.min_backoff <= milliseconds(0) ||
      options.min_watch <= std::chrono::seconds(0) || options.max_watch < options.min_watch) {
    return fail(ErrorCode::kInvalidArgument,
                "the times and the page's size for the Kubernetes API have to be above zero");
  }
  for (const Collection& collection : collections) {
    if (!collection.path.starts_with('/')) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the path '{}' of the collection {} has to start with a slash",
                              collection.path, collection.name));
    }
  }
  for (const auto& [path, what] : {std::pair(&options.ca_file, "certificates of authorities"),
                                   std::pair(&options.certificate_file, "client certificate"),
                                   std::pair(&options.key_file, "client key")}) {
    if (const Status readable = check_readable(*path, what); !readable) {
      return tl::unexpected(readable.error());
    }
  }
  std::string base = options.url;
  while (base.ends_with('/')) {
    base.pop_back();
  }
  return base;
}

struct Get {
  std::string path;
  bool metadata_only = false;
  Client::Done done;
  TimePoint since;
  TimePoint due;
  unsigned failures = 0;
};

class ClientImpl;

// A request under way: of a reflector, or of a get.
struct Transfer {
  Transfer(ClientImpl& of, Reflector* for_reflector) : client(of), reflector(for_reflector) {}

  ClientImpl& client;
  Reflector* reflector;  // null: a get's
  std::optional<Get> get;
  std::string body;  // a get's
  bool watch = false;
  bool ended_by_us = false;  // on_body wanted no more
  TimePoint last_byte;
  std::array<char, CURL_ERROR_SIZE> error_text{};
  HeaderList headers;
  Easy easy;  // goes first: it uses the rest
};

class ClientImpl final : public Client {
 public:
  ClientImpl(ApiServerOptions options, std::vector<Collection> collections, Observer& observer,
             Multi multi, std::string url, std::string token)
      : options_(std::move(options)),
        collections_(std::move(collections)),
        url_(std::move(url)),
        token_(std::move(token)),
        token_read_(Clock::now()),
        random_(std::random_device{}()),
        multi_(std::move(multi)) {
    const TimePoint first =
        Clock::now() + milliseconds(static_cast<int64_t>(
                           static_cast<double>(options_.start_jitter.count()) * draw()));
    reflectors_.reserve(collections_.size());
    for (size_t i = 0; i < collections_.size(); ++i) {
      reflectors_.emplace_back(i, collections_[i], options_, observer, first);
    }
    publish();
    thread_ = std::thread([this] { run(); });
  }

  ~ClientImpl() override {
    stop_ = true;
    curl_multi_wakeup(multi_.get());
    thread_.join();
    for (const auto& transfer : transfers_) {
      curl_multi_remove_handle(multi_.get(), transfer->easy.get());
    }
  }

  bool get(std::string path, bool metadata_only, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      if (waiting_gets_ >= options_.max_gets) {
        ++gets_refused_;
        return false;
      }
      ++waiting_gets_;
      const TimePoint now = Clock::now();
      new_gets_.push_back({std::move(path), metadata_only, std::move(done), now, now});
    }
    curl_multi_wakeup(multi_.get());
    return true;
  }

  [[nodiscard]] Counters counters() const override {
    const std::lock_guard lock(mutex_);
    Counters copy = published_;
    copy.gets_refused = gets_refused_;
    return copy;
  }

  [[nodiscard]] bool synced() const override {
    const std::lock_guard lock(mutex_);
    return std::all_of(published_.collections.begin(), published_.collections.end(),
                       [](const CollectionCounters& each) { return each.synced; });
  }

 private:
  using Clock = std::chrono::steady_clock;
  using Transfers = std::vector<std::unique_ptr<Transfer>>;

  double draw() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  void run() {
    for (;;) {
      start_due(Clock::now());
      int running = 0;
      curl_multi_perform(multi_.get(), &running);
      if (stop_) {
        return;
      }
      finish_done();
      const TimePoint silent = end_silent(Clock::now());
      publish();
      const auto left =
          std::chrono::ceil<milliseconds>(std::min(silent, next_due()) - Clock::now());
      constexpr int64_t kLongestPollMs = 60'000;
      curl_multi_poll(multi_.get(), nullptr, 0,
                      static_cast<int>(std::clamp<int64_t>(left.count(), 0, kLongestPollMs)),
                      nullptr);
    }
  }

  [[nodiscard]] TimePoint next_due() const {
    TimePoint next = TimePoint::max();
    for (const Reflector& reflector : reflectors_) {
      next = std::min(next, reflector.due().value_or(TimePoint::max()));
    }
    if (gets_under_way_ < kGetsAtOnce) {
      for (const Get& get : gets_) {
        next = std::min(next, get.due);
      }
    }
    return next;
  }

  void start_due(TimePoint now) {
    {
      const std::lock_guard lock(mutex_);
      std::move(new_gets_.begin(), new_gets_.end(), std::back_inserter(gets_));
      new_gets_.clear();
    }
    for (Reflector& reflector : reflectors_) {
      if (reflector.due().value_or(TimePoint::max()) <= now) {
        const Reflector::Request request = reflector.begin(now, draw());
        auto transfer = std::make_unique<Transfer>(*this, &reflector);
        transfer->watch = request.watch;
        start(std::move(transfer), request.target, request.accept, now);
      }
    }
    // By index: a request that cannot even start is put back at the end.
    for (size_t i = 0; i < gets_.size() && gets_under_way_ < kGetsAtOnce;) {
      if (gets_[i].due > now) {
        ++i;
        continue;
      }
      auto transfer = std::make_unique<Transfer>(*this, nullptr);
      transfer->get = std::move(gets_[i]);
      gets_.erase(gets_.begin() + static_cast<std::ptrdiff_t>(i));
      ++gets_under_way_;
      ++totals_.gets;
      const std::string target = transfer->get->path;
      const std::string_view accept = accept_header(transfer->get->metadata_only, false);
      start(std::move(transfer), target, accept, now);
    }
  }

  void start(std::unique_ptr<Transfer> transfer, const std::string& target, std::string_view accept,
             TimePoint now) {
    ++totals_.requests;
    transfer->last_byte = now;
    transfer->easy.reset(curl_easy_init());
    CURL* handle = transfer->easy.get();
    if (handle == nullptr) {
      finish(*transfer, CURLE_FAILED_INIT, false);
      return;
    }
    append_header(transfer->headers, std::string(accept));
    if (const std::string& bearer = token(now); !bearer.empty()) {
      append_header(transfer->headers, "Authorization: Bearer " + bearer);
    }
    curl_easy_setopt(handle, CURLOPT_URL, (url_ + target).c_str());
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, transfer->headers.get());
    curl_easy_setopt(handle, CURLOPT_PRIVATE, transfer.get());
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &ClientImpl::on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer.get());
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &ClientImpl::on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer.get());
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, transfer->error_text.data());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, options_.user_agent.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    // A connection for each watch: one that stalls does not hold up the others.
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);  // the end does not wait for a name
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options_.connect_timeout.count()));
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options_.ca_file.empty()) {
      curl_easy_setopt(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
      curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);       // no authority but these
      curl_easy_setopt(handle, CURLOPT_CA_CACHE_TIMEOUT, 0L);  // they are rotated
    }
    if (!options_.certificate_file.empty()) {
      curl_easy_setopt(handle, CURLOPT_SSLCERT, options_.certificate_file.c_str());
      curl_easy_setopt(handle, CURLOPT_SSLKEY, options_.key_file.c_str());
    }
    curl_multi_add_handle(multi_.get(), handle);
    transfers_.push_back(std::move(transfer));
  }

  // Read again at times; what cannot be read now may be there later, the old one is kept until
  // then.
  const std::string& token(TimePoint now) {
    if (!options_.token_file.empty() &&
        (read_token_now_ || now - token_read_ >= options_.token_interval)) {
      token_read_ = now;
      read_token_now_ = false;
      if (auto read = read_token(options_.token_file); read) {
        token_ = std::move(*read);
      }
    }
    return token_;
  }

  void finish_done() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) {
        continue;
      }
      const CURLcode code = message->data.result;  // the message is gone with its handle
      CURL* handle = message->easy_handle;
      Transfer* transfer = nullptr;
      curl_easy_getinfo(handle, CURLINFO_PRIVATE, &transfer);
      remove(transfer, code, false);
    }
  }

  // Gives up what has been silent for too long; when the next would be.
  TimePoint end_silent(TimePoint now) {
    TimePoint next = TimePoint::max();
    for (size_t i = 0; i < transfers_.size();) {
      Transfer* transfer = transfers_[i].get();
      const TimePoint until = transfer->last_byte +
                              (transfer->watch ? options_.watch_silence : options_.request_silence);
      if (until <= now) {
        remove(transfer, CURLE_OPERATION_TIMEDOUT, true);  // moves another one to i
      } else {
        next = std::min(next, until);
        ++i;
      }
    }
    return next;
  }

  void remove(Transfer* transfer, CURLcode code, bool silent) {
    const auto found = std::find_if(transfers_.begin(), transfers_.end(),
                                    [&](const auto& each) { return each.get() == transfer; });
    const std::unique_ptr<Transfer> owned = std::move(*found);
    *found = std::move(transfers_.back());
    transfers_.pop_back();
    finish(*owned, code, silent);
    curl_multi_remove_handle(multi_.get(), owned->easy.get());
  }

  void finish(Transfer& transfer, CURLcode code, bool silent) {
    Outcome outcome;
    long status = 0;
    curl_off_t retry_after = 0;
    if (transfer.easy != nullptr) {
      curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
      curl_easy_getinfo(transfer.easy.get(), CURLINFO_RETRY_AFTER, &retry_after);
    }
    outcome.status = static_cast<int>(status);
    outcome.complete = code == CURLE_OK;
    outcome.silent = silent;
    if (silent) {
      outcome.failure = fmt::format("{} was silent for too long", url_);
    } else if (code != CURLE_OK) {
      outcome.failure = fmt::format("{}: {}", url_,
                                    transfer.error_text.front() != '\0' ? transfer.error_text.data()
                                                                        : curl_easy_strerror(code));
    }
    if (retry_after > 0) {
      outcome.retry_after = std::chrono::seconds(std::min<curl_off_t>(retry_after, 86'400));
    }
    totals_.unauthorized += status == kUnauthorized ? 1 : 0;
    totals_.forbidden += status == kForbidden ? 1 : 0;
    read_token_now_ = read_token_now_ || status == kUnauthorized;
    const TimePoint now = Clock::now();
    if (transfer.reflector != nullptr) {
      transfer.reflector->end(outcome, now, draw());
    } else {
      --gets_under_way_;
      end_get(std::move(*transfer.get), transfer, outcome, now);
    }
  }

  void end_get(Get get, const Transfer& transfer, const Outcome& outcome, TimePoint now) {
    const std::string what = "get " + get.path;
    if (outcome.status == kOk && (outcome.complete || transfer.ended_by_us)) {
      if (transfer.ended_by_us) {
        answer(get,
               fail(ErrorCode::kUnsupported, fmt::format("the answer to {} is too long", what)));
      } else {
        answer(get, decode(transfer.body, options_.max_decoded_bytes));
      }
      return;
    }
    Error error =
        outcome.status != 0 && outcome.status != kOk
            ? error_of_status(outcome.status, transfer.body, what)
            : Error{ErrorCode::kUnavailable, fmt::format("cannot {}: {}", what, outcome.failure)};
    ++get.failures;
    get.due = now + backoff(options_, get.failures, draw()) +
              outcome.retry_after.value_or(std::chrono::seconds(0));
    if (outcome.status == kNotFound || outcome.status == kForbidden ||
        get.due - get.since > options_.get_patience) {
      answer(get, tl::unexpected(std::move(error)));
    } else {
      gets_.push_back(std::move(get));
    }
  }

  void answer(const Get& get, Result<json> result) {
    {
      const std::lock_guard lock(mutex_);
      --waiting_gets_;
    }
    get.done(std::move(result));
  }

  static size_t on_body(char* data, size_t size, size_t count, void* user) {
    auto* transfer = static_cast<Transfer*>(user);
    ClientImpl& client = transfer->client;
    const std::string_view bytes(data, size * count);
    client.totals_.bytes += bytes.size();
    transfer->last_byte = Clock::now();
    bool more = !client.stop_;
    if (transfer->reflector != nullptr) {
      long status = 0;
      curl_easy_getinfo(transfer->easy.get(), CURLINFO_RESPONSE_CODE, &status);
      more = more && transfer->reflector->on_body(static_cast<int>(status), bytes);
    } else if (bytes.size() > client.options_.max_object_bytes - transfer->body.size()) {
      more = false;
    } else {
      transfer->body += bytes;
    }
    transfer->ended_by_us = !more;
    return more ? bytes.size() : 0;  // 0 ends the request and its connection
  }

  static size_t on_header(char* /*data*/, size_t size, size_t count, void* user) {
    static_cast<Transfer*>(user)->last_byte = Clock::now();
    return size * count;
  }

  void publish() {
    const std::lock_guard lock(mutex_);
    published_ = totals_;
    for (const Reflector& reflector : reflectors_) {
      published_.collections.push_back(reflector.counters());
    }
  }

  const ApiServerOptions options_;
  const std::vector<Collection> collections_;
  const std::string url_;

  // Of the thread alone.
  std::string token_;
  TimePoint token_read_;
  bool read_token_now_ = false;
  std::mt19937_64 random_;
  std::vector<Reflector> reflectors_;
  std::deque<Get> gets_;
  size_t gets_under_way_ = 0;
  Counters totals_;  // but for the collections'
  Multi multi_;      // its wake-up is for any thread
  Transfers transfers_;

  mutable std::mutex mutex_;
  std::vector<Get> new_gets_;
  size_t waiting_gets_ = 0;  // under way as well
  uint64_t gets_refused_ = 0;
  Counters published_;

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Client>> Client::start(ApiServerOptions options,
                                              std::vector<Collection> collections,
                                              Observer& observer) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  Multi multi(curl_multi_init());
  if (global != CURLE_OK || multi == nullptr) {
    return fail(ErrorCode::kInternal, "libcurl cannot start; is memory exhausted?");
  }
  auto url = check(options, collections);
  if (!url) {
    return tl::unexpected(url.error());
  }
  Result<std::string> token;
  if (!options.token_file.empty()) {
    token = read_token(options.token_file);
    if (!token) {
      return tl::unexpected(token.error());
    }
  }
  return std::make_unique<ClientImpl>(std::move(options), std::move(collections), observer,
                                      std::move(multi), std::move(*url), std::move(*token));
}

}  // namespace zerospan::k8s
