// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/protocols/mongodb/messages.h"

#include <algorithm>
#include <string>

#include "agent/bson/command.h"
#include "agent/bson/element.h"

namespace zerospan::protocols::mongodb {
namespace {

using bson::Step;

// maxMessageSizeBytes, and what a message has around its documents.
constexpr uint64_t kMostBytes = 48'000'000 + 16 * 1024;
constexpr uint64_t kChecksumBytes = 4;
constexpr uint32_t kChecksumPresent = 1U << 0U;
constexpr uint32_t kMoreToCome = 1U << 1U;
constexpr uint32_t kRequiredFlags = 0xffff;  // others of these may change the message's meaning
constexpr uint64_t kFlagsAt = kHeaderBytes;
constexpr uint64_t kSectionsAt = kFlagsAt + 4;
constexpr uint64_t kReplyDocumentsAt = kHeaderBytes + 20;
constexpr uint64_t kQueryNameAt = kHeaderBytes + 4;
constexpr uint64_t kQueryNumbers = 8;
constexpr size_t kMostStatementBytes = 8192;
constexpr uint64_t kMostCounted = 1'000'000;  // so that no message keeps the reader busy
constexpr char kBodyKind = 0;
constexpr char kSequenceKind = 1;

auto source(const Parts& parts) {
  return [&parts](uint64_t at) { return parts.from(at); };
}

std::optional<uint32_t> read_flags(const Parts& parts) {
  const std::string_view bytes = parts.from(kFlagsAt);
  if (bytes.size() < sizeof(uint32_t)) {
    return std::nullopt;
  }
  return bson::read_number<uint32_t>(bytes);
}

// Those of an array, or of documents one behind the other; nullopt: not all of them were captured.
std::optional<uint64_t> count_elements(const Parts& parts, uint64_t at, uint64_t limit) {
  uint64_t end = 0;
  if (bson::begin_document(source(parts), limit, at, end) != Step::kElement) {
    return std::nullopt;
  }
  bson::Element element;
  for (uint64_t count = 0; count < kMostCounted; ++count) {
    const Step step = bson::next_element(source(parts), end, at, element);
    if (step != Step::kElement) {
      return step == Step::kEnd ? std::optional(count) : std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> count_documents(const Parts& parts, uint64_t at, uint64_t end) {
  for (uint64_t count = 0; count < kMostCounted; ++count) {
    if (at == end) {
      return count;
    }
    uint64_t length = 0;
    if (bson::read_length(source(parts), at, end, bson::kLeastDocument, length) != Step::kElement) {
      return std::nullopt;
    }
    at += length;
  }
  return std::nullopt;
}

// What a command is made of that is counted.
bool is_batch(std::string_view name) {
  return name == "documents" || name == "updates" || name == "deletes" || name == "ops";
}

void set_batch(std::optional<uint64_t> count, model::DbExchange& db) {
  if (count && *count > 1) {
    db.batch_size = static_cast<uint32_t>(*count);
  }
}

bool is_housekeeping(std::string_view command) {
  return command == "hello" || command == "isMaster" || command == "ismaster";
}

// By its beginning: what is copied of such a command may end inside of its name.
std::string_view find_secret(std::string_view beginning) {
  constexpr size_t kLeast = 7;
  for (const std::string_view name :
       {"saslStart", "saslContinue", "authenticate", "createUser", "updateUser", "getnonce",
        "copydbgetnonce", "copydbsaslstart", "copydb"}) {
    if (beginning.size() >= std::min(kLeast, name.size()) &&
        name.starts_with(beginning.substr(0, name.size()))) {
      return name;
    }
  }
  return {};
}

// The command's document; false: it is none. `at` is set to behind it, if that is known.
bool read_command(const Parts& parts, uint64_t limit, uint64_t& at, Request& request) {
  uint64_t end = 0;
  const uint64_t begin = at;
  const Step begun = bson::begin_document(source(parts), limit, at, end);
  if (begun != Step::kElement) {
    request.cut = begun == Step::kMissing;
    return request.cut;
  }
  model::DbExchange& db = request.db;
  bson::Element element;
  for (bool first = true;; first = false) {
    const uint64_t element_at = at;
    const Step step = bson::next_element(source(parts), end, at, element);
    if (step == Step::kMalformed || (first && step == Step::kEnd)) {
      return false;
    }
    if (step == Step::kEnd) {
      break;
    }
    if (step == Step::kMissing) {
      request.cut = true;
      if (first) {
        const std::string_view bytes = parts.from(element_at);
        db.operation = find_secret(bytes.substr(std::min<size_t>(1, bytes.size())));
        request.secret = !db.operation.empty();
      }
      break;
    }
    const std::string_view value = parts.from(element.value_at);
    if (first) {
      db.operation = element.name;
      request.secret = bson::is_secret(db.operation);
      request.housekeeping = is_housekeeping(db.operation);
      if (bson::is_for_collection(db.operation)) {
        db.collection = bson::string_value(element, value);
      }
    } else if (element.name == "$db") {
      db.database = bson::string_value(element, value);
      request.cut = request.cut || db.database.empty();
    } else if (element.name == "collection" && db.operation == "getMore") {
      db.collection = bson::string_value(element, value);
    } else if (element.type == bson::kArray && is_batch(element.name)) {
      set_batch(count_elements(parts, element.value_at, end), db);
    }
  }
  at = end + 1;
  return at > begin;
}

bool read_sections(const Parts& parts, uint64_t end, Request& request) {
  uint64_t at = kSectionsAt;
  while (at < end) {
    const std::string_view kind = parts.from(at);
    if (kind.empty()) {
      request.cut = true;
      return true;
    }
    ++at;
    if (kind[0] == kBodyKind) {
      const uint64_t before = at;
      if (!read_command(parts, end, at, request)) {
        return false;
      }
      if (at <= before + 4) {
        return true;  // its length was not captured
      }
      continue;
    }
    uint64_t length = 0;
    const Step step = bson::read_length(source(parts), at, end, 5, length);
    if (kind[0] != kSequenceKind || step == Step::kMalformed) {
      return false;
    }
    if (step == Step::kMissing) {
      request.cut = true;
      return true;
    }
    const std::string_view bytes = parts.from(at + 4);
    const uint64_t name = bson::c_string_size(bytes);
    if (name > length - 4) {
      return false;
    }
    if (name != 0 && is_batch(bytes.substr(0, name - 1))) {
      set_batch(count_documents(parts, at + 4 + name, at + length), request.db);
    }
    at += length;
  }
  return true;
}

// A number or truth as servers answer it.
std::optional<double> read_value(const bson::Element& element, std::string_view value) {
  if (value.size() < element.value_size) {
    return std::nullopt;
  }
  switch (element.type) {
    case bson::kDouble:
      return bson::read_number<double>(value);
    case bson::kInt32:
      return bson::read_number<int32_t>(value);
    case bson::kInt64:
      return static_cast<double>(bson::read_number<int64_t>(value));
    case bson::kBoolean:
      return value[0] != 0 ? 1 : 0;
    default:
      return std::nullopt;
  }
}

// An error's number, in `code`, or its name.
void note_error(const Parts& parts, uint64_t at, uint64_t limit, model::DbExchange& db) {
  uint64_t end = 0;
  if (bson::begin_document(source(parts), limit, at, end) != Step::kElement) {
    return;
  }
  bson::Element element;
  while (bson::next_element(source(parts), end, at, element) == Step::kElement) {
    if (element.name == "code" && db.error_code.empty()) {
      const auto code = read_value(element, parts.from(element.value_at));
      if (code && *code >= INT32_MIN && *code <= INT32_MAX) {
        db.error_code = std::to_string(static_cast<int32_t>(*code));
      }
    }
  }
}

// The first one of an array of errors.
void note_first_error(const Parts& parts, uint64_t at, uint64_t limit, model::DbExchange& db) {
  uint64_t end = 0;
  bson::Element element;
  if (bson::begin_document(source(parts), limit, at, end) == Step::kElement &&
      bson::next_element(source(parts), end, at, element) == Step::kElement &&
      element.type == bson::kDocument) {
    db.failed = true;
    note_error(parts, element.value_at, end, db);
  }
}

void note_rows(const Parts& parts, uint64_t at, uint64_t limit, model::DbExchange& db,
               bool& unknown) {
  uint64_t end = 0;
  if (bson::begin_document(source(parts), limit, at, end) != Step::kElement) {
    unknown = true;
    return;
  }
  bson::Element element;
  for (;;) {
    const Step step = bson::next_element(source(parts), end, at, element);
    if (step != Step::kElement) {
      unknown = unknown || step != Step::kEnd;
      return;
    }
    if (element.type == bson::kArray &&
        (element.name == "firstBatch" || element.name == "nextBatch")) {
      const auto count = count_elements(parts, element.value_at, end);
      if (count) {
        db.returned_rows = db.returned_rows.value_or(0) + *count;
      }
      unknown = !count;
      return;
    }
  }
}

void read_result(const Parts& parts, uint64_t limit, uint64_t at, model::DbExchange& db,
                 Response& response) {
  response.cut = true;
  uint64_t end = 0;
  if (bson::begin_document(source(parts), limit, at, end) != Step::kElement) {
    return;
  }
  std::optional<double> ok;
  std::optional<double> n;
  bool write_errors = false;
  bool rows_unknown = false;
  std::string code_name;
  bson::Element element;
  Step step = Step::kElement;
  while ((step = bson::next_element(source(parts), end, at, element)) == Step::kElement) {
    const std::string_view value = parts.from(element.value_at);
    if (element.name == "ok") {
      ok = read_value(element, value);
    } else if (element.name == "n") {
      n = read_value(element, value);
    } else if (element.name == "cursor" && element.type == bson::kDocument) {
      note_rows(parts, element.value_at, end, db, rows_unknown);
    } else if (element.name == "writeErrors" && element.type == bson::kArray) {
      write_errors = true;
      note_first_error(parts, element.value_at, end, db);
    } else if (element.name == "writeConcernError" && element.type == bson::kDocument) {
      db.failed = true;
      note_error(parts, element.value_at, end, db);
    } else if (element.name == "code") {
      const auto code = read_value(element, value);
      if (code && *code >= INT32_MIN && *code <= INT32_MAX) {
        db.error_code = std::to_string(static_cast<int32_t>(*code));
      }
    } else if (element.name == "codeName") {
      code_name = bson::string_value(element, value).substr(0, 64);
    }
  }
  response.cut = !ok || (step != Step::kEnd && *ok == 0);
  db.failed = db.failed || (ok && *ok == 0);
  if (!db.failed) {
    db.error_code.clear();
  } else if (db.error_code.empty()) {
    db.error_code = code_name;
  }
  if (rows_unknown) {
    db.returned_rows.reset();
  }
  // Of documents that were not captured: all were inserted.
  if (!response.cut && !db.failed && !write_errors && db.batch_size == 0 &&
      db.operation == "insert" && n && *n > 1 && *n <= kMostCounted) {
    db.batch_size = static_cast<uint32_t>(*n);
  }
}

}  // namespace

std::optional<Header> read_header(std::string_view bytes) {
  Header header;
  header.length = bson::read_number<uint32_t>(bytes);
  header.request_id = bson::read_number<int32_t>(bytes.substr(4));
  header.response_to = bson::read_number<int32_t>(bytes.substr(8));
  header.op_code = bson::read_number<int32_t>(bytes.substr(12));
  uint64_t least = 0;
  switch (header.op_code) {
    case kOpMsg:
      least = kSectionsAt + 1 + bson::kLeastDocument;
      break;
    case kOpReply:
      least = kReplyDocumentsAt;
      break;
    case kOpQuery:
      least = kQueryNameAt + 1 + kQueryNumbers + bson::kLeastDocument;
      break;
    case kOpCompressed:
      least = kHeaderBytes + 9;
      break;
    default:
      return std::nullopt;
  }
  return header.length >= least && header.length <= kMostBytes ? std::optional(header)
                                                               : std::nullopt;
}

Begin begins_message(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) {
    return Begin::kNo;
  }
  const auto header = read_header(bytes);
  // OP_REPLY, a one, is too little to go by.
  if (!header || header->op_code == kOpReply || header->length < bytes.size()) {
    return Begin::kNo;
  }
  if (header->response_to == 0) {
    return Begin::kRequest;
  }
  return header->op_code == kOpQuery ? Begin::kNo : Begin::kResponse;
}

std::optional<Request> read_request(const Parts& parts, const Header& header) {
  Request request;
  request.db.system = model::DbSystem::kMongodb;
  std::string_view statement;
  uint64_t end = header.length;
  if (header.op_code == kOpMsg) {
    const auto flags = read_flags(parts);
    if (!flags) {
      request.cut = true;
      return request;
    }
    if ((*flags & kRequiredFlags & ~(kChecksumPresent | kMoreToCome)) != 0) {
      return std::nullopt;
    }
    request.answered = (*flags & kMoreToCome) == 0;
    end -= (*flags & kChecksumPresent) != 0 ? kChecksumBytes : 0;
    if (!read_sections(parts, end, request)) {
      return std::nullopt;
    }
    statement = parts.from(kSectionsAt);
    statement = statement.substr(0, end - kSectionsAt);
    request.db.statement = statement.substr(0, kMostStatementBytes);
    request.db.statement_cut = request.db.statement.size() < end - kSectionsAt;
  } else {
    const std::string_view name_bytes = parts.from(kQueryNameAt);
    const uint64_t name = bson::c_string_size(name_bytes);
    if (name == 0) {
      request.cut = true;
      return request;
    }
    const uint64_t body = kQueryNameAt + name + kQueryNumbers;
    const std::string_view full = name_bytes.substr(0, name - 1);
    const size_t dot = full.find('.');
    if (body >= end || dot == std::string_view::npos || full.substr(dot) != ".$cmd") {
      return std::nullopt;  // the queries of before commands
    }
    uint64_t at = body;
    if (!read_command(parts, end, at, request)) {
      return std::nullopt;
    }
    request.db.database = full.substr(0, dot);
    statement = parts.from(body).substr(0, end - body);
    request.db.statement.assign(1, kBodyKind).append(statement.substr(0, kMostStatementBytes));
    request.db.statement_cut = request.db.statement.size() - 1 < end - body;
  }
  request.db.statement_known = !request.db.operation.empty() && !request.secret;
  if (!request.db.statement_known) {
    request.db.statement.clear();
  }
  return request;
}

Response read_response(const Parts& parts, const Header& header, model::DbExchange& db) {
  Response response;
  if (header.op_code == kOpReply) {
    read_result(parts, header.length, kReplyDocumentsAt, db, response);
    return response;
  }
  const auto flags = read_flags(parts);
  if (!flags) {
    response.cut = true;
    return response;
  }
  response.more_to_come = (*flags & kMoreToCome) != 0;
  const uint64_t checksum = (*flags & kChecksumPresent) != 0 ? kChecksumBytes : 0;
  const std::string_view kind = parts.from(kSectionsAt);
  if (kind.empty() || kind[0] != kBodyKind) {
    response.cut = true;
    return response;
  }
  read_result(parts, header.length - checksum, kSectionsAt + 1, db, response);
  return response;
}

}  // namespace zerospan::protocols::mongodb
