// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

// What may be told of a command of MongoDB's: which collection it is for, whether it has passwords,
// and its text, in which "?" stands for each value. Pure, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace zerospan::bson {

// The value of the command's first element is a collection's name.
[[nodiscard]] bool is_for_collection(std::string_view command);
// As the drivers' own monitoring leaves it out
// (https://github.com/mongodb/specifications/blob/master/source/command-logging-and-monitoring).
[[nodiscard]] bool is_secret(std::string_view command);

// `sections`: the sections of an OP_MSG, or as much of their beginning as there is. What drivers
// add of their own (the database, the session, times) is left out, arrays of values are one "?",
// and elements of an array that look like the one before are not repeated. `collection` stays.
// `cut`: there is more. `raw`: with the values. `out` is replaced, and ends where `max_bytes` or
// the sections do.
void describe(std::string_view sections, bool cut, std::string_view collection, bool raw,
              size_t max_bytes, std::string& out);

}  // namespace zerospan::bson
