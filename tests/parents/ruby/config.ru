# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# The service of the parents benchmark (../README.md) for Puma. Net::HTTP's connections are kept by thread, as its wrappers do.
require 'net/http'
require 'pg'
require 'uri'

SERVED = URI(ENV.fetch('HTTP_URL'))
PREFIX = SERVED.request_uri
JOBS = Thread::Queue.new
8.times { Thread.new { loop { JOBS.pop.call } } }
WHERE = { host: 'PGHOST', port: 'PGPORT', user: 'PGUSER', dbname: 'PGDATABASE' }.transform_values { |name| ENV[name] }
DATABASE = Thread::Queue.new
16.times { DATABASE.push(nil) }

def get(name)
  web = Thread.current[:web] ||= Net::HTTP.start(SERVED.host, SERVED.port, keep_alive_timeout: 60)
  answer = web.get(PREFIX + name)
  raise "status #{answer.code}" unless answer.code == '200'
end

def query(name)
  database = DATABASE.pop || PG.connect(WHERE)
  database.exec("SELECT pg_sleep(0.002) AS r#{name.tr('.', '_')}")
ensure
  DATABASE.push(database)
end

def call(kind, name)
  case kind
  when 'http' then get(name)
  when 'sql' then query(name)
  else raise "unknown step #{kind}"
  end
end

# Runs the steps; `made` calls were made before.
def perform(id, steps, made)
  until steps.empty?
    step = steps.shift
    if step == 'timer'
      sleep 0.005
    elsif step == 'queue'
      done = Thread::Queue.new
      JOBS.push(lambda do
        perform(id, steps, made)
        done.push(nil)
      rescue StandardError => e
        done.push(e)
      end)
      error = done.pop
      raise error if error

      return
    elsif step.end_with?(':parallel')
      together = [step]
      together.push(steps.shift) while steps.first&.end_with?(':parallel')
      threads = together.each_with_index.map do |each, i|
        Thread.new(each.split(':').first, "#{id}.#{made + i}") { |kind, name| call(kind, name) }
      end
      made += together.size
      threads.each(&:join)
    else
      call(step, "#{id}.#{made}")
      made += 1
    end
  end
end

run(lambda do |env|
  asked = URI.decode_www_form(env['QUERY_STRING']).to_h
  status = 200
  begin
    perform(asked['id'], asked['plan'].split(','), 0)
  rescue StandardError => e
    warn "#{asked} #{e.full_message}"
    status = 500
  end
  [status, { 'Content-Length' => '2' }, ['ok']]
end)
