// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "symbols/elf/section_stream.h"

#include <elf.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <string>

#include "symbols/elf/cursor.h"

namespace zerospan::symbols::elf {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;
constexpr uint32_t kCompressZstd = 2;  // ELFCOMPRESS_ZSTD; glibc 2.36 lacks it
constexpr int kMaxWindowLog = 24;      // what zstd's levels up to 21 use is less

}  // namespace

// Takes from the front of `input`, gives out at most out.size() bytes; 0 and unchanged input is the
// end, or an error.
class SectionStream::Decompressor {
 public:
  virtual ~Decompressor() = default;
  [[nodiscard]] virtual size_t run(std::span<const std::byte>& input, std::span<std::byte> out) = 0;
};

class SectionStream::Zlib final : public Decompressor {
 public:
  Zlib() { ready_ = inflateInit(&stream_) == Z_OK; }
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;
  ~Zlib() override {
    if (ready_) {
      inflateEnd(&stream_);
    }
  }
  size_t run(std::span<const std::byte>& input, std::span<std::byte> out) override {
    if (!ready_ || ended_) {
      return 0;
    }
    // zlib's own type is not const; inflate only reads its input.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), UINT32_MAX));
    const uInt before = stream_.avail_out;
    ended_ = inflate(&stream_, Z_NO_FLUSH) != Z_OK;
    input = input.last(stream_.avail_in);
    return before - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
};

class SectionStream::Zstd final : public Decompressor {
 public:
  Zstd() : stream_(ZSTD_createDStream()) {
    ended_ = stream_ == nullptr ||
             ZSTD_isError(ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kMaxWindowLog)) != 0;
  }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;
  ~Zstd() override { ZSTD_freeDStream(stream_); }
  size_t run(std::span<const std::byte>& input, std::span<std::byte> out) override {
    if (ended_) {
      return 0;
    }
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer target{out.data(), out.size(), 0};
    const size_t left = ZSTD_decompressStream(stream_, &target, &in);
    ended_ = left == 0 || ZSTD_isError(left) != 0;
    input = input.subspan(in.pos);
    return target.pos;
  }

 private:
  ZSTD_DStream* stream_;
  bool ended_ = false;
};

SectionStream::SectionStream(const File& file, uint64_t offset, uint64_t stored, uint64_t size)
    : file_(&file), offset_(offset), stored_(stored), size_(size) {}
SectionStream::SectionStream(SectionStream&&) noexcept = default;
SectionStream& SectionStream::operator=(SectionStream&&) noexcept = default;
SectionStream::~SectionStream() = default;

const Section* debug_section(const File& file, std::string_view name) {
  for (const std::string_view prefix : {".debug_", ".zdebug_"}) {
    const Section* section = file.section(std::string(prefix) + std::string(name));
    if (section != nullptr && section->in_file() && section->size != 0) {
      return section;
    }
  }
  return nullptr;
}

Result<SectionStream> SectionStream::open(const File& file, const Section& section) {
  const uint64_t total = file.source().size();
  if (!section.in_file() || section.offset > total || section.size > total - section.offset) {
    return fail(ErrorCode::kMalformed, "Section " + section.name + " is outside of the file.");
  }
  if ((section.flags & SHF_COMPRESSED) != 0) {
    std::array<std::byte, sizeof(Elf64_Chdr)> bytes;
    if (section.size < bytes.size() || !file.source().read(section.offset, bytes)) {
      return fail(ErrorCode::kMalformed, "Section " + section.name + " is cut short.");
    }
    const auto header = load<Elf64_Chdr>(bytes);
    SectionStream stream(file, section.offset + bytes.size(), section.size - bytes.size(),
                         header.ch_size);
    if (header.ch_type == ELFCOMPRESS_ZLIB) {
      stream.decompressor_ = std::make_unique<Zlib>();
    } else if (header.ch_type == kCompressZstd) {
      stream.decompressor_ = std::make_unique<Zstd>();
    } else {
      return fail(ErrorCode::kUnsupported,
                  "Section " + section.name + " has a compression that is not known.");
    }
    return stream;
  }
  if (section.name.starts_with(".zdebug_")) {
    std::array<std::byte, 12> bytes;
    if (section.size < bytes.size() || !file.source().read(section.offset, bytes) ||
        as_text(bytes).substr(0, 4) != "ZLIB") {
      return fail(ErrorCode::kMalformed, "Section " + section.name + " has no zlib header.");
    }
    uint64_t size = 0;  // the only big-endian number here
    for (const std::byte byte : std::span(bytes).subspan(4)) {
      size = size << 8U | std::to_integer<uint64_t>(byte);
    }
    SectionStream stream(file, section.offset + bytes.size(), section.size - bytes.size(), size);
    stream.decompressor_ = std::make_unique<Zlib>();
    return stream;
  }
  return SectionStream(file, section.offset, section.size, section.size);
}

bool SectionStream::refill() {
  buffer_.resize(kBufferBytes);
  const size_t wanted = std::min<uint64_t>(buffer_.size(), stored_);
  const std::span<std::byte> target = std::span(buffer_).first(wanted);
  if (wanted == 0 || !file_->source().read(offset_, target)) {
    return false;
  }
  offset_ += wanted;
  stored_ -= wanted;
  input_ = target;
  return true;
}

size_t SectionStream::read(std::span<std::byte> out) {
  out = out.first(std::min<uint64_t>(out.size(), size_ - given_));
  if (decompressor_ == nullptr) {
    if (out.empty() || !file_->source().read(offset_, out)) {
      return 0;
    }
    offset_ += out.size();
    given_ += out.size();
    return out.size();
  }
  size_t filled = 0;
  while (filled < out.size()) {
    if (input_.empty() && !refill()) {
      break;
    }
    const size_t before = input_.size();
    const size_t got = decompressor_->run(input_, out.subspan(filled));
    if (got == 0 && input_.size() == before) {
      break;
    }
    filled += got;
  }
  given_ += filled;
  return filled;
}

Result<std::vector<std::byte>> read_section(const File& file, const Section& section,
                                            uint64_t limit) {
  auto stream = SectionStream::open(file, section);
  if (!stream) {
    return tl::unexpected(stream.error());
  }
  if (stream->size() > limit) {
    return fail(ErrorCode::kMalformed, "Section " + section.name + " is larger than is believed.");
  }
  std::vector<std::byte> bytes;
  while (bytes.size() < stream->size()) {
    const size_t before = bytes.size();
    bytes.resize(before + std::min<uint64_t>(stream->size() - before, kBufferBytes));
    const size_t got = stream->read(std::span(bytes).subspan(before));
    bytes.resize(before + got);
    if (got == 0) {
      return fail(ErrorCode::kMalformed, "Section " + section.name + " ends early.");
    }
  }
  return bytes;
}

}  // namespace zerospan::symbols::elf
