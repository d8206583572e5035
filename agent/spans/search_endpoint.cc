// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

#include "agent/spans/search_endpoint.h"

#include <algorithm>

namespace zerospan::spans {
namespace {

struct Row {
  // The methods by their first letters, but U for PUT.
  std::string_view methods;
  std::string_view path;  // without its first slash; "{name}" is a part
  std::string_view id;
};

// Of several rows that fit, the first one counts.
constexpr auto kRows = std::to_array<Row>({
    {"GP", "_search", "search"},
    {"GP", "{index}/_search", "search"},
    {"GP", "_search/template", "search_template"},
    {"GP", "{index}/_search/template", "search_template"},
    {"GP", "_search/scroll", "scroll"},
    {"GP", "_search/scroll/{scroll_id}", "scroll"},
    {"D", "_search/scroll", "clear_scroll"},
    {"D", "_search/scroll/{scroll_id}", "clear_scroll"},
    {"GP", "_count", "count"},
    {"GP", "{index}/_count", "count"},
    {"GP", "_msearch", "msearch"},
    {"GP", "{index}/_msearch", "msearch"},
    {"GP", "_msearch/template", "msearch_template"},
    {"GP", "{index}/_msearch/template", "msearch_template"},
    {"GP", "_search_shards", "search_shards"},
    {"GP", "{index}/_search_shards", "search_shards"},
    {"GP", "_field_caps", "field_caps"},
    {"GP", "{index}/_field_caps", "field_caps"},
    {"GP", "_render/template", "render_search_template"},
    {"GP", "_render/template/{id}", "render_search_template"},
    {"GP", "_rank_eval", "rank_eval"},
    {"GP", "{index}/_rank_eval", "rank_eval"},
    {"GP", "{index}/_terms_enum", "terms_enum"},
    {"P", "{index}/_pit", "open_point_in_time"},
    {"D", "_pit", "close_point_in_time"},
    {"P", "{index}/_search/point_in_time", "create_pit"},
    {"D", "_search/point_in_time", "delete_pit"},
    {"D", "_search/point_in_time/_all", "delete_all_pits"},
    {"G", "_search/point_in_time/_all", "get_all_pits"},
    {"PU", "_bulk", "bulk"},
    {"PU", "{index}/_bulk", "bulk"},
    {"GP", "_mget", "mget"},
    {"GP", "{index}/_mget", "mget"},
    {"P", "{index}/_doc", "index"},
    {"PU", "{index}/_doc/{id}", "index"},
    {"G", "{index}/_doc/{id}", "get"},
    {"H", "{index}/_doc/{id}", "exists"},
    {"D", "{index}/_doc/{id}", "delete"},
    {"PU", "{index}/_create/{id}", "create"},
    {"G", "{index}/_source/{id}", "get_source"},
    {"H", "{index}/_source/{id}", "exists_source"},
    {"P", "{index}/_update/{id}", "update"},
    {"GP", "{index}/_explain/{id}", "explain"},
    {"GP", "{index}/_termvectors", "termvectors"},
    {"GP", "{index}/_termvectors/{id}", "termvectors"},
    {"GP", "_mtermvectors", "mtermvectors"},
    {"GP", "{index}/_mtermvectors", "mtermvectors"},
    {"P", "{index}/_delete_by_query", "delete_by_query"},
    {"P", "{index}/_update_by_query", "update_by_query"},
    {"P", "_reindex", "reindex"},
    {"PU", "_scripts/{id}", "put_script"},
    {"G", "_scripts/{id}", "get_script"},
    {"D", "_scripts/{id}", "delete_script"},
    {"G", "", "info"},
    {"H", "", "ping"},
    {"U", "{index}", "indices.create"},
    {"G", "{index}", "indices.get"},
    {"H", "{index}", "indices.exists"},
    {"D", "{index}", "indices.delete"},
    {"GP", "_refresh", "indices.refresh"},
    {"GP", "{index}/_refresh", "indices.refresh"},
    {"GP", "_flush", "indices.flush"},
    {"GP", "{index}/_flush", "indices.flush"},
    {"P", "_forcemerge", "indices.forcemerge"},
    {"P", "{index}/_forcemerge", "indices.forcemerge"},
    {"P", "_cache/clear", "indices.clear_cache"},
    {"P", "{index}/_cache/clear", "indices.clear_cache"},
    {"P", "{index}/_open", "indices.open"},
    {"P", "{index}/_close", "indices.close"},
    {"PU", "{index}/_shrink/{target}", "indices.shrink"},
    {"PU", "{index}/_split/{target}", "indices.split"},
    {"PU", "{index}/_clone/{target}", "indices.clone"},
    {"PU", "{index}/_block/{block}", "indices.add_block"},
    {"P", "{alias}/_rollover", "indices.rollover"},
    {"P", "{alias}/_rollover/{new_index}", "indices.rollover"},
    {"G", "_stats", "indices.stats"},
    {"G", "_stats/{metric}", "indices.stats"},
    {"G", "{index}/_stats", "indices.stats"},
    {"G", "{index}/_stats/{metric}", "indices.stats"},
    {"G", "_segments", "indices.segments"},
    {"G", "{index}/_segments", "indices.segments"},
    {"G", "_recovery", "indices.recovery"},
    {"G", "{index}/_recovery", "indices.recovery"},
    {"G", "_mapping", "indices.get_mapping"},
    {"G", "{index}/_mapping", "indices.get_mapping"},
    {"PU", "{index}/_mapping", "indices.put_mapping"},
    {"G", "_mapping/field/{fields}", "indices.get_field_mapping"},
    {"G", "{index}/_mapping/field/{fields}", "indices.get_field_mapping"},
    {"G", "_settings", "indices.get_settings"},
    {"G", "_settings/{name}", "indices.get_settings"},
    {"G", "{index}/_settings", "indices.get_settings"},
    {"G", "{index}/_settings/{name}", "indices.get_settings"},
    {"U", "_settings", "indices.put_settings"},
    {"U", "{index}/_settings", "indices.put_settings"},
    {"GP", "_analyze", "indices.analyze"},
    {"GP", "{index}/_analyze", "indices.analyze"},
    {"GP", "_validate/query", "indices.validate_query"},
    {"GP", "{index}/_validate/query", "indices.validate_query"},
    {"P", "_aliases", "indices.update_aliases"},
    {"G", "_alias", "indices.get_alias"},
    {"G", "_alias/{name}", "indices.get_alias"},
    {"G", "{index}/_alias", "indices.get_alias"},
    {"G", "{index}/_alias/{name}", "indices.get_alias"},
    {"H", "_alias/{name}", "indices.exists_alias"},
    {"H", "{index}/_alias/{name}", "indices.exists_alias"},
    {"PU", "{index}/_alias/{name}", "indices.put_alias"},
    {"PU", "{index}/_aliases/{name}", "indices.put_alias"},
    {"D", "{index}/_alias/{name}", "indices.delete_alias"},
    {"D", "{index}/_aliases/{name}", "indices.delete_alias"},
    {"PU", "_template/{name}", "indices.put_template"},
    {"G", "_template", "indices.get_template"},
    {"G", "_template/{name}", "indices.get_template"},
    {"H", "_template/{name}", "indices.exists_template"},
    {"D", "_template/{name}", "indices.delete_template"},
    {"PU", "_index_template/{name}", "indices.put_index_template"},
    {"G", "_index_template", "indices.get_index_template"},
    {"G", "_index_template/{name}", "indices.get_index_template"},
    {"H", "_index_template/{name}", "indices.exists_index_template"},
    {"D", "_index_template/{name}", "indices.delete_index_template"},
    {"G", "_resolve/index/{name}", "indices.resolve_index"},
    {"PU", "_component_template/{name}", "cluster.put_component_template"},
    {"G", "_component_template", "cluster.get_component_template"},
    {"G", "_component_template/{name}", "cluster.get_component_template"},
    {"H", "_component_template/{name}", "cluster.exists_component_template"},
    {"D", "_component_template/{name}", "cluster.delete_component_template"},
    {"G", "_cluster/health", "cluster.health"},
    {"G", "_cluster/health/{index}", "cluster.health"},
    {"G", "_cluster/state", "cluster.state"},
    {"G", "_cluster/state/{metric}", "cluster.state"},
    {"G", "_cluster/state/{metric}/{index}", "cluster.state"},
    {"G", "_cluster/stats", "cluster.stats"},
    {"G", "_cluster/settings", "cluster.get_settings"},
    {"U", "_cluster/settings", "cluster.put_settings"},
    {"G", "_cluster/pending_tasks", "cluster.pending_tasks"},
    {"GP", "_cluster/allocation/explain", "cluster.allocation_explain"},
    {"P", "_cluster/reroute", "cluster.reroute"},
    {"G", "_nodes", "nodes.info"},
    {"G", "_nodes/stats", "nodes.stats"},
    {"G", "_nodes/hot_threads", "nodes.hot_threads"},
    {"G", "_nodes/usage", "nodes.usage"},
    {"G", "_tasks", "tasks.list"},
    {"G", "_tasks/{task_id}", "tasks.get"},
    {"P", "_tasks/_cancel", "tasks.cancel"},
    {"P", "_tasks/{task_id}/_cancel", "tasks.cancel"},
    {"GP", "_ingest/pipeline/_simulate", "ingest.simulate"},
    {"GP", "_ingest/pipeline/{id}/_simulate", "ingest.simulate"},
    {"PU", "_ingest/pipeline/{id}", "ingest.put_pipeline"},
    {"G", "_ingest/pipeline", "ingest.get_pipeline"},
    {"G", "_ingest/pipeline/{id}", "ingest.get_pipeline"},
    {"D", "_ingest/pipeline/{id}", "ingest.delete_pipeline"},
    {"G", "_snapshot", "snapshot.get_repository"},
    {"G", "_snapshot/{repository}", "snapshot.get_repository"},
    {"PU", "_snapshot/{repository}", "snapshot.create_repository"},
    {"D", "_snapshot/{repository}", "snapshot.delete_repository"},
    {"G", "_cat", "cat.help"},
    {"G", "_cat/aliases", "cat.aliases"},
    {"G", "_cat/aliases/{name}", "cat.aliases"},
    {"G", "_cat/allocation", "cat.allocation"},
    {"G", "_cat/allocation/{node_id}", "cat.allocation"},
    {"G", "_cat/count", "cat.count"},
    {"G", "_cat/count/{index}", "cat.count"},
    {"G", "_cat/fielddata", "cat.fielddata"},
    {"G", "_cat/fielddata/{fields}", "cat.fielddata"},
    {"G", "_cat/health", "cat.health"},
    {"G", "_cat/indices", "cat.indices"},
    {"G", "_cat/indices/{index}", "cat.indices"},
    {"G", "_cat/nodeattrs", "cat.nodeattrs"},
    {"G", "_cat/nodes", "cat.nodes"},
    {"G", "_cat/pending_tasks", "cat.pending_tasks"},
    {"G", "_cat/plugins", "cat.plugins"},
    {"G", "_cat/recovery", "cat.recovery"},
    {"G", "_cat/recovery/{index}", "cat.recovery"},
    {"G", "_cat/repositories", "cat.repositories"},
    {"G", "_cat/segments", "cat.segments"},
    {"G", "_cat/segments/{index}", "cat.segments"},
    {"G", "_cat/shards", "cat.shards"},
    {"G", "_cat/shards/{index}", "cat.shards"},
    {"G", "_cat/tasks", "cat.tasks"},
    {"G", "_cat/templates", "cat.templates"},
    {"G", "_cat/templates/{name}", "cat.templates"},
    {"G", "_cat/thread_pool", "cat.thread_pool"},
});

// Of every part that a row has.
constexpr auto kKeys = std::to_array<std::string_view>({
    "db.operation.parameter.alias",
    "db.operation.parameter.block",
    "db.operation.parameter.fields",
    "db.operation.parameter.id",
    "db.operation.parameter.index",
    "db.operation.parameter.metric",
    "db.operation.parameter.name",
    "db.operation.parameter.new_index",
    "db.operation.parameter.node_id",
    "db.operation.parameter.repository",
    "db.operation.parameter.scroll_id",
    "db.operation.parameter.target",
    "db.operation.parameter.task_id",
});

constexpr std::string_view kKeyPrefix = "db.operation.parameter.";

constexpr std::string_view key_of(std::string_view name) {
  for (const std::string_view key : kKeys) {
    if (key.substr(kKeyPrefix.size()) == name) {
      return key;
    }
  }
  return {};
}

constexpr std::string_view take_segment(std::string_view& path) {
  const size_t end = std::min(path.find('/'), path.size());
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(std::min(end + 1, path.size()));
  return segment;
}

constexpr bool is_part(std::string_view segment) {
  return segment.starts_with('{');
}

constexpr bool rows_are_sound() {
  for (const Row& row : kRows) {
    size_t parts = 0;
    for (std::string_view rest = row.path; !rest.empty();) {
      const std::string_view segment = take_segment(rest);
      if (is_part(segment)) {
        if (!segment.ends_with('}') || key_of(segment.substr(1, segment.size() - 2)).empty()) {
          return false;
        }
        ++parts;
      }
    }
    if (parts > SearchEndpoint::kMostParts) {
      return false;
    }
  }
  return true;
}
static_assert(rows_are_sound());

char letter_of(std::string_view method) {
  if (method == "GET" || method == "POST" || method == "DELETE" || method == "HEAD") {
    return method.front();
  }
  return method == "PUT" ? 'U' : '?';
}

// "_all" stands for all indices; other names may not begin so.
bool may_be_name(std::string_view part, std::string_view value) {
  return (part != "index" && part != "alias") || !value.starts_with('_') || value == "_all";
}

bool fits(const Row& row, std::string_view path, SearchEndpoint& endpoint) {
  endpoint = {};
  std::string_view wanted = row.path;
  while (!wanted.empty() && !path.empty()) {
    const std::string_view segment = take_segment(wanted);
    const std::string_view value = take_segment(path);
    if (!is_part(segment)) {
      if (segment != value) {
        return false;
      }
      continue;
    }
    const std::string_view name = segment.substr(1, segment.size() - 2);
    if (value.empty() || !may_be_name(name, value)) {
      return false;
    }
    endpoint.parts.at(endpoint.part_count++) = {key_of(name), value};
    if (name == "index") {
      endpoint.index = value;
    }
  }
  endpoint.id = row.id;
  return wanted.empty() && path.empty();
}

}  // namespace

SearchEndpoint find_search_endpoint(std::string_view method, std::string_view path) {
  const char letter = letter_of(method);
  if (!path.starts_with('/')) {
    return {};
  }
  path.remove_prefix(1);
  if (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);  // as the servers do
  }
  SearchEndpoint endpoint;
  for (const Row& row : kRows) {
    if (row.methods.find(letter) != std::string_view::npos && fits(row, path, endpoint)) {
      return endpoint;
    }
  }
  return {};
}

}  // namespace zerospan::spans
