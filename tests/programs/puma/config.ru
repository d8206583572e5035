# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# The test server for puma; ACCESS_LOG names its log.
require 'json'
LOG = File.open(ENV.fetch('ACCESS_LOG'), 'a')
LOG.sync = true

run(lambda do |env|
  start = Time.now.to_f
  env['rack.input'].read
  query = env['QUERY_STRING'].split('&').map { |pair| pair.split('=', 2) }.to_h
  status = (query['status'] || 200).to_i
  size = (query['size'] || 0).to_i
  empty = [204, 304].include?(status)
  headers = status == 301 ? { 'Location' => '/moved' } : {}
  headers['Content-Length'] = size.to_s unless empty || query['chunked'] == '1'
  body = empty || env['REQUEST_METHOD'] == 'HEAD' ? [] : ['x' * size]
  LOG.puts(JSON.generate(id: env['HTTP_X_ID'].to_s, method: env['REQUEST_METHOD'],
                         target: env['REQUEST_URI'], status: status, bytes: body.sum(&:bytesize),
                         start: start, end: Time.now.to_f))
  [status, headers, body]
end)
