// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// The HTTP/2 parser of one connection (RFC 9113): frames of both directions in partly captured,
// partly lost bytes, their header blocks, and the streams' exchanges; gRPC calls are recognised on
// top. README.md in this folder has the rules after a loss.
//
// Owned by the connection table; used by one thread. Total: any bytes, any lengths, any order of
// closes. Memory is bounded by Options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/model/connection.h"
#include "agent/protocols/http2/fields.h"
#include "agent/protocols/http2/frame_reader.h"
#include "agent/protocols/http2/hpack.h"
#include "agent/protocols/http2/streams.h"
#include "agent/protocols/parser.h"

namespace zerospan::protocols::http2 {

struct Options {
  StreamLimits streams;
  size_t max_block_bytes = 64 * 1024;  // of one header block on the wire; a longer one is cut
  size_t max_field_bytes = 64 * 1024;  // of one header block's decoded fields
  size_t max_table_bytes = 16 * 1024;  // of the peer's HPACK table, per direction
};

class Connection final : public ConnectionParser {
 public:
  // `counters` outlives the connection and is written by the connection's thread.
  Connection(const model::Connection& connection, const Options& options, ParserCounters* counters);

  // Of a connection that was HTTP/1.1 (RFC 7540 section 3.2).
  Connection(UpgradedRequest&& request, const Options& options, ParserCounters* counters);

  Connection(const Connection&) = delete;  // its sides refer to it
  Connection& operator=(const Connection&) = delete;

  Verdict on_chunk(const model::Chunk& chunk, ExchangeSink& sink) override;
  Verdict on_close(const model::Closed& closed, ExchangeSink& sink) override;
  void finish(uint64_t time_ns, ExchangeSink& sink) override;
  [[nodiscard]] model::Role role() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 private:
  // The operation that is being worked on.
  struct Operation {
    uint64_t time_ns = 0;
    uint64_t departed_ns = 0;
    uint32_t thread_id = 0;
    uint64_t request_id = 0;
    model::Evidence evidence = model::Evidence::kNone;
  };

  // One direction.
  struct Side final : FrameHandler {
    Side(Connection& connection, model::Direction of, bool seen_from_start, const Options& options);
    void on_preface() override;
    void on_frame_start() override { frame_start = owner.op_; }
    void on_data(const FrameHeader& header, std::string_view bytes, uint64_t missing) override;
    bool on_frame(const FrameHeader& header, std::string_view payload, bool cut) override;
    [[nodiscard]] bool expects(uint32_t stream_id) const override;
    void on_lost() override;

    Connection& owner;
    model::Direction direction;
    bool offset_known;
    uint64_t next_offset = 0;
    FrameReader reader;
    HpackDecoder hpack;
    FieldList fields;
    Operation frame_start;  // the operation with the frame's first byte
    // A header block that goes on in CONTINUATION.
    FrameHeader block_head;
    Operation block_start;
    std::string block;
    bool block_open = false;
    bool block_cut = false;
  };

  [[nodiscard]] Side& side(model::Direction direction) {
    return sides_[static_cast<size_t>(direction)];
  }
  [[nodiscard]] bool is_request(model::Direction direction) const {
    return direction ==
           (role_ == model::Role::kServer ? model::Direction::kReceive : model::Direction::kSend);
  }
  void lose(Side& side, uint64_t offset);
  void catch_up(model::Direction direction, uint64_t offset, uint64_t time_ns);
  void set_requester(model::Direction direction);

  // Each returns false if the bytes cannot have been what the frame says.
  bool on_block_fragment(Side& side, const FrameHeader& header, std::string_view payload, bool cut);
  bool end_block(Side& side, std::string_view block, bool cut);
  bool on_fields(Side& side, const KnownFields& known, bool cut);
  void on_request_fields(Side& side, const KnownFields& known, uint32_t incomplete);
  void on_response_fields(Side& side, const KnownFields& known, uint32_t incomplete);
  void fill_request(Stream& stream, const Side& side, const KnownFields& known);
  void note_grpc(Stream& stream, const KnownFields& known);

  void on_reset(const Side& side, const FrameHeader& header, std::string_view payload);
  void on_goaway(const Side& side, std::string_view payload);
  void on_settings(const Side& side, const FrameHeader& header, std::string_view payload);
  void end_side(Stream& stream, bool request);
  void touch(Stream& stream);
  // A stream that this response, or reset, may be for although its request was not seen yet.
  [[nodiscard]] Stream* find_or_expect(uint32_t id);

  Options options_;
  ParserCounters* counters_;
  model::Role kernel_role_;
  model::Role role_ = model::Role::kUnknown;
  bool seen_from_start_;
  bool opaque_ = false;
  bool gap_ = false;              // the bytes that are being skipped are a lost record's
  ExchangeSink* sink_ = nullptr;  // of the call in progress
  Operation op_;                  // the same
  uint32_t highest_request_ = 0;  // stream
  Streams streams_;
  std::array<Side, 2> sides_;
};

}  // namespace zerospan::protocols::http2
