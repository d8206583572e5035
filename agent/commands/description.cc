// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/commands/description.h"

#include <algorithm>
#include <array>
#include <span>

#include "agent/commands/arguments.h"

namespace zerospan::commands {
namespace {

constexpr size_t kLongestName = 24;

// Sorted by name. What they want: https://redis.io/docs/latest/commands/
constexpr auto kRedis = std::to_array<Syntax>({
    {.name = "ACL", .names = 1, .secret = true},
    {.name = "APPEND", .names = 1},
    {.name = "ASKING"},
    {.name = "AUTH", .secret = true},
    {.name = "BGREWRITEAOF"},
    {.name = "BGSAVE"},
    {.name = "BITCOUNT", .names = 1},
    {.name = "BITFIELD", .names = 1},
    {.name = "BITFIELD_RO", .names = 1},
    {.name = "BITOP", .names = 2},
    {.name = "BITPOS", .names = 1},
    {.name = "BLMOVE", .names = 2},
    {.name = "BLMPOP"},
    {.name = "BLPOP", .tail = Tail::kNames},
    {.name = "BRPOP", .tail = Tail::kNames},
    {.name = "BRPOPLPUSH", .tail = Tail::kNames},
    {.name = "BZMPOP"},
    {.name = "BZPOPMAX", .tail = Tail::kNames},
    {.name = "BZPOPMIN", .tail = Tail::kNames},
    {.name = "CLIENT", .names = 1},
    {.name = "CLUSTER", .names = 1},
    {.name = "COMMAND", .names = 1},
    {.name = "CONFIG", .names = 1, .secret = true},
    {.name = "COPY", .names = 2},
    {.name = "DBSIZE"},
    {.name = "DEBUG", .names = 1},
    {.name = "DECR", .names = 1},
    {.name = "DECRBY", .names = 1},
    {.name = "DEL", .tail = Tail::kNames},
    {.name = "DISCARD"},
    {.name = "DUMP", .names = 1},
    {.name = "ECHO"},
    {.name = "EVAL"},
    {.name = "EVALSHA", .names = 1, .procedure = true},
    {.name = "EVALSHA_RO", .names = 1, .procedure = true},
    {.name = "EVAL_RO"},
    {.name = "EXEC"},
    {.name = "EXISTS", .tail = Tail::kNames},
    {.name = "EXPIRE", .names = 1},
    {.name = "EXPIREAT", .names = 1},
    {.name = "EXPIRETIME", .names = 1},
    {.name = "FAILOVER"},
    {.name = "FCALL", .names = 1, .procedure = true},
    {.name = "FCALL_RO", .names = 1, .procedure = true},
    {.name = "FLUSHALL"},
    {.name = "FLUSHDB"},
    {.name = "FUNCTION", .names = 1},
    {.name = "GEOADD", .names = 1},
    {.name = "GEODIST", .names = 1},
    {.name = "GEOHASH", .names = 1},
    {.name = "GEOPOS", .names = 1},
    {.name = "GEORADIUS", .names = 1},
    {.name = "GEORADIUSBYMEMBER", .names = 1},
    {.name = "GEOSEARCH", .names = 1},
    {.name = "GEOSEARCHSTORE", .names = 2},
    {.name = "GET", .names = 1},
    {.name = "GETBIT", .names = 1},
    {.name = "GETDEL", .names = 1},
    {.name = "GETEX", .names = 1},
    {.name = "GETRANGE", .names = 1},
    {.name = "GETSET", .names = 1},
    {.name = "HDEL", .names = 1, .tail = Tail::kNames},
    {.name = "HELLO", .secret = true},
    {.name = "HEXISTS", .names = 1, .tail = Tail::kNames},
    {.name = "HGET", .names = 1, .tail = Tail::kNames},
    {.name = "HGETALL", .names = 1},
    {.name = "HINCRBY", .names = 2},
    {.name = "HINCRBYFLOAT", .names = 2},
    {.name = "HKEYS", .names = 1},
    {.name = "HLEN", .names = 1},
    {.name = "HMGET", .names = 1, .tail = Tail::kNames},
    {.name = "HMSET", .names = 1, .tail = Tail::kPairs},
    {.name = "HRANDFIELD", .names = 1},
    {.name = "HSCAN", .names = 1},
    {.name = "HSET", .names = 1, .tail = Tail::kPairs},
    {.name = "HSETNX", .names = 2},
    {.name = "HSTRLEN", .names = 1, .tail = Tail::kNames},
    {.name = "HVALS", .names = 1},
    {.name = "INCR", .names = 1},
    {.name = "INCRBY", .names = 1},
    {.name = "INCRBYFLOAT", .names = 1},
    {.name = "INFO", .names = 1},
    {.name = "KEYS"},
    {.name = "LASTSAVE"},
    {.name = "LATENCY", .names = 1},
    {.name = "LCS", .names = 2},
    {.name = "LINDEX", .names = 1},
    {.name = "LINSERT", .names = 1},
    {.name = "LLEN", .names = 1},
    {.name = "LMOVE", .names = 2},
    {.name = "LMPOP"},
    {.name = "LOLWUT"},
    {.name = "LPOP", .names = 1},
    {.name = "LPOS", .names = 1},
    {.name = "LPUSH", .names = 1},
    {.name = "LPUSHX", .names = 1},
    {.name = "LRANGE", .names = 1},
    {.name = "LREM", .names = 1},
    {.name = "LSET", .names = 1},
    {.name = "LTRIM", .names = 1},
    {.name = "MEMORY", .names = 2},
    {.name = "MGET", .tail = Tail::kNames},
    {.name = "MIGRATE", .secret = true},
    {.name = "MODULE", .names = 1},
    {.name = "MONITOR"},
    {.name = "MOVE", .names = 1},
    {.name = "MSET", .tail = Tail::kPairs},
    {.name = "MSETNX", .tail = Tail::kPairs},
    {.name = "MULTI"},
    {.name = "OBJECT", .names = 2},
    {.name = "PERSIST", .names = 1},
    {.name = "PEXPIRE", .names = 1},
    {.name = "PEXPIREAT", .names = 1},
    {.name = "PEXPIRETIME", .names = 1},
    {.name = "PFADD", .names = 1},
    {.name = "PFCOUNT", .tail = Tail::kNames},
    {.name = "PFMERGE", .tail = Tail::kNames},
    {.name = "PING"},
    {.name = "PSETEX", .names = 1},
    {.name = "PSUBSCRIBE", .tail = Tail::kNames},
    {.name = "PSYNC"},
    {.name = "PTTL", .names = 1},
    {.name = "PUBLISH", .names = 1},
    {.name = "PUBSUB", .names = 1},
    {.name = "PUNSUBSCRIBE", .tail = Tail::kNames},
    {.name = "QUIT"},
    {.name = "RANDOMKEY"},
    {.name = "READONLY"},
    {.name = "READWRITE"},
    {.name = "RENAME", .tail = Tail::kNames},
    {.name = "RENAMENX", .tail = Tail::kNames},
    {.name = "REPLCONF"},
    {.name = "REPLICAOF"},
    {.name = "RESET"},
    {.name = "RESTORE", .names = 1},
    {.name = "ROLE"},
    {.name = "RPOP", .names = 1},
    {.name = "RPOPLPUSH", .tail = Tail::kNames},
    {.name = "RPUSH", .names = 1},
    {.name = "RPUSHX", .names = 1},
    {.name = "SADD", .names = 1},
    {.name = "SAVE"},
    {.name = "SCAN"},
    {.name = "SCARD", .names = 1},
    {.name = "SCRIPT", .names = 1},
    {.name = "SDIFF", .tail = Tail::kNames},
    {.name = "SDIFFSTORE", .tail = Tail::kNames},
    {.name = "SELECT"},
    {.name = "SET", .names = 1},
    {.name = "SETBIT", .names = 1},
    {.name = "SETEX", .names = 1},
    {.name = "SETNX", .names = 1},
    {.name = "SETRANGE", .names = 1},
    {.name = "SHUTDOWN"},
    {.name = "SINTER", .tail = Tail::kNames},
    {.name = "SINTERCARD"},
    {.name = "SINTERSTORE", .tail = Tail::kNames},
    {.name = "SISMEMBER", .names = 1},
    {.name = "SLAVEOF"},
    {.name = "SLOWLOG", .names = 1},
    {.name = "SMEMBERS", .names = 1},
    {.name = "SMISMEMBER", .names = 1},
    {.name = "SMOVE", .names = 2},
    {.name = "SORT", .names = 1},
    {.name = "SORT_RO", .names = 1},
    {.name = "SPOP", .names = 1},
    {.name = "SPUBLISH", .names = 1},
    {.name = "SRANDMEMBER", .names = 1},
    {.name = "SREM", .names = 1},
    {.name = "SSCAN", .names = 1},
    {.name = "SSUBSCRIBE", .tail = Tail::kNames},
    {.name = "STRLEN", .names = 1},
    {.name = "SUBSCRIBE", .tail = Tail::kNames},
    {.name = "SUBSTR", .names = 1},
    {.name = "SUNION", .tail = Tail::kNames},
    {.name = "SUNIONSTORE", .tail = Tail::kNames},
    {.name = "SUNSUBSCRIBE", .tail = Tail::kNames},
    {.name = "SWAPDB"},
    {.name = "SYNC"},
    {.name = "TIME"},
    {.name = "TOUCH", .tail = Tail::kNames},
    {.name = "TTL", .names = 1},
    {.name = "TYPE", .names = 1},
    {.name = "UNLINK", .tail = Tail::kNames},
    {.name = "UNSUBSCRIBE", .tail = Tail::kNames},
    {.name = "UNWATCH"},
    {.name = "WAIT"},
    {.name = "WAITAOF"},
    {.name = "WATCH", .tail = Tail::kNames},
    {.name = "XACK", .names = 2},
    {.name = "XADD", .names = 1},
    {.name = "XAUTOCLAIM", .names = 2},
    {.name = "XCLAIM", .names = 2},
    {.name = "XDEL", .names = 1},
    {.name = "XGROUP", .names = 2},
    {.name = "XINFO", .names = 2},
    {.name = "XLEN", .names = 1},
    {.name = "XPENDING", .names = 2},
    {.name = "XRANGE", .names = 1},
    {.name = "XREAD"},
    {.name = "XREADGROUP"},
    {.name = "XREVRANGE", .names = 1},
    {.name = "XSETID", .names = 1},
    {.name = "XTRIM", .names = 1},
    {.name = "ZADD", .names = 1},
    {.name = "ZCARD", .names = 1},
    {.name = "ZCOUNT", .names = 1},
    {.name = "ZDIFF"},
    {.name = "ZDIFFSTORE", .names = 1},
    {.name = "ZINCRBY", .names = 1},
    {.name = "ZINTER"},
    {.name = "ZINTERCARD"},
    {.name = "ZINTERSTORE", .names = 1},
    {.name = "ZLEXCOUNT", .names = 1},
    {.name = "ZMPOP"},
    {.name = "ZMSCORE", .names = 1},
    {.name = "ZPOPMAX", .names = 1},
    {.name = "ZPOPMIN", .names = 1},
    {.name = "ZRANDMEMBER", .names = 1},
    {.name = "ZRANGE", .names = 1},
    {.name = "ZRANGEBYLEX", .names = 1},
    {.name = "ZRANGEBYSCORE", .names = 1},
    {.name = "ZRANGESTORE", .names = 2},
    {.name = "ZRANK", .names = 1},
    {.name = "ZREM", .names = 1},
    {.name = "ZREMRANGEBYLEX", .names = 1},
    {.name = "ZREMRANGEBYRANK", .names = 1},
    {.name = "ZREMRANGEBYSCORE", .names = 1},
    {.name = "ZREVRANGE", .names = 1},
    {.name = "ZREVRANGEBYLEX", .names = 1},
    {.name = "ZREVRANGEBYSCORE", .names = 1},
    {.name = "ZREVRANK", .names = 1},
    {.name = "ZSCAN", .names = 1},
    {.name = "ZSCORE", .names = 1},
    {.name = "ZUNION"},
    {.name = "ZUNIONSTORE", .names = 1},
});

// https://github.com/memcached/memcached/blob/master/doc/protocol.txt
constexpr auto kMemcached = std::to_array<Syntax>({
    {.name = "ADD", .names = 1},
    {.name = "APPEND", .names = 1},
    {.name = "CACHE_MEMLIMIT"},
    {.name = "CAS", .names = 1},
    {.name = "DECR", .names = 1},
    {.name = "DELETE", .names = 1},
    {.name = "FLUSH_ALL"},
    {.name = "GAT"},
    {.name = "GATS"},
    {.name = "GET", .names = 1, .tail = Tail::kNames},
    {.name = "GETS", .names = 1, .tail = Tail::kNames},
    {.name = "INCR", .names = 1},
    {.name = "LRU"},
    {.name = "LRU_CRAWLER"},
    {.name = "MA", .names = 1},
    {.name = "MD", .names = 1},
    {.name = "ME", .names = 1},
    {.name = "MG", .names = 1},
    {.name = "MN"},
    {.name = "MS", .names = 1},
    {.name = "PREPEND", .names = 1},
    {.name = "QUIT"},
    {.name = "REPLACE", .names = 1},
    {.name = "SET", .names = 1},
    {.name = "SHUTDOWN"},
    {.name = "SLABS"},
    {.name = "STATS", .names = 1},
    {.name = "TOUCH", .names = 1},
    {.name = "VERBOSITY"},
    {.name = "VERSION"},
    {.name = "WATCH"},
});

constexpr bool by_name(const Syntax& a, const Syntax& b) {
  return a.name < b.name;
}
static_assert(std::is_sorted(kRedis.begin(), kRedis.end(), by_name));
static_assert(std::is_sorted(kMemcached.begin(), kMemcached.end(), by_name));

constexpr Syntax kUnknown{};

const Syntax* find(std::span<const Syntax> table, std::string_view command) {
  std::array<char, kLongestName> upper{};
  if (command.size() > upper.size()) {
    return &kUnknown;
  }
  std::transform(command.begin(), command.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const std::string_view name(upper.data(), command.size());
  const auto at =
      std::lower_bound(table.begin(), table.end(), name,
                       [](const Syntax& syntax, std::string_view n) { return syntax.name < n; });
  return at != table.end() && at->name == name ? &*at : &kUnknown;
}

// Words as they are; anything else in quotes, as redis-cli takes it.
void append_word(std::string& out, std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const bool plain = !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return (c > ' ' && c != '"' && c != '\'' && c != '\\' && c != '\x7f') || c < 0;
  });
  if (plain) {
    out.append(bytes);
    return;
  }
  out.push_back('"');
  for (const char c : bytes) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if ((c >= 0 && c < ' ') || c == '\x7f') {
      out.append("\\x");
      out.push_back(kHex[static_cast<uint8_t>(c) >> 4U]);
      out.push_back(kHex[static_cast<uint8_t>(c) & 15U]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

bool is_command(std::string_view word) {
  constexpr size_t kMost = 32;
  return !word.empty() && word.size() <= kMost && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace

const Syntax* find_redis(std::string_view command) {
  return find(kRedis, command);
}

const Syntax* find_memcached(std::string_view command) {
  return find(kMemcached, command);
}

void Description::clear() {
  text.clear();
  operation = {};
  procedure = {};
}

void describe(std::string_view packed, const Syntax& syntax, bool raw, size_t max_text_bytes,
              Description& out) {
  out.clear();
  Argument argument;
  for (size_t index = 0; next_argument(packed, argument); ++index) {
    if (index == 0) {
      if (argument.cut || !is_command(argument.bytes)) {
        return;
      }
      out.operation = argument.bytes;
      out.text = argument.bytes;
      continue;
    }
    const size_t before = out.text.size();
    out.text.push_back(' ');
    // A name that is not whole would be another one.
    if ((is_name(syntax, index) || (raw && !syntax.secret)) && !(argument.cut && !raw)) {
      append_word(out.text, argument.bytes);
      if (argument.cut) {
        out.text.append("...");
      }
    } else {
      out.text.push_back('?');
    }
    if (index == 1 && syntax.procedure && !argument.cut) {
      out.procedure = argument.bytes;
    }
    if (out.text.size() > max_text_bytes) {
      out.text.resize(before);
      return;
    }
  }
}

}  // namespace zerospan::commands
